"""Degrades a training set on purpose, to measure what labels, outlines and its size are worth."""

import dataclasses

import cv2
import numpy as np

from nodulax.errors import OptionError
from nodulax.input.prepared import Prepared
from nodulax.input.shards import Case

# Share of the nodules of each conspicuity grade that a reader without CT misses; any other word
# counts as the middle grade. Our choice, the same as for the virtual hospitals' readers.
_MISSED = {'1': 0.55, '2': 0.35, '3': 0.15, '4': 0.05, '5': 0.01}
_UNKNOWN = '3'


@dataclasses.dataclass(frozen=True)
class Noise:
  """The errors in the truth of a split.

  Attributes:
    wrong_normal: share of the normals that are labelled nodule.
    wrong_nodule: share of the nodules that are labelled normal.
    by_conspicuity: whether less conspicuous nodules lose their label more often, as with readers;
      else all do equally.
    missed_second: share of the radiographs with several nodules on which only the largest is
      marked.
    jitter: standard deviation of the shift of each outline, as a share of the nodule's size.
    enlarged: how much too large each outline is on every side, as a share of the nodule's size.
  """

  wrong_normal: float
  wrong_nodule: float
  by_conspicuity: bool
  missed_second: float
  jitter: float
  enlarged: float

  def __post_init__(self) -> None:
    for name, most in (
      *((name, 1) for name in ('wrong_normal', 'wrong_nodule', 'missed_second')),
      *((name, 5) for name in ('jitter', 'enlarged')),
    ):
      if not 0 <= getattr(self, name) <= most:
        raise OptionError(
          f'config.data.noise.{name} is {getattr(self, name)}; it must lie between 0 and {most}'
        )


def reduced(prepared: Prepared, count: int, seed: int) -> Prepared:
  """Draws `count` radiographs of a split, half of them with nodules if there are enough.

  A smaller draw with the same seed is part of a larger one.

  Raises:
    ValueError: the split has fewer radiographs.
  """
  if not 0 < count <= len(prepared):
    raise OptionError(
      f'{prepared.name}: the split {prepared.split} has {len(prepared)} radiographs, not {count}; '
      'change --config.data.train_images'
    )
  order = np.random.default_rng([seed, 0]).permutation(len(prepared))
  labels = np.array([prepared.cases[index].label for index in order])
  nodules, normals = order[labels == 1], order[labels == 0]
  wanted = min(max(count // 2, count - len(normals)), len(nodules))
  chosen = np.sort([*nodules[:wanted], *normals[: count - wanted]])
  return prepared.subset(chosen.tolist())


def degraded(prepared: Prepared, noise: Noise, seed: int) -> Prepared:
  """The same radiographs with the errors of `noise` in their truth.

  A nodule that is labelled normal loses its location; a normal that is labelled nodule has none.
  With the same seed, what is wrong at a lower rate is also wrong at a higher one.
  """
  prepared = _misplaced(prepared, noise, seed)
  cases = list(prepared.cases)
  for label, rate in ((0, noise.wrong_normal), (1, noise.wrong_nodule)):
    of_class = [index for index, case in enumerate(prepared.cases) if case.label == label]
    rng = np.random.default_rng([seed, 1, label])
    if label and noise.by_conspicuity:
      # Weighted, without replacement: Efraimidis and Spirakis, Inf. Process. Lett. 2006;97:181.
      weights = [_MISSED.get(cases[index].conspicuity, _MISSED[_UNKNOWN]) for index in of_class]
      keys = np.log(rng.random(len(of_class))) / np.array(weights)
      order = [of_class[index] for index in np.argsort(-keys)]
    else:
      order = list(rng.permutation(of_class))
    for index in order[: round(rate * len(of_class))]:
      cases[index] = _mislabelled(cases[index])
  return dataclasses.replace(prepared, cases=cases, folder=None)


def _mislabelled(case: Case) -> Case:
  return dataclasses.replace(case, label=1 - case.label, location_known=case.label == 1, boxes=())


def _misplaced(prepared: Prepared, noise: Noise, seed: int) -> Prepared:
  """Makes outlines miss a nodule, lie beside it or be too large."""
  if not (noise.missed_second or noise.jitter or noise.enlarged):
    return prepared
  cases, masks = list(prepared.cases), np.array(prepared.masks)
  for index, case in enumerate(cases):
    if not case.boxes or not masks[index].any():
      continue
    rng = np.random.default_rng([seed, 2, index])
    missed, shifts = rng.random() < noise.missed_second, rng.standard_normal((len(case.boxes), 2))
    nodules = _nodules(masks[index])
    if missed and len(case.boxes) > 1:
      nodules = nodules[:1]
      cases[index] = dataclasses.replace(case, boxes=(max(case.boxes, key=_area),))
    masks[index] = np.max(
      [
        _drawn(nodule, noise, shifts[number % len(shifts)]) for number, nodule in enumerate(nodules)
      ],
      axis=0,
    )
  return dataclasses.replace(prepared, cases=cases, masks=masks, folder=None)


def _nodules(mask: np.ndarray) -> list[np.ndarray]:
  """Each region of `mask u8[S, S]` separately, the largest first."""
  count, regions = cv2.connectedComponents((mask > 0).astype(np.uint8))
  parts = [np.where(regions == number, mask, 0) for number in range(1, count)]
  return sorted(parts, key=lambda part: -int(part.sum(dtype=np.int64)))


def _drawn(nodule: np.ndarray, noise: Noise, shift: np.ndarray) -> np.ndarray:
  """A nodule's outline as a hurried reader draws it: u8[S, S]."""
  size = float(np.sqrt(nodule.sum(dtype=np.float64) / 255))
  if radius := round(noise.enlarged * size):
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    nodule = cv2.dilate(nodule, kernel)
  if noise.jitter:
    across, down = noise.jitter * size * shift
    moved = np.array([[1, 0, across], [0, 1, down]])
    nodule = cv2.warpAffine(nodule, moved, nodule.shape[::-1], flags=cv2.INTER_LINEAR)
  return nodule


def _area(box: tuple[float, ...]) -> float:
  x_min, y_min, x_max, y_max = box
  return (x_max - x_min) * (y_max - y_min)
