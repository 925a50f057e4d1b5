"""Predictions for every training radiograph, each by a network that never saw its patient."""

import csv
import os
import pathlib
from collections.abc import Mapping

from ml_collections import ConfigDict

from nodulax import train
from nodulax.csv_files import CsvFile
from nodulax.distributed import compiling
from nodulax.evaluate import evaluate
from nodulax.files import whole_folder
from nodulax.input.folds import in_fold
from nodulax.labels import rereading
from nodulax.labels.predictions import LabelsError
from nodulax.labels.rereading import Settled

OUT_OF_SAMPLE = 'out_of_sample'  # folder of the joined predictions
FILES = ('predictions.csv', 'locations.csv')


def crossfit(config: ConfigDict, workdir: str | os.PathLike, folds: int) -> pathlib.Path:
  """Trains a network without each part of the patients in turn, and predicts that part.

  Finished parts are not repeated: the same call resumes an interrupted one.

  Args:
    config: of one training, as `configs/default.py` describes it.
    workdir: gets fold_1, fold_2, ... and the folder `OUT_OF_SAMPLE` with predictions.csv and
      locations.csv.
    folds: number of parts, at least 2.

  Returns:
    The folder of the predictions.

  Raises:
    Interrupted: after SIGINT or SIGTERM; progress is saved.
    NodulaxError: as `train`.
  """
  if folds < 2:
    raise LabelsError(f'--folds={folds} must be at least 2')
  workdir = pathlib.Path(workdir)
  output = workdir / OUT_OF_SAMPLE
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
    compiling.forget()
    parts.append(run / 'evaluation' / 'train')
  if not output.exists():
    labels = config.data.labels
    settled = rereading.settle(rereading.read_answers(labels)) if labels else {}
    with whole_folder(output) as unfinished:
      _join(parts, unfinished, settled)
  return output


def _join(parts: list[pathlib.Path], output: pathlib.Path, settled: Mapping[str, Settled]) -> None:
  """Writes the rows of the patients that the network of each part did not see.

  Labels are those trained on. Where they differ from the shards', the findings are
  left out, because the shards say which nodule a finding hits.
  """
  patient_of: dict[str, str] = {}
  changed: set[str] = set()
  for name in FILES:
    with (output / name).open('w', newline='', encoding='utf-8') as joined:
      writer = csv.writer(joined, lineterminator='\n')
      for fold, folder in enumerate(parts):
        file = CsvFile(folder / name, ('image_id',), error=LabelsError)
        if fold == 0:
          writer.writerow(file.columns)
        if name == FILES[0]:
          patient_of |= zip(file.text('image_id'), file.text('patient_id'), strict=True)
        for cells in zip(*(file.text(column, empty='') for column in file.columns), strict=True):
          row = dict(zip(file.columns, cells, strict=True))
          image_id = row['image_id']
          if not in_fold(patient_of[image_id], fold, len(parts)) or image_id in changed:
            continue
          answer = settled.get(image_id)
          if name == FILES[0] and answer is not None and row['label'] != str(answer.label):
            row['label'] = str(answer.label)
            changed.add(image_id)
          writer.writerow(row.values())
