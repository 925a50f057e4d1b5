"""Which radiographs to read next."""

import csv
import os
import pathlib
from collections.abc import Collection
from typing import Literal

import numpy as np

from nodulax.csv_files import CsvFile
from nodulax.labels.audit import audit
from nodulax.labels.predictions import LabelsError, Predictions

Order = Literal['wrong', 'loss', 'random']


def next_to_read(
  predictions: Predictions, budget: int, order: Order, read: Collection[str], *, seed: int = 0
) -> list[str]:
  """The radiographs to read next, in a random order that tells nothing of why they were chosen.

  Args:
    predictions: of the whole set.
    budget: how many.
    order: 'wrong' takes those whose labels are most likely wrong, 'loss' those on which the network
      contradicts the label most, 'random' any, which alone serves to estimate rates.
    read: those that were read already.
    seed: of the draws.

  Raises:
    LabelsError: nothing is left to read, or the predictions may be chance.
  """
  rng = np.random.default_rng(seed)
  if order == 'wrong':
    priority = audit(predictions).wrong
  elif order == 'loss':
    priority = np.where(predictions.labels == 1, -predictions.logits, predictions.logits)
  else:
    priority = rng.random(len(predictions))
  left = [
    index
    for index in np.argsort(-priority, kind='stable')
    if predictions.image_ids[index] not in read
  ]
  if not left:
    raise LabelsError(f'{predictions.source}: every radiograph was read again already')
  chosen = rng.permutation(left[:budget])
  return [predictions.image_ids[index] for index in chosen]


def write_queue(path: str | os.PathLike, image_ids: Collection[str]) -> None:
  """A CSV file with the column image_id."""
  with pathlib.Path(path).open('w', newline='', encoding='utf-8') as file:
    csv.writer(file, lineterminator='\n').writerows([['image_id'], *([name] for name in image_ids)])


def read_queue(path: str | os.PathLike) -> list[str]:
  """The radiographs of a queue, each once.

  Raises:
    LabelsError: the file is no queue.
  """
  file = CsvFile(pathlib.Path(path), ('image_id',), error=LabelsError)
  return list(dict.fromkeys(file.text('image_id')))
