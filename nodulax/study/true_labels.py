"""Scores an evaluation again, against true labels, which only a virtual hospital has."""

import csv
import json
import pathlib
import shutil

import numpy as np

from nodulax.checkpoints.description import Thresholds
from nodulax.errors import NodulaxError
from nodulax.evaluation.measures import measure
from nodulax.files import whole_folder

# Columns of the truth's table and of predictions.csv.
_TRUTH_COLUMNS = ('image', 'label', 'diameters_mm', 'zones', 'conspicuities', 'boxes')


def score_against_truth(
  evaluation: pathlib.Path, thresholds: Thresholds, truth: pathlib.Path, output: pathlib.Path
) -> None:
  """Scores the same radiographs and probabilities against other labels.

  Locations are left out: predictions.csv then says that the nodules were not located.

  Args:
    evaluation: the folder that `evaluate` wrote.
    thresholds: those of the evaluated network.
    truth: a virtual hospital's phantom_truth.csv.
    output: the folder to write, in the form of `evaluation`.

  Raises:
    ValueError: the truth lacks a radiograph or a column.
  """
  true = _read_truth(truth)
  with (evaluation / 'predictions.csv').open(newline='') as file:
    reader = csv.DictReader(file)
    columns = list(reader.fieldnames or ())
    rows = list(reader)
  for row in rows:
    if row['image_id'] not in true:
      raise NodulaxError(
        f'{truth}: no radiograph {row["image_id"]}; was {evaluation} scored on it?'
      )
    row |= true[row['image_id']]
  metrics = json.loads((evaluation / 'metrics.json').read_text())
  metrics |= measure(
    np.array([int(row['label']) for row in rows]),
    [row['patient_id'] for row in rows],
    np.array([float(row['probability']) for row in rows]),
    np.full(len(rows), np.nan),
    thresholds,
  )
  with whole_folder(output) as unfinished:
    _write(unfinished / 'predictions.csv', columns, rows)
    _write(unfinished / 'locations.csv', *_unlocated(evaluation / 'locations.csv'))
    (unfinished / 'metrics.json').write_text(json.dumps(metrics, indent=2))
    shutil.copy(evaluation / 'NOTICE.txt', unfinished)
    for pictures in ('heat_maps', 'thumbnails'):
      shutil.copytree(evaluation / pictures, unfinished / pictures)


def _read_truth(path: pathlib.Path) -> dict[str, dict[str, str]]:
  """Reads the cells that change in each radiograph's row, by image_id."""
  with path.open(newline='') as file:
    reader = csv.DictReader(file)
    if missing := set(_TRUTH_COLUMNS) - set(reader.fieldnames or ()):
      raise NodulaxError(f'{path}: no column {", ".join(sorted(missing))}')
    return {row['image']: _cells(row) for row in reader}


def _cells(row: dict[str, str]) -> dict[str, str]:
  nodule = row['label'] == 'nodule'
  diameters = [float(diameter) for diameter in row['diameters_mm'].split()]
  largest = int(np.argmax(diameters)) if diameters else 0

  def of_largest(column: str) -> str:
    return row[column].split()[largest] if nodule else 'unknown'

  return {
    'label': str(int(nodule)),
    'dice': '',
    'location_known': str(int(not nodule)),
    'nodules': '0',
    'nodule_diameter_mm': f'{max(diameters):g}' if nodule else '',
    'zone': of_largest('zones'),
    'conspicuity': of_largest('conspicuities'),
  }


def _unlocated(path: pathlib.Path) -> tuple[list[str], list[dict[str, str]]]:
  """Reads the findings without their matches."""
  with path.open(newline='') as file:
    reader = csv.DictReader(file)
    return list(reader.fieldnames or ()), [{**row, 'nodule': ''} for row in reader]


def _write(path: pathlib.Path, columns: list[str], rows: list[dict[str, str]]) -> None:
  with path.open('w', newline='') as file:
    writer = csv.DictWriter(file, columns, extrasaction='ignore')
    writer.writeheader()
    writer.writerows(rows)
