"""Where the lungs are in a real radiograph, visible or hidden, and in which zone."""

import dataclasses

import cv2
import numpy as np

from nodulax.phantom.anatomy.nodule import ZONES

OUTSIDE = 255
# A region smaller than this share of the other lung is not a lung.
_SMALLEST_SECOND_LUNG = 0.15
# The spine and what is in front of it: there is no lung within this distance of the midline (mm).
_SPINE_MM = 18.0
# The left dome is at least this far below the right one (mm; 5 to 30 in most people).
_LEFT_LOWER_MM = 8.0
# The recess behind the liver and the spleen reaches this far below the costophrenic angle (mm).
_RECESS_MM = 8.0


@dataclasses.dataclass(frozen=True, eq=False)
class LungMap:
  """The lungs on a grid over the image; all arrays are [n, n].

  Attributes:
    lungs: bool, the visible parts of both lungs. mediastinum: bool, heart and spine between them.
    chest: bool, everything between the lungs' outer edges, top and bottom.
    zone: u8, index into nodule.ZONES; OUTSIDE elsewhere.
    room_mm: f32, distance to OUTSIDE, minus the diagonal of a cell.
  """

  lungs: np.ndarray
  mediastinum: np.ndarray
  chest: np.ndarray
  zone: np.ndarray
  room_mm: np.ndarray


def map_lungs(seen: np.ndarray, cell_mm: tuple[float, float]) -> LungMap | None:
  """Zones of a lung outline; None if it is not two lungs side by side.

  Args:
    seen: bool[n, n], the lung network's outline.
    cell_mm: width and height of a cell.
  """
  pair = _pair(seen)
  if pair is None:
    return None
  first, second = pair
  rows, columns = np.indices(seen.shape)
  middle = _midline(first, second)
  aside: np.ndarray = np.abs(columns + 0.5 - middle[:, None]) * cell_mm[0]
  lungs = first | second
  below, behind = np.zeros_like(seen), np.zeros_like(seen)
  tops: list[float] = []
  domes: list[float] = []
  for lung, sign in ((first, -1), (second, 1)):
    top, dome, bottom = _levels(lung, middle, cell_mm)
    if domes:
      # The heart hides much of the left dome, which is slightly lower than the right one.
      dome = min(max(dome, domes[0] + _LEFT_LOWER_MM / cell_mm[1]), bottom)
    tops.append(top)
    domes.append(dome)
    side = sign * (columns + 0.5 - middle[:, None]) * cell_mm[0] > _SPINE_MM
    hidden = _towards_midline(lung, sign) & (rows > top + 0.5 * (dome - top)) & (rows < bottom)
    hidden |= _under(lung, bottom + _RECESS_MM / cell_mm[1], inset=6.0 / cell_mm[0])
    hidden &= side & ~lungs
    below |= hidden & (rows >= dome)
    behind |= hidden & (rows < dome)
  top, dome = float(np.mean(tops)), float(np.mean(domes))
  height = np.asarray((rows + 0.5 - top) / max(dome - top, 1.0))
  extent = lungs | below | behind
  between = (rows > top) & (rows < dome) & ~lungs
  mediastinum = between & (aside < _SPINE_MM) & (height > 0.45) & (height < 0.9)
  left, right = np.flatnonzero(lungs.any(0))[[0, -1]]
  chest = (columns >= left) & (columns <= right) & (height > 0) & (height < 1.1)
  if not mediastinum.any():
    return None
  zone = _zones(extent, below, behind, height, aside)
  return LungMap(lungs, mediastinum, chest, zone, _room(extent, cell_mm))


