"""Where the body lies on the detector: converts pixels to body millimetres and back."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np


@dataclass(frozen=True)
class Frame:
  """The detector plane over the body, in a parallel projection (millimetres at the detector).

  The body's own x runs to the patient's left (the image's right), y down from the lungs' apex at 0,
  z from the back to the front, x = z = 0 on the thorax's axis.

  Attributes:
    shape: rows and columns.
    spacing_mm: pixel spacing in x and y.
    left_top_mm: body coordinates of the image's left top corner, before tilt.
    tilt: radians by which the patient leans.
    irregularity: f32[2, h, w], a coarse map of how far (mm, x and y) the body departs from its
      ideal shape, so that no outline is a perfect curve.
  """

  shape: tuple[int, int]
  spacing_mm: tuple[float, float]
  left_top_mm: tuple[float, float]
  tilt: float
  irregularity: np.ndarray

  @cached_property
  def _departure(self) -> np.ndarray:
    """f32[2, H, W] in mm."""
    height, width = self.shape
    return np.stack(
      [
        cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC)
        for part in self.irregularity
      ]
    )

  @cached_property
  def grid(self) -> tuple[np.ndarray, np.ndarray]:
    """Body x and y of every pixel's centre: two f32[H, W], mm."""
    height, width = self.shape
    column = (np.arange(width, dtype=np.float32) + 0.5) * self.spacing_mm[0] + self.left_top_mm[0]
    row = (np.arange(height, dtype=np.float32) + 0.5) * self.spacing_mm[1] + self.left_top_mm[1]
    cosine, sine = np.float32(np.cos(self.tilt)), np.float32(np.sin(self.tilt))
    x = cosine * column[None, :] + sine * row[:, None]
    y = cosine * row[:, None] - sine * column[None, :]
    return x + self._departure[0], y + self._departure[1]

  def coarser(self, spacing_mm: float) -> 'Frame':
    """The same view with pixels of about spacing_mm, if its own pixels are finer."""
    width, height = (
      side * spacing for side, spacing in zip(self.shape[::-1], self.spacing_mm, strict=True)
    )
    rows = min(self.shape[0], max(8, round(height / spacing_mm)))
    columns = min(self.shape[1], max(8, round(width / spacing_mm)))
    return Frame(
      (rows, columns),
      (width / columns, height / rows),
      self.left_top_mm,
      self.tilt,
      self.irregularity,
    )

  def to_pixels(self, x_mm: np.ndarray, y_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Continuous pixel coordinates (0.5 is the first pixel's centre) of body points."""
    cosine, sine = np.cos(self.tilt), np.sin(self.tilt)
    column = (cosine * x_mm - sine * y_mm - self.left_top_mm[0]) / self.spacing_mm[0]
    row = (sine * x_mm + cosine * y_mm - self.left_top_mm[1]) / self.spacing_mm[1]
    height, width = self.shape
    at = (
      np.clip(row, 0, height - 1).astype(np.intp),
      np.clip(column, 0, width - 1).astype(np.intp),
    )
    return (
      column - self._departure[0][at] / self.spacing_mm[0],
      row - self._departure[1][at] / self.spacing_mm[1],
    )

  def window(self, row: int, column: int, reach_mm: float) -> tuple[slice, slice]:
    """Rows and columns within reach of a pixel."""
    sides = []
    for at, length, spacing in zip((row, column), self.shape, self.spacing_mm[::-1], strict=True):
      reach = reach_mm / spacing + 1
      sides.append(slice(max(0, int(at - reach)), min(length, int(at + reach) + 1)))
    return sides[0], sides[1]

  def project(self, x_mm: np.ndarray, y_mm: np.ndarray, volume_mm3: np.ndarray) -> np.ndarray:
    """Path length of matter given as points, f32[H, W] in mm; four pixels share each point."""
    column, row = self.to_pixels(np.ravel(x_mm), np.ravel(y_mm))
    height, width = self.shape
    column, row = column - 0.5, row - 0.5
    inside = (column > -1) & (row > -1) & (column < width) & (row < height)
    column, row = column[inside], row[inside]
    weight = np.ravel(volume_mm3)[inside] / (self.spacing_mm[0] * self.spacing_mm[1])
    left, top = np.floor(column).astype(np.intp), np.floor(row).astype(np.intp)
    right_share, bottom_share = column - left, row - top
    # A margin of one pixel on every side collects what falls just outside.
    stride = width + 2
    first = (top + 1) * stride + left + 1
    path = np.zeros((height + 2) * stride)
    for step, share in (
      (0, (1 - right_share) * (1 - bottom_share)),
      (1, right_share * (1 - bottom_share)),
      (stride, (1 - right_share) * bottom_share),
      (stride + 1, right_share * bottom_share),
    ):
      path += np.bincount(first + step, weight * share, len(path))
    return path.reshape(height + 2, stride)[1:-1, 1:-1].astype(np.float32)


def smooth_noise(
  rng: np.random.Generator, shape: tuple[int, int], cells: int, octaves: int = 1, gain: float = 0.5
) -> np.ndarray:
  """A smooth random field of about unit variance, f32[H, W]; octaves add finer, weaker layers."""
  height, width = shape
  total = np.zeros(shape, np.float32)
  power = 0.0
  for octave in range(octaves):
    across = min(cells * 2**octave + 3, width)
    coarse = rng.standard_normal((across, across), np.float32)
    total += gain**octave * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    power += gain ** (2 * octave)
  return total / np.float32(np.sqrt(power))
