"""Hard negatives: crops around the cells where the network sees a nodule and there is none."""

import cv2
import numpy as np

from nodulax.model.heads import CELL
from nodulax.pretraining.batches import Batch, Plan

_EACH = 2  # crops from one view


class Pool:
  """The latest mined crops.

  Attributes:
    crops: u8[P, s, s, 1].
    count: crops mined in all; the oldest are replaced.
  """

  def __init__(self, crops: np.ndarray, count: int):
    self.crops = crops
    self.count = count

  def add(self, crops: list[np.ndarray]) -> None:
    for crop in crops:
      self.crops[self.count % len(self.crops)] = crop
      self.count += 1

  def fill_in(self, batch: Batch, mined: int, rng: np.random.Generator) -> Batch:
    """Adds `mined` crops of the pool to a batch, or repeats its own if the pool is empty."""
    filled = min(self.count, len(self.crops))
    if filled:
      images = self.crops[rng.integers(filled, size=mined)]
    else:
      images = batch['image'][len(batch['image']) - 1 - np.arange(mined) % 2]
    flip = rng.random(mined) < 0.5
    images = np.where(flip[:, None, None, None], images[:, :, ::-1], images)
    nothing = np.zeros((mined, *batch['truth'].shape[1:]), np.float32)
    return {
      'image': np.concatenate([batch['image'], images]),
      'truth': np.concatenate([batch['truth'], nothing]),
      'label': np.concatenate([batch['label'], np.zeros(mined, np.float32)]),
      'located': np.ones(len(batch['label']) + mined, np.float32),
    }


def empty(size: int, plan: Plan) -> tuple[np.ndarray, np.int32]:
  """The crops and the count of a pool without any."""
  return np.zeros((size, plan.crop_size, plan.crop_size, 1), np.uint8), np.int32(0)


def wrong_crops(seen: Batch, heat_maps: np.ndarray, side: int) -> list[np.ndarray]:
  """Crops `u8[side, side, 1]` round the hottest cells away from nodules, hottest first.

  Args:
    seen: whole views, as `whole_views` draws them.
    heat_maps: f32[N, h, w], their heat maps.
    side: side of a crop in pixels.
  """
  found = []
  for image, mask, truth, heat in zip(
    seen['image'], seen['mask'], seen['truth'], heat_maps, strict=True
  ):
    near = cv2.dilate((truth > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    wrong = np.where(near, -1, heat)
    for _ in range(_EACH):
      row, column = np.unravel_index(wrong.argmax(), wrong.shape)
      corner = [
        int(np.clip(round((at + 0.5) * CELL - side / 2), 0, len(image) - side))
        for at in (row, column)
      ]
      part = tuple(slice(start, start + side) for start in corner)
      if wrong[row, column] > 0 and not mask[part].any():
        found.append((float(wrong[row, column]), image[part]))
      wrong[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4] = -1
  found.sort(key=lambda pair: -pair[0])
  return [crop for _, crop in found]


def hottest_on_nodule(heat_maps: np.ndarray, truth: np.ndarray) -> float:
  """Share of the maps with a nodule whose hottest cell holds some of it; NaN without any.

  Args:
    heat_maps: f32[N, h, w].
    truth: f32[N, h, w], the share of nodule in each cell.
  """
  hits = [
    truth_of[np.unravel_index(heat.argmax(), heat.shape)] > 0
    for heat, truth_of in zip(heat_maps, truth, strict=True)
    if truth_of.any()
  ]
  return float(np.mean(hits)) if hits else float('nan')
