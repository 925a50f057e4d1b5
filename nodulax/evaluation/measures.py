"""Computes the numbers of metrics.json, and the Dice coefficient of each radiograph."""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from nodulax.checkpoints.description import Thresholds
from nodulax.input.prepared import Prepared
from nodulax.statistics import overlap, roc


def measure(
  labels: np.ndarray,
  patients: Sequence[str],
  probability: np.ndarray,
  dices: np.ndarray,
  thresholds: Thresholds,
) -> dict[str, Any]:
  """Computes the numbers of metrics.json; 95 % intervals account for repeated patients.

  Args:
    labels: int[N], 1 with a nodule.
    patients: patient of each radiograph.
    probability: f64[N].
    dices: f64[N], NaN where there is no nodule or its location is unknown.
    thresholds: frozen on the tune split.

  Returns:
    JSON. AUC, sensitivity and specificity are None if a class is missing, and so is every
    bound that cannot be estimated.
  """
  auc = sensitivity = specificity = None
  if 0 < labels.sum() < len(labels):
    auc = _interval(roc.delong_interval(labels, probability, patients))
    point = roc.operating_point(labels, probability, thresholds.probability, patients)
    sensitivity, specificity = _interval(point.sensitivity), _interval(point.specificity)
  dice = overlap.mean_overlap(dices, patients)
  return {
    'images': len(labels),
    'nodule_images': int(labels.sum()),
    'patients': len(set(patients)),
    'auc': auc,
    'probability_threshold': thresholds.probability,
    'specificity_90_threshold': thresholds.specificity_90,
    'tune_images': thresholds.tune_images,
    'tune_auc': thresholds.tune_auc,
    'temperature': thresholds.temperature,
    'sensitivity': sensitivity,
    'specificity': specificity,
    'dice': {**_interval(dice), 'images': dice.images},
    'heat_map_threshold': {
      'value': thresholds.heat_map.value,
      'of': "each map's maximum" if thresholds.heat_map.relative else '1',
      'tune_images': thresholds.heat_map.images,
    },
  }


def enlarged(heat_map: np.ndarray, size: int) -> np.ndarray:
  """Enlarges `heat_map f32[h, w]` bilinearly to the network's input: f32[size, size]."""
  return cv2.resize(heat_map, (size, size), interpolation=cv2.INTER_LINEAR)


def located(prepared: Prepared) -> list[int]:
  """Returns the indices of the nodule images whose nodules are located."""
  cases = prepared.cases
  return [index for index, case in enumerate(cases) if case.label and case.location_known]


def dice_coefficients(
  prepared: Prepared, heat_maps: np.ndarray, thresholds: Thresholds
) -> np.ndarray:
  """Computes Dice of each radiograph, f64[N]; NaN where there is no located nodule."""
  dices = np.full(len(prepared), np.nan)
  for index in located(prepared):
    heat = enlarged(heat_maps[index], prepared.images.shape[1])
    dices[index] = overlap.dice(
      heat,
      prepared.truth(index),
      thresholds.heat_map.of(heat),
      prepared.truth_outside[index],
    )
  return dices


def _interval(estimate: Any) -> dict[str, float | None]:
  numbers = {'value': estimate.value, 'low': estimate.low, 'high': estimate.high}
  return {name: None if math.isnan(number) else number for name, number in numbers.items()}
