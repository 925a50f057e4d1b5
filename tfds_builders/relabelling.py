"""Replaces the tables' labels with those of a second reading, for the same images and splits."""

import dataclasses
from typing import Any

from nodulax.labels import rereading
from nodulax.labels.rereading import Settled
from tfds_builders.examples import Entry
from tfds_builders.records import Label

Splits = dict[str, list[Entry]]


def relabelled(splits: Splits, path: str) -> tuple[Splits, dict[str, Any]]:
  """Gives the entries the majority labels of the readers; also returns counts for the cohort table.

  A radiograph that was not read, or on which the readers are split, keeps its label. One that
  becomes a nodule has a known location if a reader drew boxes, in pixels of the stored, upright
  image.

  Args:
    splits: the entries of each split.
    path: path of the re-reading's file.

  Raises:
    RereadingError: the file cannot be read, or names radiographs that are not among the entries.
  """
  answers = rereading.read_answers(path)
  known = [entry.image_id for entries in splits.values() for entry in entries]
  rereading.require_known(answers, known, 'this cohort')
  settled = rereading.settle(answers)
  changes = {'nodule': 0, 'normal': 0}

  def reread(entry: Entry) -> Entry:
    answer = settled.get(entry.image_id)
    if answer is None:
      return entry
    after = _with(entry, answer)
    if after.record.label != entry.record.label:
      changes[after.record.label] += 1
    return after

  after = {split: [reread(entry) for entry in entries] for split, entries in splits.items()}
  read = len({answer.image_id for answer in answers})
  return after, {
    'readers': len({answer.reader for answer in answers}),
    'settled': len(settled),
    'unsettled': read - len(settled),
    'changed_to_nodule': changes['nodule'],
    'changed_to_normal': changes['normal'],
  }


def _with(entry: Entry, answer: Settled) -> Entry:
  record, inspection = entry.record, entry.inspection
  label: Label
  if answer.label == 1 and not answer.boxes:
    label, boxes, mask, located = 'nodule', record.boxes, record.mask, inspection.boxes
  elif answer.label == 1:
    label, boxes, mask, located = 'nodule', answer.boxes, None, answer.boxes
  else:
    label, boxes, mask, located = 'normal', (), None, ()
  return dataclasses.replace(
    entry,
    record=dataclasses.replace(record, label=label, boxes=boxes, mask=mask),
    inspection=dataclasses.replace(inspection, boxes=located),
  )
