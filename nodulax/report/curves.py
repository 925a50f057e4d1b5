"""The curves of each model on each set, and the numbers read from them."""

import dataclasses
import math

import numpy as np
import pandas as pd

from nodulax.report.accuracy import NOT_ESTIMABLE, spread
from nodulax.report.results import Evaluation, Results
from nodulax.statistics import calibration, froc, roc
from nodulax.statistics.estimate import Estimate

THRESHOLDS = np.linspace(0.01, 0.99, 99)  # probabilities from which one might act
FROC_RATES = np.geomspace(1 / 16, 8, 57)  # false positives per image at which curves are drawn
BINS = 10  # of probability, in a reliability curve


@dataclasses.dataclass(frozen=True)
class Curves:
  """The curves of one model on one set; None if the data do not allow one."""

  roc: roc.Band | None
  froc: froc.Band | None
  reliability: calibration.ReliabilityCurve
  decision: calibration.DecisionCurve | None


def draw(results: Results, prevalence: float | None) -> dict[tuple[str, str], Curves]:
  """Computes the curves by model and set.

  Args:
    results: evaluations of all models on all sets.
    prevalence: share of nodules where the model would be used, for the decision curve; None for
      that of each set.
  """
  return {
    (evaluation.model, evaluation.test_set): _curves(evaluation, prevalence)
    for evaluation in results
  }


def _curves(evaluation: Evaluation, prevalence: float | None) -> Curves:
  cases = evaluation.cases
  labels, probability = cases['label'].to_numpy(), cases['probability'].to_numpy()
  both = evaluation.has_both_classes
  detections = evaluation.detections
  return Curves(
    roc=roc.roc_band(labels, probability, cases['patient_id'].to_numpy(str)) if both else None,
    froc=None if detections is None else froc.froc_band(detections, FROC_RATES),
    reliability=calibration.reliability_curve(labels, probability, BINS),
    decision=(
      calibration.decision_curve(labels, probability, THRESHOLDS, prevalence=prevalence)
      if both
      else None
    ),
  )


def localisation(results: Results) -> pd.DataFrame:
  """Computes the free-response ROC: a row per model and set with located nodules."""
  rows = []
  for evaluation in results:
    detections = evaluation.detections
    if detections is None:
      continue
    band = froc.froc_band(detections)
    nodules = np.asarray(detections.nodules)
    rows.append(
      {
        'set': evaluation.test_set,
        'model': evaluation.model,
        'images': nodules.size,
        'located': int((nodules > 0).sum()),
        'normal': int((nodules == 0).sum()),
        'nodules': int(nodules.sum()),
        **{
          f'sensitivity_at_{rate:g}': sensitivity
          for rate, sensitivity in zip(froc.RATES, band.sensitivity, strict=True)
        },
        **spread('mean_sensitivity', Estimate(band.mean, band.mean_low, band.mean_high)),
        **spread('jafroc', froc.jafroc(detections) if (nodules == 0).any() else NOT_ESTIMABLE),
      }
    )
  return pd.DataFrame(rows)


def calibrations(results: Results) -> pd.DataFrame:
  """Measures calibration: a row per model and set.

  Also at the temperature that was fitted on the tune split, if `evaluate` recorded one.
  """
  rows = []
  for evaluation in results:
    labels = evaluation.cases['label'].to_numpy()
    probability = evaluation.cases['probability'].to_numpy()
    score = calibration.brier(labels, probability, BINS)
    temperature = evaluation.metrics.get('temperature') or math.nan
    cooled = math.nan
    if temperature > 0:
      cooled = calibration.expected_calibration_error(
        labels, calibration.apply_temperature(probability, temperature), BINS
      )
    rows.append(
      {
        'set': evaluation.test_set,
        'model': evaluation.model,
        'images': labels.size,
        'observed': labels.mean(),
        'predicted': probability.mean(),
        'calibration_error': calibration.expected_calibration_error(labels, probability, BINS),
        'brier': score.score,
        'reliability': score.reliability,
        'resolution': score.resolution,
        'uncertainty': score.uncertainty,
        'temperature': temperature,
        'calibration_error_at_temperature': cooled,
      }
    )
  return pd.DataFrame(rows)
