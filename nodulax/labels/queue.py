"""Chooses which radiographs to read next."""

import csv
import os
import pathlib
from collections.abc import Collection
from typing import Literal, get_args

import numpy as np

from nodulax.csv_files import CsvFile
from nodulax.labels.audit import audit
from nodulax.labels.predictions import LabelsError, Predictions

Order = Literal['wrong', 'gain', 'loss', 'random']
ORDERS: tuple[Order, ...] = get_args(Order)


def next_to_read(
  predictions: Predictions, budget: int, order: Order, read: Collection[str], *, seed: int = 0
) -> list[str]:
  """Chooses the radiographs to read next, in a random order that hides why they were chosen.

  Args:
    predictions: those for the whole set.
    budget: how many to choose.
    order: 'wrong' takes those whose labels are most likely wrong, 'gain' those with the largest
      `expected_gain`, 'loss' those on which the network contradicts the label most, 'random' any,
      the only order that allows an estimate of rates.
    read: those already read.
    seed: seed of the random order.

  Raises:
    LabelsError: nothing is left to read, or the predictions may be chance.
  """
  rng = np.random.default_rng(seed)
  if order == 'wrong':
    priority = audit(predictions).wrong
  elif order == 'gain':
    priority = expected_gain(predictions.labels, audit(predictions).wrong)
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
    raise LabelsError(f'{predictions.source}: every radiograph has already been read again')
  chosen = rng.permutation(left[:budget])
  return [predictions.image_ids[index] for index in chosen]


def expected_gain(labels: np.ndarray, wrong: np.ndarray) -> np.ndarray:
  """Estimates how much reading each radiograph again improves the labels as a whole.

  Let x be the share of wrong labels among those labelled nodule and y that among those labelled
  normal. Wrong labels multiply an AUC's distance from 1/2 by 1 - x - y (Menon et al., ICML 2015).
  The gain is the probability that the label is wrong times the rise of that factor once a
  wrong label is corrected: a wrong label weighs more, the rarer its class.

  Args:
    labels: int[n], 0 or 1, both present.
    wrong: f64[n], the probability that each label is wrong.

  Returns:
    f64[n].
  """
  count = np.array([(labels == label).sum() for label in (0, 1)], np.float64)
  errors = np.array([wrong[labels == label].sum() for label in (0, 1)])
  others = errors[labels] - wrong  # expected in its class without its own
  leaves = (others + 1) / count[labels] - others / np.maximum(count[labels] - 1, 1)
  joins = errors / count - errors / (count + 1)
  return wrong * (leaves + joins[1 - labels])


def write_queue(path: str | os.PathLike, image_ids: Collection[str]) -> None:
  """Writes a CSV file with the column image_id."""
  with pathlib.Path(path).open('w', newline='', encoding='utf-8') as file:
    csv.writer(file, lineterminator='\n').writerows([['image_id'], *([name] for name in image_ids)])


def read_queue(path: str | os.PathLike) -> list[str]:
  """Reads the radiographs of a queue, each once.

  Raises:
    LabelsError: the file is not a queue.
  """
  file = CsvFile(pathlib.Path(path), ('image_id',), error=LabelsError)
  return list(dict.fromkeys(file.text('image_id')))
