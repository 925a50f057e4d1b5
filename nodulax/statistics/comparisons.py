"""Several models against each other, and what that does to p-values."""

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from nodulax.statistics.auc_tests import AucTest, delong_test
from nodulax.statistics.checks import Floats


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Two models of several compared.

  Attributes:
    model_a: the first one's name.
    model_b: the second one's name.
    test: the paired test, with the raw p.
    p_holm: p corrected for all comparisons made together.
  """

  model_a: str
  model_b: str
  test: AucTest
  p_holm: float


def holm(p_values: ArrayLike) -> Floats:
  """Holm's step-down correction of p-values tested together: f64[m], in the order given.

  Holm, Scandinavian Journal of Statistics 1979;6:65. NaN, for what could not be tested, stays NaN
  and does not count.

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


def compare_models(
  labels: ArrayLike, scores: Mapping[str, ArrayLike], patients: ArrayLike | None = None
) -> list[Comparison]:
  """Every two models on the same images: paired tests of their areas, with raw and Holm's p.

  Args:
    labels: [n], 0 or 1.
    scores: the models' names and scores f[n].
    patients: [n], who each image is of; None where each has its own patient.

  Raises:
    ValueError: a class is missing, lengths differ, or a score is NaN.
  """
  pairs = list(itertools.combinations(scores, 2))
  tests = [delong_test(labels, scores[a], scores[b], patients) for a, b in pairs]
  corrected = holm([test.p_value for test in tests])
  return [
    Comparison(a, b, test, float(p))
    for (a, b), test, p in zip(pairs, tests, corrected, strict=True)
  ]
