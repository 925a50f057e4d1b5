"""A threshold, and the sensitivity and specificity at it.

A radiograph is called abnormal if its score is at or above the threshold.
"""

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from nodulax.statistics.bootstrap import ratio_interval
from nodulax.statistics.checks import (
  Bools,
  Integers,
  as_confidence,
  as_labels,
  as_patients,
  as_scores,
)
from nodulax.statistics.estimate import Estimate


@dataclasses.dataclass(frozen=True)
class Proportion(Estimate):
  """A share with its confidence interval.

  Attributes:
    count: numerator.
    total: denominator.
    method: how the interval was computed, 'Clopper-Pearson' or 'patient bootstrap'.
  """

  count: int
  total: int
  method: str


@dataclasses.dataclass(frozen=True)
class PredictiveValues:
  """How often a call is right, at the prevalence of the images.

  Attributes:
    positive: share of the images called abnormal that are abnormal; None if there are none.
    negative: share of the images called normal that are normal; None if there are none.
  """

  positive: Proportion | None
  negative: Proportion | None


@dataclasses.dataclass(frozen=True)
class OperatingPoint:
  """Sensitivity and specificity at a threshold."""

  threshold: float
  sensitivity: Proportion
  specificity: Proportion


def youden_threshold(labels: ArrayLike, scores: ArrayLike) -> float:
  """Returns the threshold with the largest sensitivity + specificity - 1.

  It lies midway between the two neighbouring scores that it separates, so that a new image need not
  reach the exact score of an old one. Of several best thresholds it is the lowest, since a missed
  nodule costs more than a second look.

  Youden, Cancer 1950;3:32.

  Args:
    labels: [n], 0 or 1.
    scores: f[n].

  Raises:
    ValueError: a class is missing, lengths differ, or a score is NaN.
  """
  positive = as_labels(labels)
  values, group = np.unique(as_scores(scores, positive.size), return_inverse=True)
  abnormal = np.bincount(group[positive], minlength=values.size)
  normal = np.bincount(group[~positive], minlength=values.size)
  # Youden's index times both class sizes, in whole numbers, so that equal values tie exactly.
  called_abnormal = np.cumsum(abnormal[::-1])[::-1]
  called_falsely = np.cumsum(normal[::-1])[::-1]
  best = int(np.argmax(called_abnormal * normal.sum() - called_falsely * abnormal.sum()))
  if best == 0:
    return float(values[0])
  below, above = float(values[best - 1]), float(values[best])
  middle = below + (above - below) / 2
  return middle if below < middle < above else above


def threshold_at_specificity(labels: ArrayLike, scores: ArrayLike, specificity: float) -> float:
  """Returns the lowest threshold at which at least this share of the normals is called normal.

  It lies midway between the two neighbouring scores that it separates, or just above the highest
  score if every normal image must lie below it.

  Args:
    labels: [n], 0 or 1.
    scores: f[n].
    specificity: above 0 and at most 1.

  Raises:
    ValueError: a class is missing, lengths differ, a score is NaN, or `specificity` is not in
      (0, 1].
  """
  if not 0 < specificity <= 1:
    raise ValueError(f'specificity must be above 0 and at most 1, got {specificity}')
  positive = as_labels(labels)
  values = as_scores(scores, positive.size)
  normal = np.sort(values[~positive])
  # Whole numbers: 0.9 * 10 must mean 9 of 10 despite rounding errors.
  below = normal[math.ceil(specificity * normal.size - 1e-9) - 1]
  above = values[values > below]
  if not above.size:
    return float(np.nextafter(below, np.inf))
  middle = below + (above.min() - below) / 2
  return float(middle if middle > below else above.min())


def clopper_pearson(count: int, total: int, confidence: float = 0.95) -> Proportion:
  """Returns a share with its exact binomial interval.

  Clopper and Pearson, Biometrika 1934;26:404.

  Raises:
    ValueError: not 0 <= `count` <= `total`, or `total` is 0.
  """
  if not 0 <= count <= total or total == 0:
    raise ValueError(f'a share needs 0 <= count <= total and total > 0, got {count} of {total}')
  tail = (1 - as_confidence(confidence)) / 2
  low = special.betaincinv(count, total - count + 1, tail) if count > 0 else 0.0
  high = special.betaincinv(count + 1, total - count, 1 - tail) if count < total else 1.0
  return Proportion(count / total, float(low), float(high), count, total, 'Clopper-Pearson')


