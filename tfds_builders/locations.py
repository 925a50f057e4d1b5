"""Where nodules are: boxes, and masks drawn from them."""

import functools
from collections.abc import Iterable

import cv2
import numpy as np

from nodulax.radiograph.reading import encode_png
from tfds_builders.records import Box


def draw_ellipses(boxes: Iterable[Box], height: int, width: int) -> np.ndarray:
  """The mask u8[height, width]: 255 within the ellipse inscribed in any of the boxes, else 0.

  A pixel is within if its centre is; the pixel at the centre of an ellipse always is.
  """
  mask = np.zeros((height, width), np.uint8)
  for x_min, y_min, x_max, y_max in boxes:
    x_centre, y_centre = (x_min + x_max) / 2, (y_min + y_max) / 2
    x = (np.arange(width) + 0.5 - x_centre) / ((x_max - x_min) / 2)
    y = (np.arange(height) + 0.5 - y_centre) / ((y_max - y_min) / 2)
    mask[np.add.outer(y**2, x**2) <= 1] = 255
    mask[int(y_centre), int(x_centre)] = 255
  return mask


def boxes_around(mask: np.ndarray) -> tuple[Box, ...]:
  """One box around each 8-connected region of `mask u8[H, W]`, from top to bottom."""
  _, _, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
  return tuple(
    (float(x), float(y), float(x + width), float(y + height))
    for x, y, width, height, _ in statistics[1:]
  )


def overlap(one: Box, other: Box) -> float:
  """Intersection over union of two boxes."""
  width = min(one[2], other[2]) - max(one[0], other[0])
  height = min(one[3], other[3]) - max(one[1], other[1])
  if width <= 0 or height <= 0:
    return 0.0
  return width * height / (_area(one) + _area(other) - width * height)


def _area(box: Box) -> float:
  return (box[2] - box[0]) * (box[3] - box[1])


@functools.cache
def empty_mask_png(height: int, width: int) -> bytes:
  """The PNG of an empty mask, cached because most images need one and few sizes occur."""
  return encode_png(np.zeros((height, width), np.uint8))
