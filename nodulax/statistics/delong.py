"""Areas under ROC curves, with their covariance.

DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837, in O(n log n) by Sun and Xu, IEEE
Signal Processing Letters 2014;21:1389. If patients have several images, Obuchowski's extension to
clustered data is used, Biometrics 1997;53:567, which equals DeLong's if each has one.

Everything is counted in wins: how many images of the other class an image outranks, with a tie as
half a win. Wins are half-integers, exact in float64, so equal rankings give differences and
variances of exactly zero, and rounding errors cannot look like evidence.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from nodulax.statistics.checks import (
  Bools,
  Floats,
  Integers,
  as_confidence,
  as_labels,
  as_patients,
  as_score_sets,
  as_scores,
)
from nodulax.statistics.estimate import Estimate


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
  """Returns the area under the ROC curve: how often a nodule outranks a normal; ties are half.

  Args:
    labels: [n], 0 or 1.
    scores: f[n], higher means more suspicious; any scale, infinities allowed.

  Raises:
    ValueError: a class is missing, lengths differ, or a score is NaN.
  """
  positive = as_labels(labels)
  wins, _ = count_wins(positive, as_scores(scores, positive.size)[np.newaxis])
  return float(areas(wins, positive)[0])


def delong_covariance(
  labels: ArrayLike, scores: ArrayLike, patients: ArrayLike | None = None
) -> tuple[Floats, Floats]:
  """Estimates the areas of k score sets on the same images, and their covariance.

  Args:
    labels: [n], 0 or 1.
    scores: f[k, n], a row for each score set.
    patients: [n], the patient of each image, for Obuchowski's clustered covariance; None if each
      image has its own patient.

  Returns:
    `aucs` f64[k] and `covariance` f64[k, k]. The rows and columns of a set whose variance cannot
    be estimated are NaN: a set that separates the classes perfectly or gives all images one score.
    All are NaN if a class comes from a single patient.

  Raises:
    ValueError: a class is missing, lengths differ, or a score is NaN.
  """
  positive = as_labels(labels)
  wins, losses = count_wins(positive, as_score_sets(scores, positive.size))
  covariance = clustered_covariance(wins, losses, positive, as_patients(patients, positive.size))
  degenerate = ~(np.diag(covariance) > 0)
  covariance[degenerate] = covariance[:, degenerate] = np.nan
  return areas(wins, positive), covariance


def delong_interval(
  labels: ArrayLike,
  scores: ArrayLike,
  patients: ArrayLike | None = None,
  *,
  confidence: float = 0.95,
  method: str = 'logit',
) -> Estimate:
  """Estimates the area under the ROC curve, with its confidence interval.

  Args:
    labels: [n], 0 or 1.
    scores: f[n], higher means more suspicious.
    patients: [n], the patient of each image, for Obuchowski's clustered variance; None if each
      image has its own patient.
    confidence: level of the interval, in (0, 1).
    method: 'logit', symmetric in the log odds of the area and so within (0, 1); or 'plain',
      symmetric in the area and clipped to 0 and 1.

  Returns:
    The area; its bounds are NaN if the variance cannot be estimated (`delong_covariance`).

  Raises:
    ValueError: a class is missing, lengths differ, a score is NaN, or the method is unknown.
  """
  if method not in ('logit', 'plain'):
    raise ValueError(f"method must be 'logit' or 'plain', got {method!r}")
  half_width = special.ndtri(0.5 + as_confidence(confidence) / 2)
  (area,), ((variance,),) = delong_covariance(labels, scores, patients)
  if np.isnan(variance):
    return Estimate(float(area), math.nan, math.nan)
  reach = half_width * np.array([-1, 1]) * math.sqrt(variance)
  if method == 'logit':
    low, high = special.expit(special.logit(area) + reach / (area * (1 - area)))
  else:
    low, high = np.clip(area + reach, 0, 1)
  return Estimate(float(area), float(low), float(high))


def count_wins(positive: Bools, scores: Floats) -> tuple[Floats, Floats]:
  """Counts the wins f64[k, m] of the positives and the losses f64[k, n - m] of the negatives.

  One sort per score set and running sums over its distinct scores replace midranks.
  """
  wins, losses = [], []
  for row in scores:
    distinct, level = np.unique(row, return_inverse=True)
    abnormal, normal = level[positive], level[~positive]
    abnormal_at = np.bincount(abnormal, minlength=distinct.size)
    normal_at = np.bincount(normal, minlength=distinct.size)
    wins.append((np.cumsum(normal_at) - normal_at / 2)[abnormal])
    losses.append((abnormal.size - np.cumsum(abnormal_at) + abnormal_at / 2)[normal])
  return np.stack(wins), np.stack(losses)


def areas(wins: Floats, positive: Bools) -> Floats:
  """Returns the areas f64[k]: wins as a share of all pairs."""
  abnormal = int(positive.sum())
  return wins.sum(axis=1) / (abnormal * (positive.size - abnormal))


def clustered_covariance(
  wins: Floats, losses: Floats, positive: Bools, patients: Integers
) -> Floats:
  """Returns Obuchowski's covariance f64[k, k] of the areas; NaN if a class has one patient."""
  count = int(patients.max()) + 1

  def by_patient(values: Floats, of: Integers) -> tuple[Floats, float]:
    """Returns sums [k, patients] of the deviations, and the small-sample correction."""
    patients_of_class = np.count_nonzero(np.bincount(of))
    if patients_of_class < 2:
      return np.full((len(values), count), np.nan), math.nan
    centred = values - values.mean(axis=1, keepdims=True)
    sums = np.stack([np.bincount(of, row, count) for row in centred])
    return sums / (wins.shape[1] * losses.shape[1]), patients_of_class / (patients_of_class - 1)

  abnormal, abnormal_correction = by_patient(wins, patients[positive])
  normal, normal_correction = by_patient(losses, patients[~positive])
  both = abnormal @ normal.T * (count / (count - 1) if count > 1 else math.nan)
  return (
    abnormal_correction * (abnormal @ abnormal.T)
    + normal_correction * (normal @ normal.T)
    + both
    + both.T
  )
