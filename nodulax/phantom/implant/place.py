"""Adds nodules to a real radiograph."""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from nodulax.phantom.anatomy.nodule import ZONE_SHARES, ZONES, conspicuity
from nodulax.phantom.implant.backgrounds import GRID, Background
from nodulax.phantom.implant.errors import ImplantError
from nodulax.phantom.implant.nodules import Opacity

# Standard deviation of the focal spot's and the scintillator's blur together, at the detector.
_BLUR_MM = 0.3
# The blur that sampling adds, in pixels: a stored pixel includes part of its neighbours.
_BLUR_PIXELS = 0.45
# Free space between two nodules.
_GAP_MM = 4.0


@dataclasses.dataclass(frozen=True, eq=False)
class Lesion:
  """A nodule as it appears in the picture.

  Attributes:
    mask: bool[h, w], its outline within `window`.
    window: rows and columns of the picture.
    centre: x, y in pixels.
    box: x_min, y_min, x_max, y_max in pixels, half-open.
    conspicuity: '1' to '5', see nodule.conspicuity.
    contrast: the multiplier that was requested.
    source: 'ct' or 'simulated'.
  """

  mask: np.ndarray
  window: tuple[slice, slice]
  centre: tuple[float, float]
  box: tuple[float, float, float, float]
  diameter_mm: float
  zone: str
  conspicuity: str
  contrast: float
  source: str


@dataclasses.dataclass(frozen=True, eq=False)
class Implanted:
  """A radiograph with nodules.

  Attributes:
    pixels: as the background's, u8 or u16[H, W].
    mask: u8[H, W], 255 within nodules, else 0.
    lesions: those for which there was room.
  """

  pixels: np.ndarray
  mask: np.ndarray
  lesions: tuple[Lesion, ...]


def implant(
  background: Background,
  opacities: Sequence[Opacity],
  rng: np.random.Generator,
  contrast: float | Sequence[float] = 1.0,
) -> Implanted:
  """Adds nodules at random places in the lungs, wholly within them and apart from each other.

  For a nodule without a zone one is drawn as in the simulator. If its zone has no room, the nodule
  is placed elsewhere; if no zone has room, it is left out.

  Args:
    opacities: at the background's pixel spacing.
    rng: determines zones and places; the same state gives the same bytes.
    contrast: multiplier of the contrast from physics and the display's boost, one for all nodules
      or one for each.

  Raises:
    ImplantError: an opacity has another pixel spacing, or a contrast is not positive.
  """
  contrasts = [contrast] * len(opacities) if isinstance(contrast, int | float) else list(contrast)
  if len(contrasts) != len(opacities) or not all(0 < value < 10 for value in contrasts):
    raise ImplantError(
      f'contrast is {contrast}; give a number between 0 and 10, or one for each of the '
      f'{len(opacities)} nodules'
    )
  pixels = background.stored.copy()
  mask = np.zeros(pixels.shape, np.uint8)
  lesions: list[Lesion] = []
  taken: list[tuple[float, float, float]] = []
  for opacity, strength in zip(opacities, contrasts, strict=True):
    if abs(opacity.spacing_mm / background.spacing_mm - 1) > 1e-3:
      raise ImplantError(
        f'{background.name} has a pixel spacing of {background.spacing_mm:.4g} mm, the nodule '
        f'{opacity.spacing_mm:.4g} mm; make it for the same'
      )
    place = _find_place(background, opacity, rng, taken)
    if place is not None:
      x, y, radius_mm, zone = place
      lesions.append(_put_in(background, opacity, (x, y), zone, float(strength), pixels, mask))
      taken.append((x, y, radius_mm))
  return Implanted(pixels=pixels, mask=mask, lesions=tuple(lesions))


def _find_place(
  background: Background,
  opacity: Opacity,
  rng: np.random.Generator,
  taken: Sequence[tuple[float, float, float]],
) -> tuple[float, float, float, str] | None:
  """The x and y in pixels, the radius in mm that the nodule needs, and its zone."""
  zone = opacity.zone or str(rng.choice(ZONES, p=ZONE_SHARES))
  radius_mm = _reach(opacity.mask) * opacity.spacing_mm
  height, width = background.shape
  rows, columns = np.divmod(np.flatnonzero(background.room_mm > radius_mm), GRID)
  x = (columns + 0.5) * (width / GRID)
  y = (rows + 0.5) * (height / GRID)
  apart = np.ones(len(x), bool)
  for other_x, other_y, other_radius in taken:
    distance = np.hypot(x - other_x, y - other_y) * background.spacing_mm
    apart &= distance > radius_mm + other_radius + _GAP_MM
  wanted = apart & (background.zone[rows, columns] == ZONES.index(zone))
  choices = np.flatnonzero(wanted if wanted.any() else apart)
  if not len(choices):
    return None
  chosen = int(rng.choice(choices))
  dx, dy = rng.uniform(-0.5, 0.5, 2)
  return (
    float(x[chosen] + dx * width / GRID),
    float(y[chosen] + dy * height / GRID),
    radius_mm,
    ZONES[background.zone[rows[chosen], columns[chosen]]],
  )


