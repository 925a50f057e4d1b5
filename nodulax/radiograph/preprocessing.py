"""Turns a stored radiograph into the network's input: crop around the lungs, resize, CLAHE.

Training, evaluation, heat maps and prediction share it. Its parameters are saved with every
checkpoint.
"""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Sequence
from typing import NamedTuple, Self

import cv2
import numpy as np

from nodulax.errors import OptionError
from nodulax.radiograph import lungs
from nodulax.radiograph.record import as_film

_LARGEST = 8192  # pixels along a side of the network's input


class Crop(NamedTuple):
  """The part of a radiograph that the network sees, in whole pixels of the stored image."""

  x_min: int
  y_min: int
  x_max: int
  y_max: int

  @property
  def width(self) -> int:
    return self.x_max - self.x_min

  @property
  def height(self) -> int:
    return self.y_max - self.y_min

  def cut(self, pixels: np.ndarray) -> np.ndarray:
    """The crop of `pixels[H, W]`."""
    return pixels[self.y_min : self.y_max, self.x_min : self.x_max]

  def to_stored(self, points: np.ndarray, size: int) -> np.ndarray:
    """`points f[..., 2]` (x, y) of a `size` x `size` crop, in pixels of the stored image."""
    scale = np.array([self.width, self.height]) / size
    return np.asarray(points) * scale + np.array([self.x_min, self.y_min])

  def to_view(self, points: np.ndarray, size: int) -> np.ndarray:
    """The inverse of `to_stored`."""
    scale = size / np.array([self.width, self.height])
    return (np.asarray(points) - np.array([self.x_min, self.y_min])) * scale


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """Parameters of the preprocessing.

  Attributes:
    image_size: side of the square network input, in pixels.
    lung_margin: added to the lung box on each side, as a fraction of its width and height.
    window: percentiles of the resized crop that become black (0) and white (255); between them
      intensities are scaled linearly to 8 bits.
    clahe_clip_limit: OpenCV's clip limit of the contrast limited adaptive histogram equalization.
    clahe_tiles: its tiles along each side.

  Raises:
    OptionError: a parameter is out of range.
  """

  image_size: int
  lung_margin: float
  window: tuple[float, float]
  clahe_clip_limit: float
  clahe_tiles: int

  def __post_init__(self) -> None:
    low, high = self.window
    for name, fits, allowed in (
      ('image_size', 1 <= self.image_size <= _LARGEST, f'from 1 to {_LARGEST}'),
      ('lung_margin', 0 <= self.lung_margin <= 10, 'from 0 to 10'),
      ('window', 0 <= low < high <= 100, 'two rising percentiles from 0 to 100'),
      ('clahe_clip_limit', 0 <= self.clahe_clip_limit < np.inf, 'at least 0'),
      ('clahe_tiles', 1 <= self.clahe_tiles <= self.image_size, f'from 1 to {self.image_size}'),
    ):
      if not fits:
        raise OptionError(f'preprocessing.{name} is {getattr(self, name)}; it must be {allowed}')

  @classmethod
  def from_dict(cls, parameters: dict) -> Self:
    """The inverse of `dataclasses.asdict`, also after a trip through JSON."""
    return cls(**{**parameters, 'window': tuple(parameters['window'])})

  def crop(self, shape: tuple[int, ...], lung_box: Sequence[float]) -> Crop:
    """The lung box with its margin, within an image of `shape` (height, width)."""
    x_min, y_min, x_max, y_max = (float(edge) for edge in lung_box)
    margin_x = self.lung_margin * (x_max - x_min)
    margin_y = self.lung_margin * (y_max - y_min)
    crop = Crop(
      max(0, int(np.floor(x_min - margin_x))),
      max(0, int(np.floor(y_min - margin_y))),
      min(shape[1], int(np.ceil(x_max + margin_x))),
      min(shape[0], int(np.ceil(y_max + margin_y))),
    )
    if crop.width < 1 or crop.height < 1:
      raise ValueError(f'the lung box {tuple(lung_box)} lies outside an image of {shape}')
    return crop

  def image(self, pixels: np.ndarray, lung_box: Sequence[float]) -> np.ndarray:
    """The network's view of a radiograph.

    Args:
      pixels: u8, u16 or f32 `[H, W]`, bright = dense, in any unit.
      lung_box: x_min, y_min, x_max, y_max in pixels.

    Returns:
      u8[image_size, image_size].
    """
    # On a scale without bit depth, so that window and tone curve do not depend on it.
    view = _resize(as_film(self.crop(pixels.shape, lung_box).cut(pixels)), self.image_size)
    black, white = np.percentile(view, self.window)
    scale = 255 / (white - black) if white > black else 0.0
    eight_bits = np.clip((view - black) * scale, 0, 255).round()
    clahe = cv2.createCLAHE(self.clahe_clip_limit, (self.clahe_tiles, self.clahe_tiles))
    return clahe.apply(eight_bits.astype(np.uint8))

  def mask(self, mask: np.ndarray, lung_box: Sequence[float]) -> np.ndarray:
    """The same crop of a mask `u8[H, W]` of 0 and 255: u8[image_size, image_size], by area."""
    return _resize(self.crop(mask.shape, lung_box).cut(mask), self.image_size)

  def truth_outside(self, mask: np.ndarray, lung_box: Sequence[float]) -> float:
    """The mask's area that the crop leaves out, in pixels of the network's input."""
    crop = self.crop(mask.shape, lung_box)
    outside = np.count_nonzero(mask) - np.count_nonzero(crop.cut(mask))
    return outside * self.image_size**2 / (crop.width * crop.height)


def _resize(pixels: np.ndarray, size: int) -> np.ndarray:
  """Resizes `pixels` to `size` x `size`: by area if that shrinks them, else bilinear."""
  shrinks = min(pixels.shape) >= size
  method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
  return cv2.resize(np.ascontiguousarray(pixels), (size, size), interpolation=method)


@functools.cache
def input_fingerprint() -> str:
  """Changes with everything that makes the network's input, so that no cached view outlives it.

  That is the code of this file, the lung network's code and weights, and OpenCV's version.
  """
  here = pathlib.Path(__file__)
  code = [here.with_name(name).read_bytes() for name in (here.name, 'lungs.py', 'lung_network.py')]
  versions = f'{lungs.weights_sha256()} {cv2.__version__}'.encode()
  return hashlib.sha256(b''.join([*code, versions])).hexdigest()[:16]
