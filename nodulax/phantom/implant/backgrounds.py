"""A real radiograph ready for implants: its lungs, and how its display maps attenuation to grey.

The maps are on a small grid, so that thousands of backgrounds fit into memory.
"""

import dataclasses

import cv2
import numpy as np

from nodulax.phantom.anatomy.nodule import ZONES
from nodulax.phantom.implant.attenuation import mediastinum_over_lung
from nodulax.phantom.implant.errors import ImplantError
from nodulax.phantom.implant.zones import LungMap, map_lungs
from nodulax.radiograph import guard, lungs

GRID = 128  # cells along each side of the maps
# Width in mm of the box around both lungs at the detector, where the pixel spacing is unknown. It
# is the median of 446 PA radiographs of ChestX-ray14, whose spacings are published (standard
# deviation 32 mm); the inner thorax of adults is 25 to 31 cm wide on radiographs.
ADULT_LUNGS_MM = 300.0
_SPACINGS_MM = (0.05, 4.0)
_SMALLEST_SIDE = 96
# Scatter-to-primary ratios behind a grid (as in physics.Detector).
SCATTER_LUNG, SCATTER_MEDIASTINUM = 0.3, 1.5
# Soft tissue in place of lung where the heart and the spine are, in cm (our choice: a chest with
# an inner depth of 20 cm has 4 to 6 cm of lung in front of and behind the heart).
_MEDIASTINUM_CM = 14.0
# Displays give fine differences more contrast than broad ones (unsharp masking, a compressed
# latitude). This is the gain for the smallest, which falls off over _BROAD_MM. It is calibrated so
# that nodules added to JSRT's normal radiographs have the contrast of its real nodules
# (tests/phantom/implant_realism.py).
_DETAIL = 0.95
_BROAD_MM = 45.0
# Near black and white the gain is at least this share of the steepest gain.
_LEAST_GAIN = 0.3


