"""The ROC curve, and the entry point to all statistics of labels and scores.

Areas and their covariance are in `delong`, their tests in `auc_tests`, thresholds in
`operating_point`.
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from nodulax.statistics.auc_tests import (
  AucTest,
  ContrastTest,
  SeedsTest,
  contrast_test,
  delong_test,
  seeds_test,
  unpaired_test,
)
from nodulax.statistics.checks import Floats, as_labels, as_patients, as_scores
from nodulax.statistics.curves import Alarms, Band
from nodulax.statistics.delong import auc, delong_covariance, delong_interval
from nodulax.statistics.operating_point import (
  OperatingPoint,
  PredictiveValues,
  Proportion,
  clopper_pearson,
  operating_point,
  predictive_values,
  threshold_at_specificity,
  youden_threshold,
)

__all__ = [
  'AucTest',
  'Band',
  'ContrastTest',
  'OperatingPoint',
  'PrecisionRecallCurve',
  'PredictiveValues',
  'Proportion',
  'RocCurve',
  'SeedsTest',
  'auc',
  'average_precision',
  'clopper_pearson',
  'contrast_test',
  'delong_covariance',
  'delong_interval',
  'delong_test',
  'operating_point',
  'partial_auc',
  'precision_recall_curve',
  'predictive_values',
  'roc_band',
  'roc_curve',
  'seeds_test',
  'threshold_at_specificity',
  'unpaired_test',
  'youden_threshold',
]

# Fine enough for a drawing.
DEFAULT_RATES = np.linspace(0, 1, 201)


@dataclasses.dataclass(frozen=True)
class RocCurve:
  """The empirical ROC curve.

  Attributes:
    false_positive_rate: f64[t], 1 - specificity, rising from 0 to 1.
    sensitivity: f64[t], rising from 0 to 1.
    thresholds: f64[t], infinity, then the distinct scores, falling.
  """

  false_positive_rate: Floats
  sensitivity: Floats
  thresholds: Floats


@dataclasses.dataclass(frozen=True)
class PrecisionRecallCurve:
  """The empirical precision-recall curve.

  Attributes:
    recall: f64[t], sensitivity, rising to 1.
    precision: f64[t], the positive predictive value at the data's prevalence.
    thresholds: f64[t], the distinct scores, falling.
  """

  recall: Floats
  precision: Floats
  thresholds: Floats


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
  """Computes the empirical ROC curve, with a point for each distinct score.

  Args:
    labels: [n], 0 or 1.
    scores: f[n], higher means more suspicious.

  Raises:
    ValueError: a class is missing, lengths differ, or a score is NaN.
  """
  return RocCurve(*_alarms(labels, scores, None).curve())


def roc_band(
  labels: ArrayLike,
  scores: ArrayLike,
  patients: ArrayLike | None = None,
  *,
  false_positive_rates: ArrayLike = DEFAULT_RATES,
  confidence: float = 0.95,
  resamples: int = 1000,
  seed: int = 0,
) -> Band:
  """Estimates sensitivity at given false-positive rates, with pointwise bootstrap intervals.

  Args:
    labels: [n], 0 or 1.
    scores: f[n].
    patients: [n], the patient of each image; None if each has its own patient.
    false_positive_rates: f[r], rates at which to evaluate the curve.
    confidence: level of the intervals, in (0, 1).
    resamples: number of bootstrap resamples.
    seed: seed of the bootstrap.

  Raises:
    ValueError: a class is missing, lengths differ, or a score is NaN.
  """
  return _alarms(labels, scores, patients).band(
    np.asarray(false_positive_rates, dtype=np.float64),
    confidence=confidence,
    resamples=resamples,
    seed=seed,
  )


def partial_auc(
  labels: ArrayLike,
  scores: ArrayLike,
  max_false_positive_rate: float,
  *,
  standardized: bool = True,
) -> float:
  """Returns the area under the ROC curve from specificity 1 down to 1 - `max_false_positive_rate`.

  Args:
    labels: [n], 0 or 1.
    scores: f[n].
    max_false_positive_rate: in (0, 1].
    standardized: McClish's scale, on which chance is 0.5 and perfection 1 (Medical Decision
      Making 1989;9:190); otherwise the bare area.

  Raises:
    ValueError: a class is missing, lengths differ, a score is NaN, or the rate is outside (0, 1].
  """
  if not 0 < max_false_positive_rate <= 1:
    raise ValueError(f'max_false_positive_rate must lie in (0, 1], got {max_false_positive_rate}')
  curve = roc_curve(labels, scores)
  inside = curve.false_positive_rate <= max_false_positive_rate
  rates = np.append(curve.false_positive_rate[inside], max_false_positive_rate)
  edge = np.interp(max_false_positive_rate, curve.false_positive_rate, curve.sensitivity)
  area = float(np.trapezoid(np.append(curve.sensitivity[inside], edge), rates))
  if not standardized:
    return area
  by_chance = max_false_positive_rate**2 / 2
  return (1 + (area - by_chance) / (max_false_positive_rate - by_chance)) / 2


def precision_recall_curve(labels: ArrayLike, scores: ArrayLike) -> PrecisionRecallCurve:
  """Computes the empirical precision-recall curve, with a point for each distinct score.

  Arguments and errors are those of `roc_curve`.
  """
  alarms = _alarms(labels, scores, None)
  false_positive_rate, recall, thresholds = (values[1:] for values in alarms.curve())
  found = recall * alarms.targets.sum()
  false = false_positive_rate * alarms.units.sum()
  return PrecisionRecallCurve(recall, found / (found + false), thresholds)


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
  """Averages precision over the steps in recall, without interpolation.

  Arguments and errors are those of `roc_curve`.
  """
  curve = precision_recall_curve(labels, scores)
  return float((np.diff(curve.recall, prepend=0) * curve.precision).sum())


def _alarms(labels: ArrayLike, scores: ArrayLike, patients: ArrayLike | None) -> Alarms:
  """Every image is an alarm, every nodule image a target."""
  positive = as_labels(labels)
  numbers = as_patients(patients, positive.size)
  count = int(numbers.max()) + 1
  return Alarms(
    scores=as_scores(scores, positive.size),
    patients=numbers,
    hit=positive,
    false=~positive,
    targets=np.bincount(numbers[positive], minlength=count),
    units=np.bincount(numbers[~positive], minlength=count),
  )