def _reach(mask: np.ndarray) -> float:
  """The distance of a mask's farthest pixel from the centre of its array."""
  step = max(1, min(mask.shape) // 48)
  rows, columns = np.divmod(np.flatnonzero(mask[::step, ::step]), -(-mask.shape[1] // step))
  down, across = rows * step - (mask.shape[0] - 1) / 2, columns * step - (mask.shape[1] - 1) / 2
  farthest = float((down * down + across * across).max()) if len(rows) else 0.0
  return float(np.sqrt(farthest)) + 1.42 * (step - 1) + 0.71


def _put_in(
  background: Background,
  opacity: Opacity,
  centre: tuple[float, float],
  zone: str,
  contrast: float,
  pixels: np.ndarray,
  mask: np.ndarray,
) -> Lesion:
  """Adds one nodule to the pixels and to the mask, in place."""
  sigma = float(np.hypot(_BLUR_MM / background.spacing_mm, _BLUR_PIXELS))
  window, inner, corner = _window(opacity, centre, sigma, pixels.shape)
  full = np.zeros([side.stop - side.start for side in window], np.float32)
  outline = np.zeros(full.shape, bool)
  full[inner], outline[inner] = opacity.change[corner], opacity.mask[corner]
  cv2.GaussianBlur(full, (0, 0), sigma, dst=full, borderType=cv2.BORDER_REPLICATE)
  before = pixels[window].astype(np.float32)
  strength = contrast * background.boost(opacity.diameter_mm)
  added = grey_change(background, full * np.float32(strength), window)
  grade = conspicuity(added, before, outline, opacity.diameter_mm)
  pixels[window] = np.rint(np.clip(before + added, *background.limits)).astype(pixels.dtype)
  mask[window] |= outline.astype(np.uint8) * 255
  rows, columns = np.flatnonzero(outline.any(1)), np.flatnonzero(outline.any(0))
  top, left = window[0].start, window[1].start
  return Lesion(
    mask=outline,
    window=window,
    centre=centre,
    box=(
      float(left + columns[0]),
      float(top + rows[0]),
      float(left + columns[-1] + 1),
      float(top + rows[-1] + 1),
    ),
    diameter_mm=opacity.diameter_mm,
    zone=zone,
    conspicuity=grade,
    contrast=contrast,
    source=opacity.source,
  )


def grey_change(
  background: Background, change: np.ndarray, window: tuple[slice, slice]
) -> np.ndarray:
  """Grey levels f32[h, w] that a change of the primary beam's negative logarithm adds.

  Scatter reduces them, and they level off towards the display's white.
  """
  gain = background.sampled(background.gain, window)
  scatter = background.sampled(background.scatter, window)
  linear = change * gain / (1 + scatter)
  local = cv2.blur(background.stored[window], (5, 5)).astype(np.float32)
  headroom = np.maximum(np.float32(background.white) - local, np.float32(background.white) * 0.04)
  return headroom * np.tanh(linear / headroom)


def _window(
  opacity: Opacity, centre: tuple[float, float], sigma: float, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice], tuple[slice, slice]]:
  """The picture's window around a nodule, the opacity's place in it, and the opacity's part."""
  height, width = opacity.change.shape
  # As wide as the surroundings with which conspicuity compares the nodule.
  margin = round(max(3 * sigma, 0.7 * opacity.diameter_mm / opacity.spacing_mm - width / 2, 2))
  window, inner, corner = [], [], []
  for at, side, length in ((centre[1], height, shape[0]), (centre[0], width, shape[1])):
    start = round(at - side / 2)
    low, high = max(start - margin, 0), min(start + side + margin, length)
    window.append(slice(low, high))
    first, last = max(start, 0), min(start + side, length)
    inner.append(slice(first - low, last - low))
    corner.append(slice(first - start, last - start))
  return (window[0], window[1]), (inner[0], inner[1]), (corner[0], corner[1])
