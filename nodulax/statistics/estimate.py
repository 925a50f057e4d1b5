"""A number with its confidence interval, as all modules here return it."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A number with its confidence interval.

  Attributes:
    value: the point estimate.
    low: lower bound of the interval; NaN if the variance cannot be estimated.
    high: upper bound of the interval; NaN if the variance cannot be estimated.
  """

  value: float
  low: float
  high: float

  @property
  def estimable(self) -> bool:
    """Whether the data allow an interval."""
    return not (math.isnan(self.low) or math.isnan(self.high))
