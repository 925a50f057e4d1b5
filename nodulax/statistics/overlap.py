"""How well a heat map covers the nodule: Dice and IoU at a threshold.

An image without a nodule has no Dice and no IoU. It gets NaN, whatever the heat map marks, and is
left out of every mean; `froc` counts false marks on it. (With 1 for an empty map and 0 otherwise,
the mean would depend on the number of normal radiographs and not on the network.)
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from nodulax.statistics.bootstrap import ratio_interval
from nodulax.statistics.checks import Bools, Floats, as_patients
from nodulax.statistics.estimate import Estimate

# Thresholds that `dice_by_threshold` tries by default.
THRESHOLDS = np.linspace(0.01, 0.99, 99)

# With fewer located images than this, the best threshold is mostly chance.
FEWEST_IMAGES = 30


@dataclasses.dataclass(frozen=True)
class OverlapThreshold:
  """The threshold at which a heat map counts as nodule, frozen on the tune split.

  Attributes:
    value: the threshold, or a fraction of each map's maximum if `relative`.
    relative: whether `value` is a fraction of each map's maximum.
    images: how many located nodule images it was chosen on.

  Raises:
    ValueError: one of them is out of range.
  """

  value: float
  relative: bool
  images: int

  def __post_init__(self) -> None:
    if not 0 <= self.value <= 1:
      raise ValueError(f'a heat map threshold is {self.value}; it must lie in [0, 1]')
    if self.images < 0:
      raise ValueError(f'a heat map threshold rests on {self.images} images; at least 0 are needed')

  def of(self, heat_map: ArrayLike) -> float:
    """The threshold for this heat map, f[H, W]."""
    return self.value * float(np.max(heat_map)) if self.relative else self.value


@dataclasses.dataclass(frozen=True)
class MeanOverlap(Estimate):
  """A mean Dice or IoU with its interval over patients.

  Attributes:
    images: how many nodule images the mean is over.
    patients: how many patients these images are from.
  """

  images: int
  patients: int


def dice(
  heat_map: ArrayLike, mask: ArrayLike, threshold: float, truth_outside: float = 0.0
) -> float:
  """Computes the Dice coefficient of the thresholded heat map and the mask.

  Args:
    heat_map: f[H, W]; at or above the threshold counts as nodule.
    mask: bool[H, W] or u8[H, W], non-zero where nodule.
    threshold: in the heat map's units.
    truth_outside: area of nodule outside the heat map, in its pixels, which counts as missed.

  Returns:
    A number in [0, 1]; NaN if there is no nodule.

  Raises:
    ValueError: the shapes differ or the heat map holds a NaN.
  """
  marked, truth, common = _areas(heat_map, mask, threshold, truth_outside)
  return 2 * common / (marked + truth) if truth else float('nan')


def iou(
  heat_map: ArrayLike, mask: ArrayLike, threshold: float, truth_outside: float = 0.0
) -> float:
  """Computes IoU of the thresholded heat map and the mask; arguments as in `dice`."""
  marked, truth, common = _areas(heat_map, mask, threshold, truth_outside)
  return common / (marked + truth - common) if truth else float('nan')


def dice_by_threshold(
  heat_map: ArrayLike,
  mask: ArrayLike,
  thresholds: ArrayLike = THRESHOLDS,
  truth_outside: float = 0.0,
) -> Floats:
  """Computes `dice` at f[t] rising thresholds in one pass over the heat map: f64[t]."""
  heat, nodule = _checked(heat_map, mask, truth_outside)
  levels = np.asarray(thresholds, dtype=np.float64)
  # How many thresholds each pixel reaches.
  reached = np.searchsorted(levels, heat, side='right')
  marked, common = (
    np.bincount(pixels, minlength=levels.size + 1)[::-1].cumsum()[::-1][1:]
    for pixels in (reached.ravel(), reached[nodule])
  )
  truth = nodule.sum() + truth_outside
  return 2 * common / (marked + truth) if truth else np.full(levels.shape, np.nan)


def choose_threshold(
  dices: ArrayLike, thresholds: ArrayLike = THRESHOLDS, *, fewest_images: int = FEWEST_IMAGES
) -> OverlapThreshold:
  """Chooses the threshold with the best mean Dice on the tune split's located nodule images.

  With fewer than `fewest_images` of these images it is half of each map's maximum. Of several
  equally good thresholds it is the middle one.

  Args:
    dices: f[n, t], a row of `dice_by_threshold` for each image; rows of NaN (no nodule) are left
      out. An empty list if the split has no located image.
    thresholds: f[t], the thresholds of the columns.
    fewest_images: with fewer images than this, half of the maximum is used.

  Raises:
    ValueError: the columns of `dices` are not those of `thresholds`.
  """
  levels = np.asarray(thresholds, dtype=np.float64)
  table = np.asarray(dices, dtype=np.float64).reshape(-1, levels.size)
  table = table[~np.isnan(table).any(axis=1)]
  if len(table) < fewest_images:
    return OverlapThreshold(0.5, relative=True, images=len(table))
  means = table.mean(axis=0)
  best = np.flatnonzero(means == means.max())
  return OverlapThreshold(float(levels[best[len(best) // 2]]), relative=False, images=len(table))


def mean_overlap(
  overlaps: ArrayLike,
  patients: ArrayLike | None = None,
  *,
  confidence: float = 0.95,
  resamples: int = 2000,
  seed: int = 0,
) -> MeanOverlap:
  """Averages Dice or IoU over nodule images, with a bootstrap interval over patients (BCa).

  To compare two models, give the differences of their overlaps, image by image.

  Args:
    overlaps: f[n], NaN for an image without a nodule or a known location, which is left out.
    patients: [n], the patient of each image; None if each has its own patient.
    confidence: level of the interval, in (0, 1).
    resamples: number of bootstrap resamples.
    seed: seed of the bootstrap.

  Returns:
    The mean; all NaN if no image has an overlap, and with NaN bounds if the overlap does not vary
    between patients.

  Raises:
    ValueError: lengths differ.
  """
  values = np.asarray(overlaps, dtype=np.float64)
  if values.ndim != 1:
    raise ValueError(f'overlaps must be a list of numbers, got shape {values.shape}')
  known = ~np.isnan(values)
  numbers = as_patients(patients, values.size)[known]
  if not known.any():
    return MeanOverlap(np.nan, np.nan, np.nan, images=0, patients=0)
  images = np.bincount(numbers)
  present = images > 0
  estimate = ratio_interval(
    np.bincount(numbers, values[known])[present],
    images[present],
    confidence=confidence,
    resamples=resamples,
    seed=seed,
  )
  return MeanOverlap(
    estimate.value,
    estimate.low,
    estimate.high,
    images=int(known.sum()),
    patients=int(present.sum()),
  )


def _checked(heat_map: ArrayLike, mask: ArrayLike, truth_outside: float) -> tuple[Floats, Bools]:
  heat = np.asarray(heat_map, dtype=np.float64)
  nodule = np.asarray(mask) != 0
  if heat.ndim != 2 or heat.shape != nodule.shape:
    raise ValueError(
      f'the heat map {heat.shape} and the mask {nodule.shape} must be [H, W] of one size'
    )
  if np.isnan(heat).any():
    raise ValueError('the heat map holds a NaN')
  if truth_outside < 0:
    raise ValueError(f'truth_outside is an area, 0 or more, got {truth_outside}')
  return heat, nodule


def _areas(
  heat_map: ArrayLike, mask: ArrayLike, threshold: float, truth_outside: float
) -> tuple[float, float, float]:
  """The areas that are marked, that are nodule, and that are both."""
  heat, nodule = _checked(heat_map, mask, truth_outside)
  marked = heat >= threshold
  return float(marked.sum()), float(nodule.sum() + truth_outside), float((marked & nodule).sum())
