"""The result of reading a radiograph, and how large a radiograph may be."""

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

# Higher ages are taken for typing errors, and count as unknown.
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
      detector; None if the file does not say.
    sex: the patient's sex.
    age: the patient's age in years; NaN if unknown.
    view: direction of the X-rays.
    objection: why the file's header rules out a frontal chest radiograph; '' if it does not.
    orientation: the patient's side, L or R, to which the rows of `pixels` run, and H or F, to which
      the columns run. Readers turn other images upright, as if one faced the patient: LF. Empty
      if the file states something else, so that left and right are unknown.
    turn: the turn that made `pixels` from the stored pixels.
    doubts: where the file contradicts itself or the standard, and how it was read nevertheless;
      one sentence each, without information about the patient.
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
  """Refuses an image size before memory is allocated for it.

  Args:
    height: number of rows according to the file's header.
    width: number of columns.
    name: name of the file, for the message.

  Raises:
    RadiographError: the image is empty or has more than `MAX_PIXELS` pixels.
  """
  if height < 1 or width < 1 or height * width > MAX_PIXELS:
    raise RadiographError(
      f'{name}: the header claims {width} x {height} pixels, but a radiograph has 1 to '
      f'{MAX_PIXELS:,}; export the image again, or exclude it'
    )


def as_grey(samples: np.ndarray, name: str, tolerance: int = 0) -> np.ndarray:
  """The single channel of a grey image, however it is stored.

  Args:
    samples: u8 or u16[H, W] or [H, W, C]: grey, grey and alpha, RGB, or RGB and alpha.
    name: name of the file, for the message.
    tolerance: how much the channels of a grey pixel may differ.

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
      f'{name}: the image has colours, but a radiograph is grey; export it again as '
      'greyscale, without annotations, or exclude it'
    )
  return np.ascontiguousarray(samples[..., samples.shape[2] // 2])


def as_film(pixels: np.ndarray) -> np.ndarray:
  """Pixels as f32 in [0, 1]; an 8-bit value and 257 times it in 16 bits give the same number.

  Args:
    pixels: u8 or u16 of any shape, or f32, which is returned unchanged.
  """
  if pixels.dtype.kind == 'f':
    return np.ascontiguousarray(pixels, np.float32)
  return np.ascontiguousarray(pixels, np.float32) / np.float32(np.iinfo(pixels.dtype).max)
