"""Resampling by patient, which every interval needs if patients have several images."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from nodulax.statistics.checks import Integers, as_confidence
from nodulax.statistics.estimate import Estimate

# Patients drawn at a time, over all resamples of a chunk, which limits memory to about 100 MB.
_DRAWS_AT_ONCE = 4_000_000


def draw_patients(patients: int, resamples: int, seed: int) -> Iterator[Integers]:
  """Yields chunks i64[chunk, patients] of patients drawn with replacement, `resamples` in all."""
  generator = np.random.default_rng(seed)
  chunk = max(1, _DRAWS_AT_ONCE // patients)
  for start in range(0, resamples, chunk):
    yield generator.integers(0, patients, (min(chunk, resamples - start), patients))


def ratio_interval(
  numerators: ArrayLike,
  denominators: ArrayLike,
  *,
  confidence: float = 0.95,
  resamples: int = 2000,
  seed: int = 0,
) -> Estimate:
  """Estimates a ratio of sums over patients, with a bootstrap interval.

  A mean over images is such a ratio: a patient's sum over a patient's number of images.

  The interval is bias-corrected and accelerated (BCa): Efron, Journal of the American Statistical
  Association 1987;82:171.

  Args:
    numerators: f[p], one for each patient.
    denominators: f[p], 0 or more, not all 0.
    confidence: level of the interval, in (0, 1).
    resamples: number of bootstrap resamples.
    seed: seed of the bootstrap.

  Returns:
    The ratio; its bounds are NaN if it does not vary between patients.
  """
  sums, weights = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
  sums, weights = sums[weights > 0], weights[weights > 0]
  value = sums.sum() / weights.sum()
  if np.allclose(sums, value * weights, rtol=1e-12, atol=0):
    return Estimate(float(value), np.nan, np.nan)
  ratios = np.concatenate(
    [
      sums[drawn].sum(axis=1) / weights[drawn].sum(axis=1)
      for drawn in draw_patients(sums.size, resamples, seed)
    ]
  )
  below = ((ratios < value).mean() + (ratios <= value).mean()) / 2
  bias = special.ndtri(below)
  left_out = (sums.sum() - sums) / (weights.sum() - weights)
  pull = left_out.mean() - left_out
  acceleration = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
  reach = bias + special.ndtri(0.5 + as_confidence(confidence) / 2) * np.array([-1, 1])
  low, high = np.quantile(ratios, special.ndtr(bias + reach / (1 - acceleration * reach)))
  return Estimate(float(value), float(low), float(high))
