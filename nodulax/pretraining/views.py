"""What the bundled network learns from: normal radiographs with nodules placed anew for each view.

A view is what the network sees of a whole radiograph; a crop is a square part of one.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from nodulax.model.heads import CELL
from nodulax.phantom.anatomy.nodule import Nodule, draw_nodule
from nodulax.phantom.implant import Background, CTNodules, Opacity, implant, simulated_opacity
from nodulax.radiograph.augmentation import Augmentation, exposed, warp
from nodulax.radiograph.preprocessing import Preprocessing

Crop = tuple[np.ndarray, np.ndarray]  # image and mask, u8[side, side] both


@dataclasses.dataclass(frozen=True)
class Lesions:
  """How nodules are drawn.

  Attributes:
    diameter_mm: median of the log-normal diameters, at the start and from mid-training on.
    spread: standard deviation of the diameter's logarithm.
    smallest_mm, largest_mm: limits to which the diameters are clipped.
    contrast: multiplier of the physical contrast, at the start and from mid-training on.
    contrast_spread: standard deviation of the logarithm of each nodule's own contrast.
    ct_share: share of the nodules that come from CT; the others are simulated.
  """

  diameter_mm: tuple[float, float]
  spread: float
  smallest_mm: float
  largest_mm: float
  contrast: tuple[float, float]
  contrast_spread: float
  ct_share: float


@dataclasses.dataclass(frozen=True)
class Look:
  """How the radiographs' appearance varies.

  Attributes:
    small_share: share of the radiographs that pass through a small stored image.
    small_pixels: least and greatest side of such an image.
    gamma: standard deviation of the exponent's logarithm.
    sharpness: greatest weight of unsharp masking; negative weights, down to minus half of it, blur.
    noise: greatest standard deviation of added noise, as a share of the range of greys.
    latitude: least and greatest factor on detail finer than a sixteenth of the radiograph's side:
      below 1 as on displays of wide latitude, above 1 as on compressing ones.
    box_jitter: greatest shift of each edge of the lung box, as a share of its side.
  """

  small_share: float
  small_pixels: tuple[int, int]
  gamma: float
  sharpness: float
  noise: float
  latitude: tuple[float, float]
  box_jitter: float


class View(NamedTuple):
  """A radiograph as the network sees it.

  Attributes:
    image: u8[S, S].
    mask: u8[S, S], the share of each pixel that is nodule, times 255.
    centres: f64[N, 2], x and y of each nodule in pixels of the view.
  """

  image: np.ndarray
  mask: np.ndarray
  centres: np.ndarray


class Views:
  """Draws views; the same random state gives the same view."""

  def __init__(
    self,
    backgrounds: Sequence[Background],
    nodules: CTNodules | None,
    preprocessing: Preprocessing,
    lesions: Lesions,
    look: Look,
    augmentation: Augmentation,
  ):
    self.backgrounds = backgrounds
    self._nodules = nodules
    self._preprocessing = preprocessing
    self._lesions = lesions
    self._look = look
    self._augmentation = augmentation

  def draw(self, rng: np.random.Generator, count: int, progress: float) -> View:
    """A view of a random radiograph.

    Args:
      count: number of nodules to put in; one for which there is no room is left out.
      progress: share of the training that is done, in [0, 1].
    """
    background = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
    ease = max(0.0, 1 - 2 * progress)
    drawn = [self._opacity(rng, background.spacing_mm, ease) for _ in range(count)]
    first, last = self._lesions.contrast
    usual = last + (first - last) * ease
    contrasts = usual * np.exp(rng.normal(0, self._lesions.contrast_spread, count))
    implanted = implant(background, drawn, rng, np.clip(contrasts, 0.1, 9).tolist())
    centres = np.array([lesion.centre for lesion in implanted.lesions]).reshape(-1, 2)
    return self._seen(rng, background, implanted.pixels, implanted.mask, centres)

  def _opacity(self, rng: np.random.Generator, spacing_mm: float, ease: float) -> Opacity:
    ranges = self._lesions
    first, last = ranges.diameter_mm
    median = last + (first - last) * ease
    diameter = float(
      np.clip(median * np.exp(rng.normal(0, ranges.spread)), ranges.smallest_mm, ranges.largest_mm)
    )
    nodule: Nodule = dataclasses.replace(draw_nodule(rng), diameter_mm=diameter)
    if self._nodules is None or diameter > 30 or rng.random() >= ranges.ct_share:
      return simulated_opacity(nodule, spacing_mm, float(rng.uniform(0.1, 0.4)))
    opacity = self._nodules.opacity(self._nodules.choose(rng, diameter), rng, diameter, spacing_mm)
    return dataclasses.replace(opacity, zone=nodule.zone)

  def _seen(
    self,
    rng: np.random.Generator,
    background: Background,
    pixels: np.ndarray,
    mask: np.ndarray,
    centres: np.ndarray,
  ) -> View:
    """The view of a radiograph, stored, exposed and outlined differently each time."""
    look, size = self._look, self._preprocessing.image_size
    height, width = pixels.shape
    affine = self._augmentation.draw(rng, max(height, width))
    pixels, mask = warp(pixels, affine), warp(mask, affine)
    x_min, y_min, x_max, y_max = background.lung_box
    corners = np.array([[x_min, y_min], [x_max, y_min], [x_min, y_max], [x_max, y_max]])
    corners, centres = (points @ affine[:, :2].T + affine[:, 2] for points in (corners, centres))
    if rng.random() < look.small_share:
      side = int(rng.integers(look.small_pixels[0], look.small_pixels[1] + 1))
      scale = side / max(height, width)
      stored = (round(width * scale), round(height * scale))
      pixels, mask = (
        cv2.resize(part, stored, interpolation=cv2.INTER_AREA) for part in (pixels, mask)
      )
      corners, centres = corners * scale, centres * scale
    box = np.concatenate([corners.min(0), corners.max(0)])
    sides = np.tile(box[2:] - box[:2], 2)
    box += rng.uniform(-look.box_jitter, look.box_jitter, 4) * sides
    box = np.clip(box, 0, np.tile(pixels.shape[::-1], 2))
    crop = self._preprocessing.crop(pixels.shape, box)
    return View(
      self._preprocessing.image(_film(pixels, look, rng), box),
      self._preprocessing.mask(mask, box),
      crop.to_view(centres, size),
    )


def _film(pixels: np.ndarray, look: Look, rng: np.random.Generator) -> np.ndarray:
  """`pixels u8|u16[H, W]` with other greys: f32[H, W], about in [0, 1]."""
  film = pixels.astype(np.float32)
  low, high = float(film.min()), float(film.max())
  film = (film - low) / max(high - low, 1)
  factor = np.float32(rng.uniform(*look.latitude))
  broad = cv2.blur(film, (max(film.shape) // 8 | 1,) * 2)
  film = np.clip(broad + factor * (film - broad), 0, 1)
  return exposed(film, rng, gamma=look.gamma, sharpness=look.sharpness, noise=look.noise)


def truth(mask: np.ndarray) -> np.ndarray:
  """The share of nodule in each cell of the map of a view or crop: f32[side / 16, side / 16]."""
  side = len(mask) // CELL
  share = mask.astype(np.float32) / 255
  return cv2.resize(share, (side, side), interpolation=cv2.INTER_AREA)


def cut(view: View, centre: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
  """Image and mask `u8[side, side]` around a point x, y of a view, moved to lie within it."""
  column, row = (int(np.clip(round(at - side / 2), 0, len(view.image) - side)) for at in centre)
  part = (slice(row, row + side), slice(column, column + side))
  return view.image[part], view.mask[part]


def nodule_crops(view: View, side: int, rng: np.random.Generator) -> list[Crop]:
  """A crop for each nodule of a view, which lies anywhere in its inner part."""
  shifts = rng.uniform(-0.35, 0.35, view.centres.shape) * side
  return [cut(view, centre, side) for centre in view.centres + shifts]


def free_crop(view: View, side: int, rng: np.random.Generator) -> Crop | None:
  """A crop without a nodule, or None if ten random places all show one."""
  for _ in range(10):
    image, mask = cut(view, rng.uniform(0, len(view.image), 2), side)
    if not mask.any():
      return image, mask
  return None