def _pair(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
  """The two largest regions, starting with the one on the left of the picture."""
  _, labels, statistics, centres = cv2.connectedComponentsWithStats(seen.astype(np.uint8))
  order = 1 + np.argsort(-statistics[1:, cv2.CC_STAT_AREA])
  if len(order) < 2:
    return None
  one, other = (int(label) for label in order[:2])
  areas = statistics[[one, other], cv2.CC_STAT_AREA]
  if areas[1] < _SMALLEST_SECOND_LUNG * areas[0]:
    return None
  offset = centres[other] - centres[one]
  if abs(offset[0]) < abs(offset[1]):
    return None
  if offset[0] < 0:
    one, other = other, one
  return labels == one, labels == other


def _midline(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Column of the body's axis in each row, f64[n]: a line through the middle of the gap."""
  n = first.shape[1]
  inner_first = n - 1 - first[:, ::-1].argmax(1)
  inner_second = second.argmax(1)
  both = first.any(1) & second.any(1)
  at = np.flatnonzero(both)
  if len(at) < 8:
    return np.full(len(first), float(np.flatnonzero((first | second).any(0)).mean()))
  # The upper half only: farther down the heart pushes the gap to one side.
  upper = at[: max(len(at) // 2, 4)]
  middle = (inner_first[upper] + inner_second[upper] + 1) / 2
  slope = float(np.clip(np.polyfit(upper, middle, 1)[0], -0.15, 0.15))
  return np.median(middle) + slope * (np.arange(len(first)) - np.median(upper))


def _levels(
  lung: np.ndarray, middle: np.ndarray, cell_mm: tuple[float, float]
) -> tuple[float, float, float]:
  """Rows of a lung's top, of its dome (the top of its lower edge) and of its lowest point."""
  rows = np.flatnonzero(lung.any(1))
  columns = np.flatnonzero(lung.any(0))
  lower_edge = len(lung) - lung[::-1, columns].argmax(0)
  inner = np.abs(columns - middle[rows[-1]]) * cell_mm[0]
  central = (inner > 40) & (inner < 90)
  dome = float(np.median(lower_edge[central])) if central.any() else float(rows[-1] + 1)
  return float(rows[0]), dome, float(rows[-1] + 1)


def _under(lung: np.ndarray, lowest: float, inset: float) -> np.ndarray:
  """Cells below a lung, in its columns except the outer `inset` ones, down to a row."""
  columns = np.flatnonzero(lung.any(0))
  rows = np.indices(lung.shape)[0]
  edge = len(lung) - lung[::-1].argmax(0)
  within = np.zeros(lung.shape[1], bool)
  within[columns[0] + round(inset) : columns[-1] + 1 - round(inset)] = True
  return (rows >= edge) & (rows < lowest) & within & lung.any(0)


def _towards_midline(lung: np.ndarray, sign: int) -> np.ndarray:
  """Cells between a lung's inner edge and the midline, row by row."""
  if sign > 0:
    return np.cumsum(lung, axis=1) == 0
  return np.cumsum(lung[:, ::-1], axis=1)[:, ::-1] == 0


def _zones(
  extent: np.ndarray,
  below: np.ndarray,
  behind: np.ndarray,
  height: np.ndarray,
  aside: np.ndarray,
) -> np.ndarray:
  hilum = (aside > 25) & (aside < 55) & (height > 0.4) & (height < 0.62) & ~behind & ~below
  free = extent & ~hilum & ~behind & ~below
  where = {
    'apex': free & (height < 0.17),
    'upper': free & (height >= 0.17) & (height < 0.45),
    'middle': free & (height >= 0.45) & (height < 0.72),
    'lower': free & (height >= 0.72),
    'hilum': hilum & extent,
    'behind_heart': behind,
    'below_diaphragm': below,
  }
  zone = np.full(extent.shape, OUTSIDE, np.uint8)
  for index, name in enumerate(ZONES):
    zone[where[name]] = index
  return zone


def _room(extent: np.ndarray, cell_mm: tuple[float, float]) -> np.ndarray:
  """Distance to the outside, f32[n, n] in mm, measured on a grid stretched to square cells."""
  padded = np.pad(extent.astype(np.uint8), 1)
  square = min(cell_mm)
  size = tuple(
    round(side * length / square) for side, length in zip(padded.shape[::-1], cell_mm, strict=True)
  )
  stretched = cv2.resize(padded, size, interpolation=cv2.INTER_NEAREST)
  distance = cv2.distanceTransform(stretched, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
  back = cv2.resize(distance, padded.shape[::-1], interpolation=cv2.INTER_NEAREST)[1:-1, 1:-1]
  return np.maximum(back * square - float(np.hypot(*cell_mm)), 0).astype(np.float32)
