"""A set scored against its noisy and against its true labels: same radiographs, same scores."""

import pandas as pd

from nodulax.report.accuracy import MEASURES, measure
from nodulax.report.results import Results


def true_labels(results: Results) -> pd.DataFrame:
  """Returns a row per model and set that has its true labels beside it; empty if none has.

  It covers the radiographs in both: how many labels are wrong, and every measure under the labels
  as given and, in the columns that end in `_true`, under the true ones.
  """
  rows = []
  for test_set in results.test_sets:
    truth = results.true_of(test_set)
    for given in results.on(test_set) if truth else ():
      true = results.evaluations.get((given.model, str(truth)))
      if true is None:
        continue
      both = given.cases.index.intersection(true.cases.index)
      label, true_label = given.cases.loc[both, 'label'], true.cases.loc[both, 'label']
      as_given = measure(given.cases.loc[both], given.threshold)
      as_is = measure(true.cases.loc[both], true.threshold)
      columns = [name + end for name in MEASURES for end in ('', '_low', '_high')]
      rows.append(
        {
          'set': test_set,
          'model': given.model,
          'images': len(both),
          'nodule': as_given['nodule'],
          'normal': as_given['normal'],
          'nodule_true': as_is['nodule'],
          'normal_true': as_is['normal'],
          'wrongly_nodule': int(((label == 1) & (true_label == 0)).sum()),
          'wrongly_normal': int(((label == 0) & (true_label == 1)).sum()),
          **{name: as_given[name] for name in columns},
          **{f'{name}_true': as_is[name] for name in columns},
        }
      )
  return pd.DataFrame(rows)
