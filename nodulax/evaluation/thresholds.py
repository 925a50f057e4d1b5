"""Chooses thresholds and temperature on the tune split, once."""

from collections.abc import Sequence

import numpy as np

from nodulax.checkpoints.description import Thresholds
from nodulax.evaluation.measures import enlarged, located
from nodulax.input.prepared import Prepared
from nodulax.statistics import calibration, overlap, roc

# With fewer tune images than this, a temperature is mostly chance.
FEWEST_TO_CALIBRATE = 30
SPECIFICITY = 0.9  # of the second threshold, on the tune split


def freeze_thresholds(tune: Prepared, probability: np.ndarray, heat_maps: np.ndarray) -> Thresholds:
  """Chooses the thresholds on the tune split, which never change afterwards.

  Args:
    tune: the tune split, N radiographs.
    probability: f64[N].
    heat_maps: f32[N, h, w].
  """
  labels = [case.label for case in tune.cases]
  dices = [
    overlap.dice_by_threshold(
      enlarged(heat_maps[index], tune.images.shape[1]),
      tune.truth(index),
      truth_outside=tune.truth_outside[index],
    )
    for index in located(tune)
  ]
  return Thresholds(
    probability=roc.youden_threshold(labels, probability),
    heat_map=overlap.choose_threshold(dices),
    tune_images=len(tune),
    tune_auc=roc.auc(labels, probability),
    temperature=temperature(labels, probability),
    specificity_90=roc.threshold_at_specificity(labels, probability, SPECIFICITY),
  )


def temperature(labels: Sequence[int], probability: np.ndarray) -> float | None:
  """Returns the temperature that calibrates `probability f64[N]`; None if it cannot be fitted.

  It cannot if there are too few labels, or if the likelihood has no optimum: probabilities would
  become almost 0 or 1.
  """
  if len(labels) < FEWEST_TO_CALIBRATE:
    return None
  fitted = calibration.fit_temperature(labels, probability)
  return fitted if calibration.COLDEST < fitted < calibration.HOTTEST else None