def operating_point(
  labels: ArrayLike,
  scores: ArrayLike,
  threshold: float,
  patients: ArrayLike | None = None,
  *,
  confidence: float = 0.95,
  resamples: int = 2000,
  seed: int = 0,
) -> OperatingPoint:
  """Estimates sensitivity and specificity at a threshold, with their intervals.

  The intervals are Clopper-Pearson's if every patient has one image of the class. Otherwise they
  are from a bootstrap over patients, as images of one patient are not independent. If all images of
  a class get the same call, all resamples are equal, and the interval is Clopper-Pearson's over
  patients instead of images.

  Args:
    labels: [n], 0 or 1.
    scores: f[n].
    threshold: a score at or above it is called abnormal.
    patients: [n], the patient of each image; None if each has its own patient.
    confidence: level of the intervals, in (0, 1).
    resamples: number of bootstrap resamples.
    seed: seed of the bootstrap.

  Raises:
    ValueError: a class is missing, lengths differ, or a score or the threshold is NaN.
  """
  positive, called, numbers = _calls(labels, scores, threshold, patients)

  def right_of(chosen: Bools) -> Proportion:
    right = called[chosen] == positive[chosen]
    return _share(right, numbers[chosen], confidence, resamples, seed)

  return OperatingPoint(float(threshold), right_of(positive), right_of(~positive))


def predictive_values(
  labels: ArrayLike,
  scores: ArrayLike,
  threshold: float,
  patients: ArrayLike | None = None,
  *,
  confidence: float = 0.95,
  resamples: int = 2000,
  seed: int = 0,
) -> PredictiveValues:
  """Estimates predictive values at a threshold, with intervals as in `operating_point`.

  They hold only at the prevalence of these images.

  Args:
    labels: [n], 0 or 1.
    scores: f[n].
    threshold: a score at or above it is called abnormal.
    patients: [n], the patient of each image; None if each has its own patient.
    confidence: level of the intervals, in (0, 1).
    resamples: number of bootstrap resamples.
    seed: seed of the bootstrap.

  Raises:
    ValueError: a class is missing, lengths differ, or a score or the threshold is NaN.
  """
  positive, called, numbers = _calls(labels, scores, threshold, patients)

  def right_of(chosen: Bools) -> Proportion | None:
    if not chosen.any():
      return None
    right = called[chosen] == positive[chosen]
    return _share(right, numbers[chosen], confidence, resamples, seed)

  return PredictiveValues(right_of(called), right_of(~called))


def _calls(
  labels: ArrayLike, scores: ArrayLike, threshold: float, patients: ArrayLike | None
) -> tuple[Bools, Bools, Integers]:
  """Which images have the label 1, which are called abnormal, and the patient of each."""
  if math.isnan(threshold):
    raise ValueError('the threshold is NaN')
  positive = as_labels(labels)
  called = as_scores(scores, positive.size) >= threshold
  return positive, called, as_patients(patients, positive.size)


def _share(right: Bools, of: Integers, confidence: float, resamples: int, seed: int) -> Proportion:
  """The share of images that are called right; `of` gives each patient."""
  sizes = np.bincount(of)
  count, total = int(right.sum()), right.size
  if sizes.max() == 1:
    return clopper_pearson(count, total, confidence)
  if count in (0, total):
    patients = int((sizes > 0).sum())
    bounds = clopper_pearson(patients * count // total, patients, confidence)
    return dataclasses.replace(bounds, count=count, total=total)
  estimate = ratio_interval(
    np.bincount(of, right), sizes, confidence=confidence, resamples=resamples, seed=seed
  )
  return Proportion(estimate.value, estimate.low, estimate.high, count, total, 'patient bootstrap')
