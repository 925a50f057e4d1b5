"""Tests between areas under ROC curves: paired, unpaired, and contrasts of several.

They are DeLong's if each patient has one image, otherwise Obuchowski's clustered forms; see
`delong`.
"""

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, special, stats

from nodulax.statistics.checks import (
  Floats,
  as_confidence,
  as_labels,
  as_patients,
  as_score_sets,
  as_scores,
)
from nodulax.statistics.delong import areas, clustered_covariance, count_wins, delong_covariance


@dataclasses.dataclass(frozen=True)
class AucTest:
  """The difference between two areas, tested.

  Attributes:
    auc_a: the first area.
    auc_b: the second area.
    difference: `auc_a - auc_b`.
    interval: (low, high) of the difference; NaN if its variance cannot be estimated.
    z: the difference in standard errors; NaN if not estimable.
    p_value: two-sided; 1 if both rank every image alike, NaN if not estimable.
  """

  auc_a: float
  auc_b: float
  difference: float
  interval: tuple[float, float]
  z: float
  p_value: float


@dataclasses.dataclass(frozen=True)
class SeedsTest:
  """The difference between two ways of training, tested over several seeds.

  Attributes:
    difference: the mean area of the first minus that of the second.
    interval: (low, high) of the difference; NaN if its variance cannot be estimated.
    degrees_of_freedom: for Student's t distribution.
    p_value: two-sided; 1 if both rank every image alike, NaN if not estimable.
  """

  difference: float
  interval: tuple[float, float]
  degrees_of_freedom: float
  p_value: float


@dataclasses.dataclass(frozen=True)
class ContrastTest:
  """Linear contrasts of areas, tested jointly against zero.

  Attributes:
    estimates: f64[r], the contrasts.
    covariance: f64[r, r], their covariance.
    chi_square: the statistic; NaN if not estimable.
    degrees_of_freedom: the rank of `covariance`.
    p_value: 1 if every contrast is exactly zero for every image, NaN if not estimable.
  """

  estimates: Floats
  covariance: Floats
  chi_square: float
  degrees_of_freedom: int
  p_value: float


def delong_test(
  labels: ArrayLike,
  scores_a: ArrayLike,
  scores_b: ArrayLike,
  patients: ArrayLike | None = None,
  *,
  confidence: float = 0.95,
) -> AucTest:
  """Tests whether two score sets on the same images have the same area (paired).

  Args:
    labels: [n], 0 or 1.
    scores_a: f[n], scores of the first model.
    scores_b: f[n], scores of the second model.
    patients: [n], the patient of each image, for Obuchowski's clustered form; None if each image
      has its own patient.
    confidence: level of the interval, in (0, 1).

  Raises:
    ValueError: a class is missing, lengths differ, or a score is NaN.
  """
  positive = as_labels(labels)
  n = positive.size
  wins, losses = count_wins(positive, np.stack([as_scores(scores_a, n), as_scores(scores_b, n)]))
  # The difference is taken image by image, before any rounding.
  with_difference = np.array([[1, 0], [0, 1], [1, -1]])
  wins, losses = with_difference @ wins, with_difference @ losses
  variances = np.diag(clustered_covariance(wins, losses, positive, as_patients(patients, n)))
  area_a, area_b, difference = areas(wins, positive)
  if not wins[2].any() and not losses[2].any():
    return AucTest(float(area_a), float(area_b), 0.0, (0.0, 0.0), 0.0, 1.0)
  variance = variances[2] if (variances > 0).all() else math.nan
  return _compare(area_a, area_b, difference, variance, confidence)


def unpaired_test(
  labels_a: ArrayLike,
  scores_a: ArrayLike,
  labels_b: ArrayLike,
  scores_b: ArrayLike,
  patients_a: ArrayLike | None = None,
  patients_b: ArrayLike | None = None,
  *,
  confidence: float = 0.95,
) -> AucTest:
  """Tests whether two areas measured on different patients are the same (unpaired).

  Args:
    labels_a: [n], 0 or 1.
    scores_a: f[n].
    labels_b: [m], 0 or 1.
    scores_b: f[m].
    patients_a: [n], the patient of each of the first images; None if each has its own patient.
    patients_b: [m], the patient of each of the second images. No patient may be in both.
    confidence: level of the interval, in (0, 1).

  Raises:
    ValueError: a class is missing, lengths differ, a score is NaN, or a patient is in both sets.
  """
  if patients_a is not None and patients_b is not None:
    shared = np.intersect1d(patients_a, patients_b)
    if shared.size:
      raise ValueError(
        f'{shared.size} patients are in both sets, such as {shared[0]!r}; the unpaired test is '
        'for different patients'
      )
  (area_a,), ((variance_a,),) = delong_covariance(labels_a, scores_a, patients_a)
  (area_b,), ((variance_b,),) = delong_covariance(labels_b, scores_b, patients_b)
  return _compare(area_a, area_b, area_a - area_b, variance_a + variance_b, confidence)