@dataclasses.dataclass(frozen=True, eq=False)
class Background:
  """A normal radiograph to which nodules can be added.

  Attributes:
    name: for messages.
    stored: u8 or u16[H, W], bright where dense.
    spacing_mm: spacing of its pixels, at the detector. spacing_assumed: whether it is an estimate
      from the width of the lungs.
    lung_box: x_min, y_min, x_max, y_max in pixels.
    lung_probability: f32[128, 128], from the lung network.
    zone: u8[128, 128], index into nodule.ZONES, 255 outside the lungs' extent.
    room_mm: f32[128, 128], distance to the edge of the extent, minus the diagonal of a cell.
    gain: f32[128, 128], grey levels per unit of the signal's negative logarithm.
    scatter: f32[128, 128], scatter-to-primary ratio.
    white: the display's brightest grey level in the chest.
    limits: least and greatest grey level of the picture.
    detail: how much more gain the display has for the smallest details; see boost().
  """

  name: str
  stored: np.ndarray
  spacing_mm: float
  spacing_assumed: bool
  lung_box: tuple[float, float, float, float]
  lung_probability: np.ndarray
  zone: np.ndarray
  room_mm: np.ndarray
  gain: np.ndarray
  scatter: np.ndarray
  white: float
  limits: tuple[float, float]
  detail: float = _DETAIL

  def boost(self, size_mm: float) -> float:
    """The display's gain for details of this size, relative to that for the broad contrast."""
    return 1 + self.detail * float(np.exp(-((size_mm / _BROAD_MM) ** 2)))

  @property
  def shape(self) -> tuple[int, int]:
    """Rows and columns."""
    height, width = self.stored.shape
    return height, width

  @property
  def pixels(self) -> np.ndarray:
    """The pixels as f32[H, W], in grey levels."""
    return self.stored.astype(np.float32)

  @property
  def lungs(self) -> np.ndarray:
    """What the lung network sees as lung, bool[H, W]: without heart and diaphragm."""
    height, width = self.shape
    return cv2.resize(self.lung_probability, (width, height)) > 0.5

  @property
  def zones(self) -> dict[str, np.ndarray]:
    """A bool[H, W] map of each of nodule.ZONES; they do not overlap."""
    height, width = self.shape
    full = cv2.resize(self.zone, (width, height), interpolation=cv2.INTER_NEAREST)
    return {name: full == index for index, name in enumerate(ZONES)}

  def sampled(self, grid: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
    """A map's values (f32[128, 128]) at the pixels of a window, f32[h, w]."""
    height, width = self.shape
    rows, columns = window
    across, down = GRID / width, GRID / height
    matrix = np.array(
      [
        [across, 0, (columns.start + 0.5) * across - 0.5],
        [0, down, (rows.start + 0.5) * down - 0.5],
      ]
    )
    return cv2.warpAffine(
      grid,
      matrix,
      (columns.stop - columns.start, rows.stop - rows.start),
      flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
      borderMode=cv2.BORDER_REPLICATE,
    )


def prepare_background(pixels: np.ndarray, spacing_mm: float | None, name: str) -> Background:
  """Finds the lungs, their zones and the display's gain.

  Args:
    pixels: u8 or u16[H, W], bright where dense, an upright frontal chest.
    spacing_mm: spacing of the pixels, at the detector; None if unknown.
    name: name of the file, for messages.

  Raises:
    ImplantError: the image does not look like an upright frontal chest radiograph.
  """
  _check(pixels, spacing_mm, name)
  found = lungs.find_lung_box(pixels)
  if objection := guard.pixel_objection(pixels, found):
    raise ImplantError(
      f'{name}: {objection}; give an upright frontal chest radiograph, bright where the body is '
      'dense'
    )
  assumed = spacing_mm is None
  x_min, _, x_max, _ = found.box
  spacing = ADULT_LUNGS_MM / (x_max - x_min) if spacing_mm is None else float(spacing_mm)
  assert found.logits is not None  # or there would have been an objection
  logits = cv2.resize(found.logits, (GRID, GRID), interpolation=cv2.INTER_CUBIC)
  probability = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
  height, width = pixels.shape
  cell_mm = (width / GRID * spacing, height / GRID * spacing)
  lung_map = map_lungs(probability > 0.5, cell_mm)
  if lung_map is None:
    raise ImplantError(
      f'{name}: found no right and left lung side by side; this is not a frontal chest radiograph '
      'of both lungs'
    )
  level = cv2.resize(pixels.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
  gain, scatter, white = _display(level, lung_map, cell_mm, name)
  return Background(
    name=name,
    stored=pixels,
    spacing_mm=spacing,
    spacing_assumed=assumed,
    lung_box=found.box,
    lung_probability=probability.astype(np.float32),
    zone=lung_map.zone,
    room_mm=lung_map.room_mm,
    gain=gain,
    scatter=scatter,
    white=white,
    limits=(float(pixels.min()), float(pixels.max())),
  )


def _check(pixels: np.ndarray, spacing_mm: float | None, name: str) -> None:
  if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
    raise ImplantError(
      f'{name}: pixels are {pixels.dtype}{list(pixels.shape)}; they must be u8 or u16[H, W]'
    )
  if min(pixels.shape) < _SMALLEST_SIDE:
    raise ImplantError(
      f'{name}: {pixels.shape[1]} x {pixels.shape[0]} pixels are too few; '
      f'give at least {_SMALLEST_SIDE} per side'
    )
  if spacing_mm is not None and not _SPACINGS_MM[0] <= spacing_mm <= _SPACINGS_MM[1]:
    raise ImplantError(
      f'{name}: a pixel spacing of {spacing_mm} mm; it must lie between {_SPACINGS_MM[0]} and '
      f'{_SPACINGS_MM[1]} mm, or be left out if it is unknown'
    )


def _display(
  level: np.ndarray, lung_map: LungMap, cell_mm: tuple[float, float], name: str
) -> tuple[np.ndarray, np.ndarray, float]:
  """The display's gain and the scatter, both f32[128, 128], from the local grey, and its white.

  The gain follows an S-shaped display curve: steepest in the middle of the greys of the chest,
  least near black and white; it is scaled so that the
  grey difference between lung and mediastinum agrees with physics.
  """
  lung = float(np.median(level[lung_map.lungs]))
  mediastinum = float(np.median(level[lung_map.mediastinum]))
  black, white = (float(v) for v in np.percentile(level[lung_map.chest], (0.5, 99.5)))
  if mediastinum - lung < 0.08 * (white - black) or white <= black:
    raise ImplantError(
      f'{name}: its lungs ({lung:.0f}) are not darker than its mediastinum ({mediastinum:.0f}); '
      'give pictures that are bright where the body is dense'
    )

  def shape(grey: np.ndarray) -> np.ndarray:
    t = np.clip((grey - black) / (white - black), 0, 1)
    return _LEAST_GAIN + (1 - _LEAST_GAIN) * np.sqrt(4 * t * (1 - t))

  between = np.linspace(lung, mediastinum, 65)
  difference = mediastinum_over_lung(SCATTER_LUNG, SCATTER_MEDIASTINUM, _MEDIASTINUM_CM)
  steepest = float((1 / shape(between)).mean()) * (mediastinum - lung) / difference
  local = cv2.GaussianBlur(level, (0, 0), max(6.0 / min(cell_mm), 0.5))
  t = np.clip((local - lung) / (mediastinum - lung), 0, 1)
  scatter = SCATTER_LUNG + (SCATTER_MEDIASTINUM - SCATTER_LUNG) * t * t
  return (steepest * shape(local)).astype(np.float32), scatter.astype(np.float32), white
