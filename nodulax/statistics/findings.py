"""Findings: the places to which a heat map points, and the nodules that they hit.

Coordinates are pixels of the heat map, origin at the top-left corner of its top-left pixel, x to
the right and y down; boxes are half-open (x_min, y_min, x_max, y_max).
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from nodulax.statistics.checks import Floats, Integers

# What `match` returns for a finding that hits no nodule, and for one that only hits nodules that
# findings with higher scores have already hit.
FALSE_POSITIVE = -1
REPEAT = -2

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclasses.dataclass(frozen=True)
class Finding:
  """A place to which a heat map points.

  Attributes:
    score: the maximum of the heat map in it.
    x, y: its centre, weighted by heat.
    box: (x_min, y_min, x_max, y_max), its extent.
    area: number of pixels.
  """

  score: float
  x: float
  y: float
  box: tuple[float, float, float, float]
  area: int


def components(heat_map: ArrayLike, threshold: float) -> list[Finding]:
  """Finds connected regions at or above a threshold, the highest score first.

  Pixels that touch at a corner are connected. The centre is the region's centre of heat, or its
  hottest pixel if that centre lies outside the region.

  Args:
    heat_map: f[H, W], 0 or more.
    threshold: in the heat map's units, above 0.

  Raises:
    ValueError: the heat map is not two-dimensional, holds a NaN, or the threshold is not above 0.
  """
  heat = _checked(heat_map, threshold)
  regions, _ = ndimage.label(heat >= threshold, _EIGHT_NEIGHBOURS)
  return _sorted(_describe(heat, regions))


def peaks(heat_map: ArrayLike, threshold: float, separation: float) -> list[Finding]:
  """Finds local maxima at or above a threshold, the highest score first.

  A peak is the maximum within `separation` pixels along x and y; a plateau is one peak. Its extent
  is the region connected to it at half its height or more, as far as that is closer to it than to
  another peak, so that two touching nodules are two findings.

  Args:
    heat_map: f[H, W], 0 or more.
    threshold: in the heat map's units, above 0.
    separation: in pixels.

  Raises:
    ValueError: the heat map is not two-dimensional, holds a NaN, or the threshold is not above 0.
  """
  heat = _checked(heat_map, threshold)
  highest = ndimage.maximum_filter(heat, size=2 * int(separation) + 1)
  tops, count = ndimage.label((heat == highest) & (heat >= threshold), _EIGHT_NEIGHBOURS)
  if count == 0:
    return []
  nearest = ndimage.distance_transform_edt(tops == 0, return_distances=False, return_indices=True)
  territory = tops[tuple(nearest)]
  heights = ndimage.maximum(heat, tops, np.arange(count + 1))
  extents = np.zeros_like(tops)
  for number, window in enumerate(ndimage.find_objects(territory), start=1):
    inside = (territory[window] == number) & (heat[window] >= heights[number] / 2)
    parts, _ = ndimage.label(inside, _EIGHT_NEIGHBOURS)
    top = parts[tops[window] == number][0]
    extents[window][parts == top] = number
  return _sorted(_describe(heat, extents))


# The fit of a finding to a nodule that it does not hit.
NO_HIT = -np.inf


def hits_in_mask(centres: ArrayLike, nodules: ArrayLike) -> Floats:
  """A finding hits a nodule if its centre lies in the nodule's mask.

  Args:
    centres: f[f, 2], the findings' (x, y) in pixels of `nodules`; a point outside hits none.
    nodules: i[H, W], 0 outside, and 1 to k in the k nodules, as from `scipy.ndimage.label`.

  Returns:
    f64[f, k]: 0 for a hit, else `NO_HIT`.
  """
  labelled = np.asarray(nodules)
  points = np.floor(np.asarray(centres, dtype=np.float64)).reshape(-1, 2).astype(np.int64)
  size = labelled.shape[::-1]
  inside = ((points >= 0) & (points < size)).all(axis=1)
  columns, rows = points.clip(0, np.array(size) - 1).T
  nodule = np.where(inside, labelled[rows, columns], 0)
  return np.where(nodule[:, np.newaxis] == np.arange(1, labelled.max() + 1), 0, NO_HIT)


def hits_by_overlap(boxes: ArrayLike, nodule_boxes: ArrayLike, above: float = 0.2) -> Floats:
  """A finding hits a nodule if the IoU of their boxes is above `above`.

  Args:
    boxes: f[f, 4], the findings' (x_min, y_min, x_max, y_max).
    nodule_boxes: f[k, 4], the same for the nodules.
    above: the IoU that must be exceeded (0.2: NODE21; 0.4: VinBigData).

  Returns:
    f64[f, k]: the IoU of a hit, else `NO_HIT`.
  """
  iou = box_iou(boxes, nodule_boxes)
  return np.where(iou > above, iou, NO_HIT)


def hits_by_distance(
  centres: ArrayLike,
  nodule_centres: ArrayLike,
  spacing_mm: tuple[float, float],
  within_mm: float,
) -> Floats:
  """A finding hits a nodule if their centres lie within a distance of each other.

  Args:
    centres: f[f, 2], the findings' (x, y) in pixels.
    nodule_centres: f[k, 2], the nodules' (x, y) in pixels.
    spacing_mm: (x, y), mm per pixel at the detector.
    within_mm: the largest distance of a hit.

  Returns:
    f64[f, k]: the distance of a hit in mm, negated, else `NO_HIT`.
  """
  points = np.asarray(centres, dtype=np.float64).reshape(-1, 1, 2)
  truths = np.asarray(nodule_centres, dtype=np.float64).reshape(1, -1, 2)
  distance = np.linalg.norm((points - truths) * np.asarray(spacing_mm), axis=2)
  return np.where(distance <= within_mm, -distance, NO_HIT)


def box_iou(boxes: ArrayLike, other_boxes: ArrayLike) -> Floats:
  """Returns the intersection over union f64[f, k] of boxes f[f, 4] with boxes f[k, 4]."""
  a = np.asarray(boxes, dtype=np.float64).reshape(-1, 1, 4)
  b = np.asarray(other_boxes, dtype=np.float64).reshape(1, -1, 4)
  sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
  common = sides.clip(min=0).prod(axis=2)
  union = (a[..., 2:] - a[..., :2]).prod(axis=2) + (b[..., 2:] - b[..., :2]).prod(axis=2) - common
  return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def match(scores: ArrayLike, fits: ArrayLike) -> Integers:
  """Assigns the nodules of an image to the findings that hit them.

  Findings choose in order of their scores, and each takes the free nodule that it fits best, so
  the order in which nodules are listed does not matter.

  Args:
    scores: f[f], scores of the findings.
    fits: f[f, k], how well each finding fits each nodule, from one of the functions above.

  Returns:
    i64[f]: the nodule, 0 to k - 1, assigned to each finding; `FALSE_POSITIVE` if it hits none;
    `REPEAT` if it only hits nodules that are already assigned.
  """
  table = np.array(fits, dtype=np.float64)
  hit_any = (table > NO_HIT).any(axis=1)
  matched = np.where(hit_any, REPEAT, FALSE_POSITIVE)
  for finding in np.argsort(-np.asarray(scores, dtype=np.float64), kind='stable'):
    if (table[finding] > NO_HIT).any():
      matched[finding] = table[finding].argmax()
      table[:, matched[finding]] = NO_HIT
  return matched


def _checked(heat_map: ArrayLike, threshold: float) -> Floats:
  heat = np.asarray(heat_map, dtype=np.float64)
  if heat.ndim != 2:
    raise ValueError(f'the heat map must be [H, W], got shape {heat.shape}')
  if np.isnan(heat).any():
    raise ValueError('the heat map holds a NaN')
  if not threshold > 0:
    raise ValueError(f'the threshold must be above 0, got {threshold}')
  return heat


def _describe(heat: Floats, regions: Integers) -> list[Finding]:
  found = []
  for number, window in enumerate(ndimage.find_objects(regions), start=1):
    rows, columns = window
    inside = regions[window] == number
    local = np.where(inside, heat[window], 0)
    y, x = ndimage.center_of_mass(local)
    # The centre of a crescent is not part of it.
    if not inside[round(y), round(x)]:
      y, x = np.unravel_index(int(local.argmax()), local.shape)
    found.append(
      Finding(
        score=float(local.max()),
        x=float(columns.start + x + 0.5),
        y=float(rows.start + y + 0.5),
        box=(float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)),
        area=int(inside.sum()),
      )
    )
  return found


def _sorted(findings: list[Finding]) -> list[Finding]:
  return sorted(findings, key=lambda finding: -finding.score)
