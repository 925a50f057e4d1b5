"""Are the probabilities right, and would acting on them be beneficial?"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from nodulax.statistics.checks import Floats, Integers, as_labels, as_probabilities
from nodulax.statistics.operating_point import clopper_pearson

# Beyond these temperatures the fit has no optimum, as with perfect separation.
COLDEST, HOTTEST = 1 / 20, 20.0

# In single precision a sigmoid rounds probabilities closer to 1 than this; exact zeros and ones
# have no logit.
_NEAREST = 1e-7


@dataclasses.dataclass(frozen=True)
class ReliabilityCurve:
  """Outcomes of images with about the same probability; bins without images are left out.

  Attributes:
    predicted: f64[b], the mean probability.
    observed: f64[b], the share of nodule images.
    low: f64[b], the lower Clopper-Pearson bound of `observed`.
    high: f64[b], the upper bound.
    count: i64[b], the number of images.
  """

  predicted: Floats
  observed: Floats
  low: Floats
  high: Floats
  count: Integers


@dataclasses.dataclass(frozen=True)
class Brier:
  """The Brier score; `score = reliability - resolution + uncertainty + within_bins` exactly.

  Attributes:
    score: the mean squared difference between probability and label.
    reliability: how far the bins' probabilities are from the observed shares; 0 is best.
    resolution: how far the bins' observed shares are from the prevalence; higher is better.
    uncertainty: prevalence times its complement; the same for every model.
    within_bins: the variance of the probabilities within bins minus twice their covariance with
      the labels.
  """

  score: float
  reliability: float
  resolution: float
  uncertainty: float
  within_bins: float


@dataclasses.dataclass(frozen=True)
class DecisionCurve:
  """Net benefit, in true positives per image, of acting at each threshold probability.

  Attributes:
    thresholds: f64[t], the probabilities from which one would act.
    model: f64[t], the net benefit of acting on the model.
    treat_all: f64[t], that of acting on every image; acting on none has a net benefit of 0.
  """

  thresholds: Floats
  model: Floats
  treat_all: Floats


def reliability_curve(
  labels: ArrayLike, probabilities: ArrayLike, bins: int = 10, *, strategy: str = 'uniform'
) -> ReliabilityCurve:
  """Compares mean probability and observed share of nodule images in bins of probability.

  Args:
    labels: [n], 0 or 1.
    probabilities: f[n] in [0, 1].
    bins: number of bins.
    strategy: 'uniform', bins of equal width; or 'quantile', bins of about equally many images.

  Raises:
    ValueError: lengths differ, a probability is NaN or outside [0, 1], or the strategy is unknown.
  """
  positive = as_labels(labels, both_classes=False)
  values = as_probabilities(probabilities, positive.size)
  bin_of = _bins(values, bins, strategy)
  count = np.bincount(bin_of)
  filled = count > 0
  found = np.bincount(bin_of, positive)[filled].astype(np.int64)
  count = count[filled]
  intervals = [clopper_pearson(int(k), int(n)) for k, n in zip(found, count, strict=True)]
  return ReliabilityCurve(
    predicted=np.bincount(bin_of, values)[filled] / count,
    observed=found / count,
    low=np.array([interval.low for interval in intervals]),
    high=np.array([interval.high for interval in intervals]),
    count=count,
  )


def expected_calibration_error(
  labels: ArrayLike, probabilities: ArrayLike, bins: int = 10, *, strategy: str = 'uniform'
) -> float:
  """Averages the distance of observed share and mean probability over bins, by images.

  Naeini, Cooper and Hauskrecht, AAAI 2015. Arguments and errors as in `reliability_curve`.
  """
  curve = reliability_curve(labels, probabilities, bins, strategy=strategy)
  return float(np.average(np.abs(curve.observed - curve.predicted), weights=curve.count))


def brier(
  labels: ArrayLike, probabilities: ArrayLike, bins: int = 10, *, strategy: str = 'uniform'
) -> Brier:
  """Computes the Brier score and its decomposition over bins of probability.

  Murphy, Journal of Applied Meteorology 1973;12:595, with the within-bin terms of Stephenson,
  Coelho and Jolliffe, Weather and Forecasting 2008;23:752. Arguments and errors as in
  `reliability_curve`.
  """
  positive = as_labels(labels, both_classes=False).astype(np.float64)
  values = as_probabilities(probabilities, positive.size)
  bin_of = _bins(values, bins, strategy)
  count = np.bincount(bin_of).clip(min=1)
  predicted = (np.bincount(bin_of, values) / count)[bin_of]
  observed = (np.bincount(bin_of, positive) / count)[bin_of]
  prevalence = positive.mean()
  within = values - predicted
  return Brier(
    score=float(((values - positive) ** 2).mean()),
    reliability=float(((predicted - observed) ** 2).mean()),
    resolution=float(((observed - prevalence) ** 2).mean()),
    uncertainty=float(prevalence * (1 - prevalence)),
    within_bins=float((within**2 - 2 * within * (positive - observed)).mean()),
  )


def log_loss(labels: ArrayLike, probabilities: ArrayLike) -> float:
  """Returns the mean cross-entropy of the probabilities against the labels, in nats.

  Raises:
    ValueError: a class is missing, lengths differ, or a probability is invalid.
  """
  positive = as_labels(labels)
  values = as_probabilities(probabilities, positive.size).clip(_NEAREST, 1 - _NEAREST)
  return float(-np.log(np.where(positive, values, 1 - values)).mean())


def fit_temperature(labels: ArrayLike, probabilities: ArrayLike) -> float:
  """Fits the divisor of the logits that maximises the likelihood, for use on the tune split.

  Guo et al., ICML 2017. It is 1 if the probabilities are already calibrated, and above 1 if the
  network is overconfident. It is kept within 1/20 and 20, as there is no optimum if the classes
  are separated perfectly or the scores point the wrong way.

  Args:
    labels: [n], 0 or 1.
    probabilities: f[n] in [0, 1].

  Raises:
    ValueError: a class is missing, lengths differ, or a probability is NaN or outside [0, 1].
  """
  positive = as_labels(labels)
  logits = _logits(as_probabilities(probabilities, positive.size))

  def slope(inverse: float) -> float:
    """The derivative of the negative log-likelihood, rising in the inverse temperature."""
    return float(logits @ (special.expit(logits * inverse) - positive))

  if slope(1 / COLDEST) <= 0:
    return COLDEST
  if slope(1 / HOTTEST) >= 0:
    return HOTTEST
  return 1 / optimize.brentq(slope, 1 / HOTTEST, 1 / COLDEST, xtol=1e-14, rtol=1e-14)


def apply_temperature(probabilities: ArrayLike, temperature: float) -> Floats:
  """Divides the logits of probabilities, returned as f64[n], by `temperature`, which is above 0."""
  values = np.asarray(probabilities, dtype=np.float64)
  return special.expit(_logits(as_probabilities(values, values.size)) / temperature)


def decision_curve(
  labels: ArrayLike,
  probabilities: ArrayLike,
  thresholds: ArrayLike,
  *,
  prevalence: float | None = None,
) -> DecisionCurve:
  """Computes the net benefit of acting at each threshold probability.

  Vickers and Elkin, Medical Decision Making 2006;26:565: true positives minus false positives
  weighted by the odds of the threshold, per image.

  Args:
    labels: [n], 0 or 1.
    probabilities: f[n] in [0, 1]; one acts at or above a threshold.
    thresholds: f[t] in (0, 1).
    prevalence: share of nodules where the model would be used; None for that of the data, which
      means little if normals were drawn to match the nodules.

  Raises:
    ValueError: a class is missing, lengths differ, or a probability, a threshold or the prevalence
      is out of range.
  """
  positive = as_labels(labels)
  values = as_probabilities(probabilities, positive.size)
  levels = np.asarray(thresholds, dtype=np.float64)
  if not ((levels > 0) & (levels < 1)).all():
    raise ValueError('thresholds must lie strictly between 0 and 1')
  share = positive.mean() if prevalence is None else prevalence
  if not 0 < share < 1:
    raise ValueError(f'prevalence must lie strictly between 0 and 1, got {prevalence}')
  abnormal, normal = np.sort(values[positive]), np.sort(values[~positive])
  sensitivity = 1 - np.searchsorted(abnormal, levels) / abnormal.size
  false_positive_rate = 1 - np.searchsorted(normal, levels) / normal.size
  cost = (1 - share) * levels / (1 - levels)
  return DecisionCurve(levels, share * sensitivity - cost * false_positive_rate, share - cost)


def _logits(values: Floats) -> Floats:
  return special.logit(values.clip(_NEAREST, 1 - _NEAREST))


def _bins(values: Floats, bins: int, strategy: str) -> Integers:
  """The bin of each probability; one on an edge belongs to the bin below."""
  steps = np.linspace(0, 1, bins + 1)[1:-1]
  if strategy == 'uniform':
    return np.searchsorted(steps, values)
  if strategy == 'quantile':
    return np.searchsorted(np.quantile(values, steps), values)
  raise ValueError(f"strategy must be 'uniform' or 'quantile', got {strategy!r}")
