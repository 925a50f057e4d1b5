"""Prepares a radiograph for the network, and makes a prediction from its answer.

It needs no JAX, so that exported networks use the same code.
"""

import dataclasses

import numpy as np

from nodulax.checkpoints.description import Thresholds
from nodulax.prediction import findings
from nodulax.prediction.findings import Place
from nodulax.radiograph import guard
from nodulax.radiograph.lungs import LungBox, find_lung_box
from nodulax.radiograph.orientation import Turn
from nodulax.radiograph.preprocessing import Crop, Preprocessing
from nodulax.radiograph.record import Radiograph
from nodulax.statistics import calibration
from nodulax.statistics.findings import Finding


@dataclasses.dataclass(frozen=True)
class Reading:
  """A radiograph ready for the network.

  Attributes:
    radiograph: the radiograph as it was read.
    lungs: where its lungs are.
    crop: the part of it that the network sees.
    view: u8[S, S], the network's input.
    objection: why it is not an upright frontal chest radiograph; '' if it seems to be one.
  """

  radiograph: Radiograph
  lungs: LungBox
  crop: Crop
  view: np.ndarray
  objection: str = ''


@dataclasses.dataclass(frozen=True)
class Prediction:
  """A network's prediction for a radiograph.

  Attributes:
    probability: probability of a nodule or mass; calibrated if the network has a temperature.
    uncalibrated: the probability before calibration.
    threshold: threshold on the scale of `probability`.
    positive: whether the probability reaches the threshold.
    heat_map: f32[h, h] in [0, 1], the heat map of the crop.
    findings: findings in pixels of the radiograph, the hottest first.
    places: where each finding lies in the patient.
    marked: whether each finding is to be shown.
  """

  probability: float
  uncalibrated: float
  threshold: float
  positive: bool
  heat_map: np.ndarray
  findings: list[Finding]
  places: list[Place]
  marked: list[bool]


def prepare(radiograph: Radiograph, preprocessing: Preprocessing) -> Reading:
  """Prepares one radiograph for the network."""
  lungs = find_lung_box(radiograph.pixels)
  return Reading(
    radiograph,
    lungs,
    preprocessing.crop(radiograph.pixels.shape, lungs.box),
    preprocessing.image(radiograph.pixels, lungs.box),
    radiograph.objection or guard.pixel_objection(radiograph.pixels, lungs),
  )


def predict(
  reading: Reading, probability: float, heat_map: np.ndarray, thresholds: Thresholds
) -> Prediction:
  """Makes a prediction from the network's answer.

  Args:
    reading: the radiograph that it read.
    probability: its answer, uncalibrated.
    heat_map: f32[h, h] in [0, 1], its heat map of the crop.
    thresholds: thresholds of the network.
  """
  positive = probability >= thresholds.probability
  found = findings.locate(heat_map, reading.crop)
  return Prediction(
    probability=calibrated(probability, thresholds.temperature),
    uncalibrated=probability,
    threshold=calibrated(thresholds.probability, thresholds.temperature),
    positive=positive,
    heat_map=heat_map,
    findings=found,
    places=[
      findings.place(finding, reading.lungs, reading.radiograph.orientation) for finding in found
    ],
    marked=findings.marked(found, positive, thresholds.heat_map.of(heat_map)),
  )


def as_stored(reading: Reading, prediction: Prediction) -> tuple[Reading, Prediction]:
  """Converts both to pixels as stored in the file, for output that is used with the file.

  Only `Reading.view` stays upright, as the network saw it.
  """
  radiograph = reading.radiograph
  turn, shape, spacing = radiograph.turn, radiograph.pixels.shape, radiograph.spacing_mm
  if turn == Turn():
    return reading, prediction

  def stored(finding: Finding) -> Finding:
    x, y, *_ = turn.stored_box((finding.x, finding.y) * 2, shape)
    return dataclasses.replace(finding, x=x, y=y, box=turn.stored_box(finding.box, shape))

  lying = dataclasses.replace(
    radiograph,
    pixels=turn.stored(radiograph.pixels),
    spacing_mm=None if spacing is None else turn.swapped(spacing),
    orientation=turn.orientation,
    turn=Turn(),
  )
  x_min, y_min, x_max, y_max = map(int, turn.stored_box(reading.crop, shape))
  return (
    dataclasses.replace(
      reading,
      radiograph=lying,
      lungs=dataclasses.replace(reading.lungs, box=turn.stored_box(reading.lungs.box, shape)),
      crop=Crop(x_min, y_min, x_max, y_max),
    ),
    dataclasses.replace(
      prediction,
      heat_map=turn.stored(prediction.heat_map),
      findings=[stored(finding) for finding in prediction.findings],
    ),
  )


def calibrated(probability: float, temperature: float | None) -> float:
  """Calibrates `probability` with a run's temperature, if it has one."""
  if temperature is None:
    return probability
  return float(calibration.apply_temperature([probability], temperature)[0])
