"""Reads what `evaluate` wrote, RUNS/<run>/evaluation/<set>/, and study.json; nothing else."""

import hashlib
import json
import os
import pathlib
from typing import Any

import numpy as np
import pandas as pd

from nodulax.csv_files import CsvFile, is_plain
from nodulax.files import UNFINISHED
from nodulax.report.errors import ReportError
from nodulax.report.results import UNKNOWN, Evaluation
from nodulax.report.studies import assigned
from nodulax.statistics import froc

MOST_NODULES = 1000  # in a radiograph


def read_results(workdir: str | os.PathLike) -> list[Evaluation]:
  """Reads every evaluation of a workdir of runs, or of a single run.

  Raises:
    ReportError: one of them is invalid.
  """
  workdir = pathlib.Path(workdir)
  folders = [*workdir.glob('evaluation/*'), *workdir.glob('*/evaluation/*')]
  read = [read_evaluation(folder) for folder in sorted(folders) if is_evaluation(folder)]
  return assigned(workdir, read)


def is_evaluation(folder: pathlib.Path) -> bool:
  """Whether a folder holds a finished evaluation."""
  unfinished = folder.name.startswith(UNFINISHED)
  return not unfinished and (folder / 'predictions.csv').is_file()


COUNTS = ('nodule', 'normal', 'patients', 'located')  # of a cohort and of each of its splits
CASES = ('image_id', 'patient_id', 'label', 'probability')  # columns that predictions need


def read_evaluation(folder: pathlib.Path) -> Evaluation:
  """Reads one evaluation.

  Raises:
    ReportError: a file is missing or invalid.
  """
  path = folder / 'predictions.csv'
  cases = read_cases(CsvFile(path, CASES, error=ReportError))
  metrics = _read_json(folder / 'metrics.json')
  threshold = metrics.get('probability_threshold')
  if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
    raise ReportError(
      f'{folder / "metrics.json"}: no probability_threshold from 0 to 1; run the evaluation again'
    )
  cohort = folder / 'cohort.json'
  run = folder.parents[1].resolve()
  return Evaluation(
    model=run.name,
    run=run.name,
    seed=_seed(metrics),
    test_set=folder.name,
    cases=cases,
    threshold=float(threshold),
    detections=_read_detections(folder / 'locations.csv', cases),
    metrics=metrics,
    cohort=_read_cohort(cohort) if cohort.exists() else None,
    folder=folder,
    sha256=sha256(path),
  )


def read_cases(file: CsvFile) -> pd.DataFrame:
  """Reads the radiographs of a CSV file with the columns of predictions.csv, by image_id.

  Raises:
    ReportError: there are no lines, a cell is invalid, or an image_id is repeated or unsafe.
  """
  if not len(file):
    raise ReportError(f'{file.path}: no line but the header')
  image_ids = file.text('image_id')
  seen: set[str] = set()
  for line, image_id in zip(file.lines, image_ids, strict=True):
    if not is_plain(image_id):
      raise file.fault(
        line,
        f'image_id is {image_id[:60]!r}; it must be a name of at most 200 characters, '
        'not a path, and not begin with = + or @',
      )
    if image_id in seen:
      raise file.fault(line, f'image_id {image_id} appears twice; give each radiograph one line')
    seen.add(image_id)
  labels = pd.Series(file.choice('label', ('0', '1')), dtype=object)
  columns = {
    'patient_id': file.text('patient_id'),
    'label': labels.map({'0': 0, '1': 1}).to_numpy(),
    'probability': file.numbers('probability', 0, 1, required=True),
    'dice': file.numbers('dice', 0, 1),
    'location_known': np.array(file.choice('location_known', ('0', '1'), empty='0')) == '1',
    'nodules': file.numbers('nodules', 0, MOST_NODULES),
    'sex': file.choice('sex', ('female', 'male', UNKNOWN), empty=UNKNOWN),
    'age': file.numbers('age', 0, 150),
    'view': file.text('view', empty=UNKNOWN),
    'nodule_diameter_mm': file.numbers('nodule_diameter_mm', 0, 1000),
    'zone': file.text('zone', empty=UNKNOWN),
    'conspicuity': file.text('conspicuity', empty=UNKNOWN),
    'source': file.text('source', empty=UNKNOWN),
  }
  return pd.DataFrame(columns, index=pd.Index(image_ids, name='image_id'))


def sha256(path: pathlib.Path) -> str:
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def _read_detections(path: pathlib.Path, cases: pd.DataFrame) -> froc.Detections | None:
  """Reads the findings on radiographs with known truth; None if no nodule is located."""
  judged = cases[(cases['label'] == 0) | cases['location_known']]
  if judged['nodules'].isna().any() or not judged['nodules'].sum():
    return None
  file = CsvFile(path, ('image_id', 'score', 'nodule'), error=ReportError)
  image_ids = file.text('image_id')
  number_of = {image_id: number for number, image_id in enumerate(judged.index)}
  for line, image_id in zip(file.lines, image_ids, strict=True):
    if image_id not in cases.index:
      raise file.fault(line, f'no radiograph {image_id[:60]!r} in predictions.csv beside it')
  scores = file.numbers('score', 0, 1, required=True)
  nodule = file.numbers('nodule', -1, MOST_NODULES)
  images = np.array([number_of.get(image_id, -1) for image_id in image_ids], dtype=np.int64)
  kept = images >= 0
  if np.isnan(nodule[kept]).any():
    line = file.lines[int(np.flatnonzero(kept & np.isnan(nodule))[0])]
    raise file.fault(line, 'nodule is empty, though the truth of this radiograph is known')
  hit = nodule[kept].astype(np.int64)
  try:
    return froc.Detections(
      scores=scores[kept],
      images=images[kept],
      matched=np.select([hit > 0, hit == 0], [hit - 1, froc.FALSE_POSITIVE], froc.REPEAT),
      nodules=judged['nodules'].to_numpy(np.int64),
      patients=judged['patient_id'].to_numpy(str),
    )
  except ValueError as error:
    raise ReportError(f'{path}: {error}; run the evaluation again') from error


def _seed(metrics: dict[str, Any]) -> int | None:
  """Returns the seed of the training run, if the evaluation recorded it."""
  config = metrics.get('provenance', {}).get('config')
  seed = config.get('seed') if isinstance(config, dict) else None
  return seed if isinstance(seed, int) else None


def _read_cohort(path: pathlib.Path) -> dict[str, Any]:
  """Reads a set's cohort.json, whose counts are shown and drawn."""
  values = _read_json(path)
  splits = values.get('splits')
  parts = [values.get('cohort'), *(splits.values() if isinstance(splits, dict) else [None])]
  rules = [values.get('read', {}), values.get('excluded', {})]
  if not all(isinstance(table, dict) for table in [*parts, *rules]) or not all(
    isinstance(count, int)
    for count in [
      *(part.get(name) for part in parts for name in COUNTS),
      *(count for of_rules in rules for count in of_rules.values()),
    ]
  ):
    raise ReportError(
      f'{path}: cohort and splits must count {", ".join(COUNTS)}, and read and excluded '
      'hold whole numbers; build the shards and run the evaluation again'
    )
  return values


def _read_json(path: pathlib.Path) -> dict[str, Any]:
  try:
    values = json.loads(path.read_text('utf-8'))
  except FileNotFoundError as error:
    raise ReportError(f'{path}: there is no such file; run the evaluation again') from error
  except (ValueError, RecursionError) as error:
    raise ReportError(f'{path}: not JSON: {error}; run the evaluation again') from error
  if not isinstance(values, dict):
    raise ReportError(f'{path}: not a JSON object; run the evaluation again')
  return values
