"""A trained network that stays loaded and reads radiographs: shared by the command and the page."""

import os
import pathlib
from collections.abc import Sequence

import cv2
import jax
import numpy as np
from etils import epath

from nodulax.checkpoints import checkpoint, networks
from nodulax.distributed import inference, parallel
from nodulax.prediction.prediction import Prediction, Reading, predict, prepare
from nodulax.radiograph import pictures
from nodulax.radiograph.preprocessing import Crop, Preprocessing
from nodulax.radiograph.reading import Radiograph, read_radiograph

LARGEST_OVERLAY = 1024  # pixels along the longer side


class Reader:
  """The best network of a run.

  Args:
    run: the workdir of a training run.
    batch_size: radiographs at a time.
    devices: devices to run on.

  Raises:
    CheckpointError: there is no such run.
  """

  def __init__(self, run: epath.PathLike, batch_size: int, devices: Sequence[jax.Device]):
    self.description = checkpoint.describe(run)
    self.batch_size = inference.rounded_up(batch_size, devices)
    network, variables = networks.load_network(run)
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
      predict(reading, float(probability), heat_map, self.description.thresholds)
      for reading, probability, heat_map in zip(readings, probabilities, heat_maps, strict=True)
    ]


def read(path: str | os.PathLike, preprocessing: Preprocessing) -> Reading:
  """Reads a radiograph from its file and prepares it for the network.

  Raises:
    RadiographError: the file is not a radiograph that can be read.
  """
  return prepare(read_radiograph(pathlib.Path(path)), preprocessing)


def shown(radiograph: Radiograph, size: int) -> np.ndarray:
  """The radiograph in 8 bits, for people: u8[h, w], at most `size` pixels along its longer side."""
  pixels = radiograph.pixels
  black, white = np.percentile(pixels, (0.5, 99.5))
  greys = np.arange(int(pixels.max()) + 1, dtype=np.float32)  # few, where pixels are many
  table = ((greys - black) / max(white - black, 1) * 255).clip(0, 255).astype(np.uint8)
  scale = min(1, size / max(pixels.shape))
  # A strip a few pixels wide must not vanish.
  width, height = (max(1, round(side * scale)) for side in pixels.shape[::-1])
  return cv2.resize(table[pixels], (width, height), interpolation=cv2.INTER_AREA)


def whole_heat_map(
  heat_map: np.ndarray, crop: Crop, shape: tuple[int, ...], size: tuple[int, int]
) -> np.ndarray:
  """Places a heat map in the whole radiograph, with 0 around it.

  Args:
    heat_map: f32[h, h], the heat map of the crop.
    crop: the crop in pixels of the stored image.
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
  picture = pictures.boxes(picture, boxes)
  if reading.objection:
    picture = pictures.caption(picture, f'READ BY FORCE: {reading.objection}', row=0)
  return picture