def contrast_test(
  labels: ArrayLike,
  scores: ArrayLike,
  contrast: ArrayLike,
  patients: ArrayLike | None = None,
) -> ContrastTest:
  """Tests whether linear contrasts of the areas are all zero (DeLong's general chi-square).

  Args:
    labels: [n], 0 or 1.
    scores: f[k, n], a row for each score set.
    contrast: f[r, k], a row for each contrast, such as [[1, 0, -1], [0, 1, -1]].
    patients: [n], the patient of each image, for the clustered form; None if each image has its
      own patient.

  Raises:
    ValueError: a class is missing, lengths differ, a score is NaN, or `contrast` does not have k
      columns.
  """
  positive = as_labels(labels)
  sets = as_score_sets(scores, positive.size)
  rows = np.atleast_2d(np.asarray(contrast, dtype=np.float64))
  if rows.ndim != 2 or rows.shape[1] != len(sets):
    raise ValueError(
      f'contrast must be [r, {len(sets)}], a column for each score set, got shape {rows.shape}'
    )
  numbers = as_patients(patients, positive.size)
  wins, losses = count_wins(positive, sets)
  own_variances = np.diag(clustered_covariance(wins, losses, positive, numbers))
  wins, losses = rows @ wins, rows @ losses
  estimates = areas(wins, positive)
  if not wins.any() and not losses.any():
    return ContrastTest(estimates, np.zeros((len(rows), len(rows))), 0.0, 0, 1.0)
  covariance = clustered_covariance(wins, losses, positive, numbers)
  if not (own_variances[rows.any(axis=0)] > 0).all():
    return ContrastTest(estimates, np.full_like(covariance, np.nan), math.nan, 0, math.nan)
  # A contrast that depends on others adds nothing but rounding errors to the rank.
  inverse, rank = linalg.pinvh(covariance, rtol=1e-10, return_rank=True)
  unexplained = estimates - covariance @ inverse @ estimates
  if np.abs(unexplained).max() > 1e-9:
    return ContrastTest(estimates, covariance, math.nan, int(rank), math.nan)
  chi_square = float(estimates @ inverse @ estimates)
  return ContrastTest(
    estimates, covariance, chi_square, int(rank), float(stats.chi2.sf(chi_square, rank))
  )


def seeds_test(
  labels: ArrayLike,
  scores_a: ArrayLike,
  scores_b: ArrayLike,
  patients: ArrayLike | None = None,
  *,
  confidence: float = 0.95,
) -> SeedsTest:
  """Tests whether two ways of training give the same area, over several training runs of each.

  Images and training seeds both count as samples: Obuchowski and Rockette, Communications in
  Statistics 1995;24:285, with Hillis's degrees of freedom, Statistics in Medicine 2007;26:596, with
  seeds in place of readers. The covariances are DeLong's, or Obuchowski's.

  Args:
    labels: [n], 0 or 1.
    scores_a: f[s, n], a row for each seed of the first model, s at least 2.
    scores_b: f[s, n], the same for the second model, with the same seeds.
    patients: [n], the patient of each image; None if each has its own patient.
    confidence: level of the interval, in (0, 1).

  Raises:
    ValueError: a class is missing, shapes differ, a score is NaN, or there is only one seed.
  """
  positive = as_labels(labels)
  a, b = (as_score_sets(scores, positive.size) for scores in (scores_a, scores_b))
  seeds = len(a)
  if seeds < 2 or len(b) != seeds:
    raise ValueError(f'both models need the same two seeds or more; got {seeds} and {len(b)}')
  wins, losses = count_wins(positive, np.concatenate([a, b]))
  contrast = np.hstack([np.eye(seeds), -np.eye(seeds)])
  wins, losses = contrast @ wins, contrast @ losses
  differences = areas(wins, positive)
  covariance = clustered_covariance(wins, losses, positive, as_patients(patients, positive.size))
  between = differences.var(ddof=1) / seeds
  shared = covariance[~np.eye(seeds, dtype=bool)].mean()
  difference, variance = float(differences.mean()), between + max(shared, 0.0)
  if not wins.any() and not losses.any():
    return SeedsTest(0.0, (0.0, 0.0), math.nan, 1.0)
  if not variance > 0:
    return SeedsTest(difference, (math.nan, math.nan), math.nan, math.nan)
  degrees = (seeds - 1) * (variance / between) ** 2 if between > 0 else math.inf
  reach = stats.t.ppf(0.5 + as_confidence(confidence) / 2, degrees) * math.sqrt(variance)
  p = 2 * stats.t.sf(abs(difference) / math.sqrt(variance), degrees)
  low, high = np.clip([difference - reach, difference + reach], -1, 1)
  return SeedsTest(difference, (float(low), float(high)), degrees, float(p))


def _compare(
  area_a: float, area_b: float, difference: float, variance: float, confidence: float
) -> AucTest:
  """Tests a difference; interval, z and p are NaN if the variance is."""
  error = math.sqrt(variance)
  reach = special.ndtri(0.5 + as_confidence(confidence) / 2) * error
  low, high = np.clip([difference - reach, difference + reach], -1, 1)
  z = difference / error
  return AucTest(
    float(area_a),
    float(area_b),
    float(difference),
    (float(low), float(high)),
    float(z),
    float(2 * special.ndtr(-abs(z))),
  )
