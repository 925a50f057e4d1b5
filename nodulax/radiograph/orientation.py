"""How a radiograph is oriented in its file, and how it is turned upright for display.

Patient Orientation (DICOM PS3.3 C.7.6.1.1.1) names the sides of the patient towards which the rows
and the columns of the pixels run. A frontal chest radiograph is displayed with rows that run to the
patient's left and columns that run to the feet: L and F. Every other assignment of L, R, H and F to
two axes is one of eight turns and reflections of it.
"""

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np

Box = tuple[float, float, float, float]  # x_min, y_min, x_max, y_max

UPRIGHT = 'LF'
# Not the axes of a frontal view: the pixels are not turned, and the sides are unknown.
UNKNOWN = ''


@dataclasses.dataclass(frozen=True)
class Turn:
  """How stored pixels are made upright: transposed first, then reversed along x and y."""

  transposed: bool = False
  reversed_x: bool = False
  reversed_y: bool = False

  @classmethod
  def of(cls, orientation: str) -> Self:
    """The turn for pixels whose rows and columns run to these two sides, such as 'FL' or 'RF'.

    Raises:
      ValueError: the text is not one letter of L and R and one of H and F.
    """
    if orientation == UNKNOWN:
      return cls()
    if frontal_letters(orientation) != orientation:
      raise ValueError(
        f'orientation {orientation!r}: give one of L and R and one of H and F, first the side to '
        "which rows run, such as 'LF'"
      )
    transposed = orientation[0] in 'HF'
    across_and_down = orientation[::-1] if transposed else orientation
    return cls(transposed, across_and_down[0] == 'R', across_and_down[1] == 'H')

  @property
  def orientation(self) -> str:
    """The sides to which the rows and columns of the stored pixels run."""
    across, down = 'R' if self.reversed_x else 'L', 'H' if self.reversed_y else 'F'
    return down + across if self.transposed else across + down

  def upright(self, pixels: np.ndarray) -> np.ndarray:
    """Turns stored `pixels[H, W]` upright."""
    if self.transposed:
      pixels = pixels.T
    return np.ascontiguousarray(self._reversed(pixels))

  def stored(self, pixels: np.ndarray) -> np.ndarray:
    """The inverse of `upright`."""
    pixels = self._reversed(pixels)
    return np.ascontiguousarray(pixels.T if self.transposed else pixels)

  def upright_box(self, box: Sequence[float], shape: tuple[int, ...]) -> Box:
    """Converts a box (x_min, y_min, x_max, y_max) from stored to upright pixels.

    Args:
      box: in stored pixels.
      shape: (height, width) of the upright image.
    """
    x_min, y_min, x_max, y_max = box
    if self.transposed:
      x_min, y_min, x_max, y_max = y_min, x_min, y_max, x_max
    return self._reversed_box((x_min, y_min, x_max, y_max), shape)

  def stored_box(self, box: Sequence[float], shape: tuple[int, ...]) -> Box:
    """The inverse of `upright_box`; `shape` is again that of the upright image."""
    x_min, y_min, x_max, y_max = self._reversed_box(box, shape)
    return (y_min, x_min, y_max, x_max) if self.transposed else (x_min, y_min, x_max, y_max)

  def swapped(self, spacing: tuple[float, float]) -> tuple[float, float]:
    """Converts a pixel spacing along x and y between the two images, in either direction."""
    x, y = spacing
    return (y, x) if self.transposed else (x, y)

  def _reversed(self, pixels: np.ndarray) -> np.ndarray:
    return pixels[:: -1 if self.reversed_y else 1, :: -1 if self.reversed_x else 1]

  def _reversed_box(self, box: Sequence[float], shape: tuple[int, ...]) -> Box:
    x_min, y_min, x_max, y_max = box
    if self.reversed_x:
      x_min, x_max = shape[1] - x_max, shape[1] - x_min
    if self.reversed_y:
      y_min, y_max = shape[0] - y_max, shape[0] - y_min
    return x_min, y_min, x_max, y_max


def frontal_letters(directions: Sequence[str]) -> str:
  """The first letters of two directions, such as 'LF'; `UNKNOWN` if they fit no frontal view.

  Args:
    directions: directions of the rows and the columns, such as ['L', 'F'] or ['LA', 'FR'].
  """
  letters = ''.join(direction[:1] for direction in directions)
  fits = len(directions) == 2 and len({*letters} & {*'LR'}) == len({*letters} & {*'HF'}) == 1
  return letters if fits and len(letters) == 2 else UNKNOWN
