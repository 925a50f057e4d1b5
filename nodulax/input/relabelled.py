"""Replaces the labels of a split with those of a second reading."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from nodulax.input.prepared import Prepared
from nodulax.input.shards import Case
from nodulax.labels.rereading import Settled
from nodulax.radiograph.preprocessing import Preprocessing


def relabelled(
  prepared: Prepared,
  settled: Mapping[str, Settled],
  preprocessing: Preprocessing,
  *,
  keep_unread: bool = False,
) -> Prepared:
  """The radiographs of a split that were read again, with their new labels and boxes.

  A normal radiograph that becomes a nodule has a known location if a reader drew a box; a nodule
  that stays one keeps its own location if no reader did.

  Args:
    prepared: the split.
    settled: the readers' answers, by image id.
    preprocessing: preprocessing of the split's crops, for the masks of boxes.
    keep_unread: whether radiographs that are not in `settled` keep their labels; otherwise they are
      left out.
  """
  if keep_unread:
    part = prepared
  else:
    part = prepared.subset(
      [index for index, case in enumerate(prepared.cases) if case.image_id in settled]
    )
  cases, masks = list(part.cases), np.array(part.masks)
  truth_outside = np.array(part.truth_outside)
  for index, case in enumerate(cases):
    answer = settled.get(case.image_id)
    if answer is None:
      continue
    cases[index] = relabelled_case(case, answer)
    if answer.boxes:
      whole = np.zeros((case.height, case.width), np.uint8)
      for x_min, y_min, x_max, y_max in np.round(answer.boxes).astype(int):
        whole[y_min:y_max, x_min:x_max] = 255
      masks[index] = preprocessing.mask(whole, case.lung_box)
      truth_outside[index] = preprocessing.truth_outside(whole, case.lung_box)
    elif not answer.label:
      masks[index], truth_outside[index] = 0, 0
  return dataclasses.replace(
    part, cases=cases, masks=masks, truth_outside=truth_outside, folder=None
  )


def relabelled_case(case: Case, answer: Settled) -> Case:
  """The case after a second reading."""
  if answer.boxes:
    return dataclasses.replace(case, label=1, location_known=True, boxes=answer.boxes)
  if answer.label == 0:
    return dataclasses.replace(case, label=0, location_known=True, boxes=())
  if case.label == 1:
    return case
  return dataclasses.replace(case, label=1, location_known=False, boxes=())
