"""What reading a radiograph gives, and how large a radiograph may be."""

import dataclasses
import math
from typing import Literal

import numpy as np

from nodulax.errors import NodulaxError
from nodulax.radiograph.orientation import UPRIGHT, Turn

# The largest chest detectors have some 20 million pixels; a header that claims many more than
# that is broken or hostile.
MAX_PIXELS = 64_000_000
MAX_BYTES = 256 * 2**20

# Older than anyone was: such ages are slips of a keyboard, and the age is taken as unknown.
OLDEST = 120  # years

Sex = Literal['female', 'male', 'unknown']
View = Literal['PA', 'AP', 'unknown']


class RadiographError(NodulaxError):
  """A radiograph cannot be used; the message names the file, the fault and the remedy."""


@dataclasses.dataclass(frozen=True, eq=False)
class Radiograph:
  """One radiograph.

  Attributes:
    pixels: u8 or u16[H, W], bright where tissue is dense.
    spacing_mm: distance between the centres of neighbouring `pixels` along x and along y, at the
      detector; None where the file does not say.
    sex: of the patient.
    age: of the patient in years; NaN where unknown.
    view: direction of the X-rays.
    objection: why the file's header rules out a frontal chest radiograph; '' where it does not.
    orientation: the patient's side, L or R, to which rows of `pixels` run, and H or F, to which
      columns run. Readers turn what is stored otherwise upright, as if one faced the patient: LF.
      Empty where the file states something else, so that nobody knows left from right.
    turn: that made stored pixels `pixels`.
    doubts: what the file states against itself or the standard, and how it was read all the same; a
      sentence each, without anything of the patient.
  """

  pixels: np.ndarray
  spacing_mm: tuple[float, float] | None = None
  sex: Sex = 'unknown'
  age: float = math.nan
  view: View = 'unknown'
  objection: str = ''
  orientation: str = UPRIGHT
  turn: Turn = Turn()
  doubts: tuple[str, ...] = ()


def check_size(height: int, width: int, name: str) -> None:
  """Refuses an image size before any memory is taken for it.

  Args:
    height: rows that the header of the file claims.
    width: columns that it claims.
    name: of the file, for the message.

  Raises:
    RadiographError: the image is empty or has more than `MAX_PIXELS` pixels.
  """
  if height < 1 or width < 1 or height * width > MAX_PIXELS:
    raise RadiographError(
      f'{name}: the header claims {width} x {height} pixels, where a radiograph has 1 to '
      f'{MAX_PIXELS:,}; export the image again, or exclude it'
    )


def as_grey(samples: np.ndarray, name: str, tolerance: int = 0) -> np.ndarray:
  """The one channel of an image that is grey, however it is stored.

  Args:
    samples: u8 or u16[H, W] or [H, W, C]: grey, grey and alpha, RGB, or RGB and alpha.
    name: of the file, for the message.
    tolerance: how far the channels of a grey pixel may lie apart.

  Returns:
    u8 or u16[H, W].

  Raises:
    RadiographError: the image has colours or transparent parts.
  """
  if samples.ndim == 2:
    return samples
  channels = samples.shape[2]
  if channels in (2, 4):
    alpha = samples[..., -1]
    if np.any(alpha != np.iinfo(samples.dtype).max):
      raise RadiographError(
        f'{name}: the image has transparent parts; export it again as greyscale without alpha'
      )
    samples = samples[..., :-1]
  darkest, brightest = samples.min(axis=-1), samples.max(axis=-1)
  if np.any(brightest - darkest > tolerance):
    raise RadiographError(
      f'{name}: the image has colours, where a radiograph is grey; export it again as '
      'greyscale, without annotations, or exclude it'
    )
  return np.ascontiguousarray(samples[..., samples.shape[2] // 2])


def as_film(pixels: np.ndarray) -> np.ndarray:
  """Pixels in [0, 1], f32: the very same numbers for a picture of 8 bits and, times 257, of 16.

  Args:
    pixels: u8 or u16 of any shape, or f32, which stays as it is.
  """
  if pixels.dtype.kind == 'f':
    return np.ascontiguousarray(pixels, np.float32)
  return np.ascontiguousarray(pixels, np.float32) / np.float32(np.iinfo(pixels.dtype).max)
