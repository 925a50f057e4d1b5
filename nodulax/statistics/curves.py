"""Sensitivity against false alarms: the basis of both the ROC and the free-response ROC.

Both show how much of the truth is found as the threshold falls, against the number of false alarms;
in the ROC an alarm is an image, in the free-response ROC a place in an image.
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from nodulax.statistics.bootstrap import draw_patients
from nodulax.statistics.checks import Bools, Floats, Integers, as_confidence


@dataclasses.dataclass(frozen=True)
class Band:
  """Sensitivity at given rates of false alarms, with pointwise bootstrap intervals over patients.

  Attributes:
    rates: f64[r], false alarms per unit.
    sensitivity: f64[r].
    low: f64[r], lower bounds.
    high: f64[r], upper bounds.
    mean: the mean sensitivity over the rates.
    mean_low: its lower bound.
    mean_high: its upper bound.
  """

  rates: Floats
  sensitivity: Floats
  low: Floats
  high: Floats
  mean: float
  mean_low: float
  mean_high: float


@dataclasses.dataclass(frozen=True)
class Alarms:
  """Alarms, and the truth with which they are compared.

  Attributes:
    scores: f64[a].
    patients: i64[a], the patient of the image that each alarm is in.
    hit: bool[a], whether it finds a target.
    false: bool[a], whether it is a false alarm; an alarm that is neither is not counted.
    targets: i64[p], number of targets of each patient.
    units: i64[p], number of images, or normal images, of each patient, by which false alarms are
      divided.
  """

  scores: Floats
  patients: Integers
  hit: Bools
  false: Bools
  targets: Integers
  units: Integers

  def curve(self) -> tuple[Floats, Floats, Floats]:
    """Returns false alarms per unit, sensitivity and thresholds, f64[t] each.

    The first threshold is infinite, so that nothing is called; the others are the distinct scores,
    falling.
    """
    order, last = self._falling()
    rates, sensitivity = _cumulated(
      self.hit[order], self.false[order], last, self.targets.sum(), self.units.sum()
    )
    return rates, sensitivity, np.concatenate([[np.inf], self.scores[order][last]])

  def band(self, rates: Floats, *, confidence: float, resamples: int, seed: int) -> Band:
    """Interpolates sensitivity at `rates`, constant after the curve's last point."""
    order, last = self._falling()
    hit, false, patients = self.hit[order], self.false[order], self.patients[order]
    resampled = []
    for drawn in draw_patients(self.targets.size, resamples, seed):
      for patients_drawn in drawn:
        weights = np.bincount(patients_drawn, minlength=self.targets.size)
        targets, units = int(weights @ self.targets), int(weights @ self.units)
        if targets and units:
          of_alarm = weights[patients]
          curve = _cumulated(of_alarm * hit, of_alarm * false, last, targets, units)
          resampled.append(np.interp(rates, *curve))
    tails = 0.5 + as_confidence(confidence) / 2 * np.array([-1, 1])
    low, high = np.quantile(resampled, tails, axis=0)
    mean_low, mean_high = np.quantile(np.mean(resampled, axis=1), tails)
    sensitivity = np.interp(rates, *self.curve()[:2])
    mean = float(sensitivity.mean())
    return Band(rates, sensitivity, low, high, mean, float(mean_low), float(mean_high))

  def _falling(self) -> tuple[Integers, Integers]:
    """Returns the order of falling scores, and the end of each run of equal scores in it."""
    order = np.argsort(-self.scores, kind='stable')
    falling = self.scores[order]
    ends = np.ones(order.size, dtype=bool)
    ends[:-1] = falling[1:] != falling[:-1]
    return order, np.flatnonzero(ends)


def _cumulated(
  hits: ArrayLike, false: ArrayLike, last: Integers, targets: int, units: int
) -> tuple[Floats, Floats]:
  """False alarms per unit and sensitivity after each run of equal scores, starting from (0, 0)."""
  rates, sensitivity = np.zeros(last.size + 1), np.zeros(last.size + 1)
  rates[1:] = np.cumsum(false)[last] / units
  sensitivity[1:] = np.cumsum(hits)[last] / targets
  return rates, sensitivity
