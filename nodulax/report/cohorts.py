"""Counts who was tested and how the sets came about, beside the paper's numbers."""

import math
from typing import Any

import pandas as pd

from nodulax.report import paper
from nodulax.report.results import UNKNOWN, Results

COUNTS = ('nodule', 'normal', 'patients', 'located')


def cohort_counts(results: Results) -> pd.DataFrame:
  """Returns a row for each set's whole cohort, each split, and the evaluated radiographs."""
  rows = []
  for test_set in results.test_sets:
    cohort = cohort_of(results, test_set)
    # Your own hospital shares its builder with a set of the paper, but not its numbers.
    published = cohort.get('paper', {}) if test_set in paper.TEST_SETS else {}
    parts = {'whole cohort': cohort['cohort'], **cohort['splits']} if cohort else {}
    for part, counts in parts.items():
      stated = published.get('cohort' if part == 'whole cohort' else part, {})
      rows.append(_row(test_set, part, counts, stated))
    split = results.on(test_set)[0].metrics.get('split', 'split unknown')
    counts = _evaluated(results.cases(test_set))
    rows.append(_row(test_set, f'evaluated here ({split})', counts, {}))
  return pd.DataFrame(rows)


def exclusions(results: Results) -> pd.DataFrame:
  """Returns a row for each count of images read, and for each rule that excluded some."""
  rows = []
  for test_set in results.test_sets:
    cohort = cohort_of(results, test_set)
    read = [(f'{noun} read', count) for noun, count in cohort.get('read', {}).items()]
    out = [(f'excluded: {rule}', count) for rule, count in cohort.get('excluded', {}).items()]
    rows += [{'set': test_set, 'step': step, 'number': count} for step, count in [*read, *out]]
  return pd.DataFrame(rows)


def remarks(results: Results) -> dict[str, str]:
  """Returns the builders' remarks on the paper's numbers, by set."""
  found = {
    test_set: str(cohort_of(results, test_set).get('paper_remark', ''))
    for test_set in results.test_sets
    if test_set in paper.TEST_SETS
  }
  return {test_set: remark for test_set, remark in found.items() if remark}


def characteristics(results: Results) -> pd.DataFrame:
  """Returns a row for each set and class of the radiographs that were evaluated."""
  rows = []
  for test_set in results.test_sets:
    cases = results.cases(test_set)
    for label, name in ((1, 'nodule'), (0, 'normal')):
      part = cases[cases['label'] == label]
      if part.empty:
        continue
      rows.append(
        {
          'set': test_set,
          'class': name,
          'images': len(part),
          'patients': part['patient_id'].nunique(),
          **{sex: int((part['sex'] == sex).sum()) for sex in ('female', 'male')},
          'sex_unknown': int((part['sex'] == UNKNOWN).sum()),
          **_quartiles('age', part['age']),
          **{view: int((part['view'] == view).sum()) for view in ('PA', 'AP')},
          'view_unknown': int((~part['view'].isin(('PA', 'AP'))).sum()),
          **_quartiles('nodule_diameter_mm', part['nodule_diameter_mm']),
          'located': int(part['location_known'].sum()) if label else 0,
        }
      )
  return pd.DataFrame(rows)


def cohort_of(results: Results, test_set: str) -> dict[str, Any]:
  """Returns the set's cohort.json; empty if no evaluation has one."""
  found = (evaluation.cohort for evaluation in results.on(test_set))
  return next((cohort for cohort in found if cohort), {})


def _evaluated(cases: pd.DataFrame) -> dict[str, int]:
  nodule = cases[cases['label'] == 1]
  return {
    'nodule': len(nodule),
    'normal': len(cases) - len(nodule),
    'patients': cases['patient_id'].nunique(),
    'located': int(nodule['location_known'].sum()),
  }


def _row(
  test_set: str, part: str, counts: dict[str, int], stated: dict[str, int]
) -> dict[str, Any]:
  return {
    'set': test_set,
    'part': part,
    **{name: counts[name] for name in COUNTS},
    'published_nodule': stated.get('nodule', math.nan),
    'published_normal': stated.get('normal', math.nan),
  }


def _quartiles(name: str, values: pd.Series) -> dict[str, float]:
  low, median, high = values.quantile([0.25, 0.5, 0.75])
  return {
    f'{name}_median': median,
    f'{name}_first_quartile': low,
    f'{name}_third_quartile': high,
    f'{name}_unknown': int(values.isna().sum()),
  }
