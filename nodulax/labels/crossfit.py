"""Predictions for every training radiograph, each by a network that never saw its patient."""

import csv
import os
import pathlib

from ml_collections import ConfigDict

from nodulax import train
from nodulax.csv_files import CsvFile
from nodulax.evaluate import evaluate
from nodulax.files import whole_folder
from nodulax.input.folds import in_fold
from nodulax.labels.predictions import LabelsError

FILES = ('predictions.csv', 'locations.csv')


def crossfit(config: ConfigDict, workdir: str | os.PathLike, folds: int) -> pathlib.Path:
  """Trains a network for each of several parts of the patients, without them, and asks it of them.

  What is finished is not done again: an interrupted call is resumed by the same one.

  Args:
    config: as `configs/default.py` describes it, of one training.
    workdir: gets fold_1, fold_2, ... and out_of_sample/ with predictions.csv and locations.csv.
    folds: how many parts, at least 2.

  Returns:
    The folder of the predictions.

  Raises:
    Interrupted: after SIGINT or SIGTERM; all is saved.
    NodulaxError: as `train`.
  """
  if folds < 2:
    raise LabelsError(f'--folds={folds} must be at least 2')
  workdir = pathlib.Path(workdir)
  output = workdir / 'out_of_sample'
  parts = []
  for fold in range(folds):
    own = config.copy_and_resolve_references()
    own.name = f'{config.name}, part {fold + 1} of {folds}'
    own.data.fold = (fold, folds)
    own.data.evaluate = ()
    run = workdir / f'fold_{fold + 1}'
    train.train(own, run)
    shards = own.data.shards[own.data.train]
    evaluate(
      run,
      shards,
      'train',
      run / 'evaluation' / 'train',
      cache_dir=own.data.cache_dir,
      batch_size=own.evaluation.batch_size,
      overlays=0,
    )
    parts.append(run / 'evaluation' / 'train')
  if not output.exists():
    with whole_folder(output) as unfinished:
      _join(parts, unfinished)
  return output


def _join(parts: list[pathlib.Path], output: pathlib.Path) -> None:
  """Writes of each part the rows of the patients that its network did not see."""
  patient_of: dict[str, str] = {}
  for name in FILES:
    with (output / name).open('w', newline='', encoding='utf-8') as joined:
      writer = csv.writer(joined, lineterminator='\n')
      for fold, folder in enumerate(parts):
        file = CsvFile(folder / name, ('image_id',), error=LabelsError)
        columns = [file.text(column, empty='') for column in file.columns]
        if fold == 0:
          writer.writerow(file.columns)
        if name == FILES[0]:
          patients = file.text('patient_id')
          patient_of.update(zip(file.text('image_id'), patients, strict=True))
        for row in zip(*columns, strict=True):
          image_id = row[file.columns.index('image_id')]
          if in_fold(patient_of[image_id], fold, len(parts)):
            writer.writerow(row)
