"""One radiograph before and after the network: what it is shown, and what follows from its answer.

NumPy alone, so that an exported network is used with this same code.
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
    radiograph: as it was read.
    lungs: where they are in it.
    crop: what the network sees of it.
    view: u8[S, S], what it sees.
    objection: why it is no upright frontal chest radiograph; '' where nothing speaks against it.
  """

  radiograph: Radiograph
  lungs: LungBox
  crop: Crop
  view: np.ndarray
  objection: str = ''


@dataclasses.dataclass(frozen=True)
class Prediction:
  """What the network says of a radiograph.

  Attributes:
    probability: of a nodule or mass; calibrated where the run has a temperature.
    uncalibrated: the same as the network gives it.
    threshold: on the scale of `probability`.
    positive: whether the probability reaches the threshold.
    heat_map: f32[h, h] in [0, 1], of the crop.
    findings: in pixels of the radiograph, the hottest first.
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
  """One radiograph to the network's input."""
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
  """What follows from the network's answer.

  Args:
    reading: what it was shown.
    probability: what it answered, uncalibrated.
    heat_map: f32[h, h] in [0, 1].
    thresholds: of the network.
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
  """The same in pixels as the file stores them, for all that is read beside the file.

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
  """`probability` at a run's temperature, which it may not have."""
  if temperature is None:
    return probability
  return float(calibration.apply_temperature([probability], temperature)[0])
