"""Checks of labels, scores, patients and probabilities that all statistics share."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def as_labels(labels: ArrayLike, *, both_classes: bool = True) -> Bools:
  """Returns `labels` as bool[n], True where abnormal.

  Raises:
    ValueError: `labels` is not one-dimensional, holds anything but 0 and 1, or, with
      `both_classes`, lacks a class.
  """
  array = np.asarray(labels)
  if array.ndim != 1 or array.size == 0:
    raise ValueError(f'labels must be a list of at least one 0 or 1, got shape {array.shape}')
  odd = ~np.isin(array, (0, 1))
  if odd.any():
    first = int(odd.argmax())
    raise ValueError(
      f'labels must be 0 (normal) or 1 (nodule); {odd.sum()} are neither, the first at index '
      f'{first}: {array[first]!r}'
    )
  positive = array.astype(bool)
  if both_classes and (positive.all() or not positive.any()):
    raise ValueError(
      f'both classes are needed; all {positive.size} labels are {int(positive[0])}, so this '
      'statistic is undefined'
    )
  return positive


def as_scores(scores: ArrayLike, n: int, name: str = 'scores') -> Floats:
  """Returns `scores` as f64[n].

  Raises:
    ValueError: the length is not `n`, or a score is NaN.
  """
  array = np.asarray(scores, dtype=np.float64)
  if array.shape != (n,):
    raise ValueError(f'{name} must be {n} numbers, one for each label, got shape {array.shape}')
  missing = np.isnan(array)
  if missing.any():
    raise ValueError(
      f'{missing.sum()} of {n} {name} are NaN, the first at index {int(missing.argmax())}; leave '
      'those images out of both labels and scores, or find out why the model gave none'
    )
  return array


def as_score_sets(scores: ArrayLike, n: int) -> Floats:
  """Returns `scores`, f[k, n] or f[n] for one set, as f64[k, n].

  Raises:
    ValueError: there is no set, a set is not of length `n`, or a score is NaN.
  """
  array = np.asarray(scores, dtype=np.float64)
  array = array[np.newaxis] if array.ndim == 1 else array
  if array.ndim != 2 or len(array) == 0:
    raise ValueError(f'scores must be [k, {n}], a row for each score set, got shape {array.shape}')
  return np.stack([as_scores(row, n, f'scores[{i}]') for i, row in enumerate(array)])


def as_probabilities(probabilities: ArrayLike, n: int) -> Floats:
  """Returns `probabilities` as f64[n] in [0, 1].

  Raises:
    ValueError: the length is not `n`, or a number is NaN or outside [0, 1].
  """
  array = as_scores(probabilities, n, 'probabilities')
  outside = (array < 0) | (array > 1)
  if outside.any():
    first = int(outside.argmax())
    raise ValueError(
      f'{outside.sum()} probabilities lie outside [0, 1], the first at index {first}: '
      f'{array[first]}; logits need a sigmoid first'
    )
  return array


def as_patients(patients: ArrayLike | None, n: int) -> Integers:
  """Returns the patients, any values that compare equal, numbered: i64[n] in [0, patients).

  Without patients, each image counts as a separate patient.

  Raises:
    ValueError: the length is not `n`, or a patient is NaN.
  """
  if patients is None:
    return np.arange(n)
  array = np.asarray(patients)
  if array.shape != (n,):
    raise ValueError(f'patients must be {n} values, one for each image, got shape {array.shape}')
  if array.dtype.kind == 'f' and np.isnan(array).any():
    raise ValueError('a patient is NaN; give an image of an unknown patient a unique name')
  return np.unique(array, return_inverse=True)[1].astype(np.int64)


def as_confidence(confidence: float) -> float:
  """Returns `confidence`, a fraction such as 0.95.

  Raises:
    ValueError: it does not lie strictly between 0 and 1.
  """
  if not 0 < confidence < 1:
    raise ValueError(f'confidence must lie between 0 and 1, such as 0.95, got {confidence}')
  return confidence
