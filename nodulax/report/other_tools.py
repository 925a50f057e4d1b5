"""Another tool's predictions, to be compared with nodulax's in the same report.

They are in a CSV file with one line per radiograph; README.md in this folder explains the columns.
Everything in the file is checked.
"""

import os
import pathlib

import numpy as np

from nodulax.csv_files import CsvFile, is_plain
from nodulax.report.errors import ReportError
from nodulax.report.reading import read_cases, sha256
from nodulax.report.results import Evaluation, Results

REQUIRED = ('image_id', 'probability')
OPTIONAL = (
  *('set', 'threshold', 'label', 'patient_id', 'dice', 'location_known', 'nodules'),
  *('sex', 'age', 'view', 'nodule_diameter_mm', 'zone', 'conspicuity', 'source'),
)


def read_predictions(path: str | os.PathLike, results: Results) -> list[Evaluation]:
  """Reads a CSV file of predictions; the file's name, without its ending, names the model.

  Args:
    path: the file.
    results: those of the runs, which supply what the file leaves out.

  Raises:
    ReportError: the file is invalid; the message names line, column and remedy.
  """
  path = pathlib.Path(path)
  if not is_plain(path.stem) or path.stem in results.models:
    raise ReportError(
      f'{path}: its name names the model, but {path.stem!r} is taken or unsafe; rename the file'
    )
  file = CsvFile(path, REQUIRED, OPTIONAL, ReportError)
  cases = read_cases(file)
  cases['set'] = file.text('set') if 'set' in file.columns else _guess_set(file, results)
  cases['threshold'] = file.numbers('threshold', 0, 1)
  cases['line'] = file.lines
  evaluations = []
  for test_set, part in cases.groupby('set', sort=False):
    name = str(test_set)
    if not is_plain(name):
      raise file.fault(part['line'].iloc[0], f'set is {name[:60]!r}; it must be a plain name')
    if name in results.test_sets:
      known = results.cases(name)
      strangers = ~part.index.isin(known.index)
      if strangers.any():
        raise file.fault(
          part['line'].to_numpy()[strangers][0],
          f'the set {name} has no radiograph {part.index[strangers][0]}; take the image_id from '
          'its predictions.csv',
        )
      own = {'probability', 'dice', *file.columns}
      for column in known.columns.difference(list(own)):
        part[column] = known.loc[part.index, column]
    elif missing := {'label', 'patient_id'}.difference(file.columns):
      raise ReportError(
        f'{path}: no run was tested on the set {name}, so the columns '
        f'{", ".join(sorted(missing))} are needed; the sets of the runs are: '
        f'{", ".join(results.test_sets) or "none"}'
      )
    thresholds = part['threshold'].unique()
    if len(thresholds) > 1:
      raise file.fault(
        part['line'].iloc[0], f'threshold must be the same on every line of the set {name}'
      )
    evaluations.append(
      Evaluation(
        model=path.stem,
        run=path.stem,
        test_set=name,
        cases=part.drop(columns=['set', 'threshold', 'line']).astype({'label': np.int64}),
        threshold=float(thresholds[0]),
        sha256=sha256(path),
      )
    )
  return evaluations


def _guess_set(file: CsvFile, results: Results) -> str:
  """Returns the only set that has all of the file's radiographs, not counting true labels."""
  image_ids = set(file.text('image_id'))
  fitting = [
    test_set
    for test_set in results.test_sets
    if not results.is_true(test_set) and image_ids.issubset(results.cases(test_set).index)
  ]
  if len(fitting) != 1:
    raise ReportError(
      f'{file.path}: without a column set, its radiographs must all be of one set of the runs, but '
      f'they fit {len(fitting)} of: {", ".join(results.test_sets) or "none"}; add the column'
    )
  return fitting[0]
