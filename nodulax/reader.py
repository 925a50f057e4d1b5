"""A trained network that stays loaded and reads radiographs: shared by the command and the page."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import cv2
import jax
import numpy as np
from etils import epath

from nodulax import checkpoint, findings, inference, parallel
from nodulax.findings import Place
from nodulax.radiograph import pictures
from nodulax.radiograph.lungs import LungBox, find_lung_box
from nodulax.radiograph.preprocessing import Crop, Preprocessing
from nodulax.radiograph.reading import Radiograph, read_radiograph
from nodulax.statistics import calibration
from nodulax.statistics.findings import Finding

LARGEST_OVERLAY = 1024  # pixels along the longer side


@dataclasses.dataclass(frozen=True)
class Reading:
  """A radiograph ready for the network."""

  radiograph: Radiograph
  lungs: LungBox
  crop: Crop
  view: np.ndarray  # u8[S, S]


@dataclasses.dataclass(frozen=True)
class Prediction:
  """What the network says of a radiograph.

  Attributes:
    probability: of a nodule or mass; calibrated where the run has a temperature.
    uncalibrated: the same as the network gives it.
    threshold: on the scale of `probability`.
    positive: whether the probability reaches the threshold.
    heat_map: f32[h, h] in [0, 1], of the crop.
    findings: in pixels of the stored image, the hottest first.
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


class Reader:
  """The best network of a run.

  Args:
    run: the workdir of a training run.
    batch_size: radiographs at a time.
    devices: to run on.

  Raises:
    CheckpointError: there is no such run.
  """

  def __init__(self, run: epath.PathLike, batch_size: int, devices: Sequence[jax.Device]):
    self.description = checkpoint.describe(run)
    self.batch_size = inference.rounded_up(batch_size, devices)
    network, variables = inference.load_network(run)
    self._variables = parallel.replicate(variables, devices)
    self._predictor = inference.Predictor(network, devices)

  def __call__(self, readings: Sequence[Reading]) -> list[Prediction]:
    """Predictions for one to `batch_size` radiographs."""
    views = np.stack([reading.view for reading in readings])[..., None]
    padding = self.batch_size - len(views)
    batch = {
      'image': np.pad(views, [(0, padding)] + [(0, 0)] * 3),
      'valid': np.arange(self.batch_size) < len(views),
    }
    probabilities, heat_maps = self._predictor(self._variables, [batch])
    return [
      self._predict(reading, float(probability), heat_map)
      for reading, probability, heat_map in zip(readings, probabilities, heat_maps, strict=True)
    ]

  def _predict(self, reading: Reading, probability: float, heat_map: np.ndarray) -> Prediction:
    thresholds = self.description.thresholds
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


def calibrated(probability: float, temperature: float | None) -> float:
  """`probability` at a run's temperature, which it may not have."""
  if temperature is None:
    return probability
  return float(calibration.apply_temperature([probability], temperature)[0])


def read(path: str | os.PathLike, preprocessing: Preprocessing) -> Reading:
  """One radiograph from its file to the network's input.

  Raises:
    RadiographError: the file is not a radiograph that can be read.
  """
  return prepare(read_radiograph(pathlib.Path(path)), preprocessing)


def prepare(radiograph: Radiograph, preprocessing: Preprocessing) -> Reading:
  """One radiograph to the network's input."""
  lungs = find_lung_box(radiograph.pixels)
  crop = preprocessing.crop(radiograph.pixels.shape, lungs.box)
  return Reading(radiograph, lungs, crop, preprocessing.image(radiograph.pixels, lungs.box))


def shown(radiograph: Radiograph, size: int) -> np.ndarray:
  """The radiograph in 8 bits, for people: u8[h, w], at most `size` pixels along its longer side."""
  pixels = radiograph.pixels
  black, white = np.percentile(pixels, (0.5, 99.5))
  scaled = (pixels.astype(np.float32) - black) / max(white - black, 1) * 255
  scale = min(1, size / max(pixels.shape))
  # A strip of few pixels must not vanish.
  width, height = (max(1, round(side * scale)) for side in pixels.shape[::-1])
  eight_bits = scaled.clip(0, 255).astype(np.uint8)
  return cv2.resize(eight_bits, (width, height), interpolation=cv2.INTER_AREA)


def whole_heat_map(
  heat_map: np.ndarray, crop: Crop, shape: tuple[int, ...], size: tuple[int, int]
) -> np.ndarray:
  """A heat map where it belongs in the whole radiograph, 0 around it.

  Args:
    heat_map: f32[h, h], of the crop.
    crop: in pixels of the stored image.
    shape: (height, width) of the stored image.
    size: (width, height) of the result.

  Returns:
    f32[height, width].
  """
  heat = np.zeros(shape, np.float32)
  crop.cut(heat)[:] = cv2.resize(
    heat_map, (crop.width, crop.height), interpolation=cv2.INTER_LINEAR
  )
  return cv2.resize(heat, size, interpolation=cv2.INTER_AREA)


def draw(reading: Reading, prediction: Prediction) -> np.ndarray:
  """The whole radiograph with its heat map and the boxes of its marked findings: u8[h, w, 3]."""
  grey = shown(reading.radiograph, LARGEST_OVERLAY)
  height, width = grey.shape
  stored = reading.radiograph.pixels.shape
  heat = whole_heat_map(prediction.heat_map, reading.crop, stored, (width, height))
  picture = pictures.overlay(grey, heat)
  scale = np.array([width / stored[1], height / stored[0]] * 2)
  boxes = [
    np.array(finding.box) * scale
    for finding, shows in zip(prediction.findings, prediction.marked, strict=True)
    if shows
  ]
  return pictures.boxes(picture, boxes)
