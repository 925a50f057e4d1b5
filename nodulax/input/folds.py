"""Folds of a split by patient, for networks that must not see some of the patients."""

import hashlib
from collections.abc import Sequence


def in_fold(patient_id: str, fold: int, folds: int) -> bool:
  """Whether a patient is in a fold, which depends only on the identifier."""
  digest = hashlib.sha256(patient_id.encode()).digest()
  return int.from_bytes(digest[:8], 'big') % folds == fold


def out_of_fold(patients: Sequence[str], fold: tuple[int, int]) -> list[int]:
  """The positions of radiographs whose patients are not in a fold.

  Args:
    patients: the patient of each radiograph.
    fold: the fold, from 0, and the number of folds; with one fold everything is kept.
  """
  number, folds = fold
  return [
    index
    for index, patient in enumerate(patients)
    if folds == 1 or not in_fold(patient, number, folds)
  ]
