"""Corrects p-values for several comparisons."""

import numpy as np
from numpy.typing import ArrayLike

from nodulax.statistics.checks import Floats


def holm(p_values: ArrayLike) -> Floats:
  """Corrects p-values by Holm's step-down method: f64[m], in the order given.

  Holm, Scandinavian Journal of Statistics 1979;6:65. NaN marks a test that could not be
  done; it stays NaN and does not count.

  Args:
    p_values: f[m] in [0, 1] or NaN.

  Raises:
    ValueError: `p_values` is not a list, or one is outside [0, 1].
  """
  raw = np.asarray(p_values, dtype=np.float64)
  if raw.ndim != 1 or ((raw < 0) | (raw > 1)).any():
    raise ValueError('p_values must be a list of numbers in [0, 1]')
  order = np.argsort(raw)[: np.count_nonzero(~np.isnan(raw))]
  corrected = np.full_like(raw, np.nan)
  steps = raw[order] * np.arange(order.size, 0, -1)
  corrected[order] = np.maximum.accumulate(steps).clip(max=1)
  return corrected
