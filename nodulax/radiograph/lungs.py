"""The lung box: the rectangle around the lung fields of a frontal chest radiograph.

A small network outlines the lungs (`lung_network.py`); it was trained by `python -m
nodulax.phantom.train_lungs` only on simulated radiographs. The box bounds its outline.
"""

import dataclasses
import functools
import hashlib
import pathlib

import cv2
import numpy as np

from nodulax.radiograph import lung_network
from nodulax.radiograph.record import as_film

_WEIGHTS = pathlib.Path(__file__).with_name('lung_network.npz')
# The outline is drawn on a finer grid than the network's, so that its edges fall between pixels.
_OUTLINE_SIZE = 4 * lung_network.OUTPUT_SIZE
# A second field smaller than this part of the first is no lung.
_SMALLEST_SECOND_LUNG = 0.15
# Limits of a plausible box, as parts of the image's width, height and area, and width by height:
# the narrowest chest is wider than one lung alone, which is 0.4 to 0.6 times as wide as high.
_SMALLEST_SIDE = 0.2
_SMALLEST_LUNG_AREA = 0.03
# A single field with sides longer than this part of the image's is the whole picture, not a lung.
_LARGEST_FIELD_SIDE = 0.95
_ASPECTS = (0.65, 2.2)


@dataclasses.dataclass(frozen=True)
class LungBox:
  """Where the lungs are.

  Attributes:
    box: (x_min, y_min, x_max, y_max) in pixels of the image, half-open, without margin; the whole
      image if the lungs were not found.
    found: whether the lungs were found.
    seen: f32[128, 128, 2], the lung network's input; None if it was not run.
    logits: f32[64, 64], the network's logit for lung of each cell; None if it was not run.
  """

  box: tuple[float, float, float, float]
  found: bool
  seen: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)
  logits: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)


def find_lung_box(pixels: np.ndarray) -> LungBox:
  """Finds the lung fields.

  Args:
    pixels: u8 or u16[H, W], bright where tissue is dense, of any size and exposure.

  Returns:
    The same box for the same pixels. If no plausible pair of lungs is seen, it is the whole image,
    and `found` is False.
  """
  height, width = pixels.shape
  whole = (0.0, 0.0, float(width), float(height))
  seen = network_input(pixels)
  if not seen.any():  # a blank image, in which the network would guess
    return LungBox(whole, found=False)
  logits = outline_logits(seen)
  size = (_OUTLINE_SIZE, _OUTLINE_SIZE)
  outline = cv2.resize(logits, size, interpolation=cv2.INTER_LINEAR) > 0
  _, _, statistics, _ = cv2.connectedComponentsWithStats(outline.astype(np.uint8))
  fields = sorted(statistics[1:].tolist(), key=lambda field: -field[cv2.CC_STAT_AREA])
  lungs = [
    field
    for field in fields[:2]
    if field[cv2.CC_STAT_AREA] >= _SMALLEST_SECOND_LUNG * fields[0][cv2.CC_STAT_AREA]
  ]
  if lungs:
    left, top, wide, high, area = np.array(lungs).T
    x_min, x_max = left.min() * width / _OUTLINE_SIZE, (left + wide).max() * width / _OUTLINE_SIZE
    y_min, y_max = top.min() * height / _OUTLINE_SIZE, (top + high).max() * height / _OUTLINE_SIZE
    if (
      x_max - x_min >= _SMALLEST_SIDE * width
      and y_max - y_min >= _SMALLEST_SIDE * height
      and area.sum() >= _SMALLEST_LUNG_AREA * _OUTLINE_SIZE**2
      and _ASPECTS[0] <= (x_max - x_min) / (y_max - y_min) <= _ASPECTS[1]
      and (len(lungs) > 1 or min(wide[0], high[0]) <= _LARGEST_FIELD_SIDE * _OUTLINE_SIZE)
    ):
      box = (float(x_min), float(y_min), float(x_max), float(y_max))
      return LungBox(box, True, seen, logits)
  return LungBox(whole, False, seen, logits)


def network_input(pixels: np.ndarray) -> np.ndarray:
  """Makes the network's input from a radiograph.

  Args:
    pixels: u8 or u16[H, W], bright where tissue is dense.

  Returns:
    f32[128, 128, 2], the image squeezed into a square: the rank of each pixel's intensity, from -1
    to 1, so that exposure, window and gamma do not matter; and that rank within its surroundings,
    so that neither do borders and uneven exposure.
  """
  size = lung_network.INPUT_SIZE
  # Averaging every pixel of a large image would take most of the time, and some suffice.
  step = max(1, min(pixels.shape) // (4 * size))
  small = cv2.resize(as_film(pixels[::step, ::step]), (size, size), interpolation=cv2.INTER_AREA)
  _, place, count = np.unique(small, return_inverse=True, return_counts=True)
  darker = np.cumsum(count) - count
  # Pixels of the same intensity share the mean of their ranks.
  rank = ((2 * darker + count) / small.size - 1).astype(np.float32)[place.reshape(small.shape)]
  around = (size // 4 + 1, size // 4 + 1)
  mean = cv2.blur(rank, around, borderType=cv2.BORDER_REPLICATE)
  square = cv2.blur(rank * rank, around, borderType=cv2.BORDER_REPLICATE)
  spread = np.sqrt(np.maximum(square - mean * mean, 0))
  return np.stack([rank, (rank - mean) / (spread + 0.1)], axis=-1)


def outline_logits(seen: np.ndarray) -> np.ndarray:
  """The logit for lung of each cell, f32[64, 64], from what `network_input` returns."""
  return lung_network.lung_logits(_parameters(), seen[None])[0]


@functools.cache
def weights_sha256() -> str:
  """The SHA-256 of the file of the lung network's weights."""
  return hashlib.sha256(_WEIGHTS.read_bytes()).hexdigest()


@functools.cache
def _parameters() -> lung_network.Parameters:
  with np.load(_WEIGHTS, allow_pickle=False) as file:
    return {name: file[name].astype(np.float32) for name in file.files}
