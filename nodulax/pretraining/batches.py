"""Batches for training the bundled network: batch i depends only on the seed and i."""

import dataclasses
from typing import Any

import cv2
import grain
import numpy as np

from nodulax.pretraining.views import Crop, Views, cut, free_crop, nodule_crops, truth

Batch = dict[str, Any]
_TRIES = 8  # views without a nodule in a row before a batch is filled up with normal crops


@dataclasses.dataclass(frozen=True)
class Plan:
  """What batches hold in the course of the training.

  Attributes:
    steps: steps of the whole training.
    whole_share: share of the steps, at the end, with whole views instead of crops.
    crop_size: side of a crop in pixels, a multiple of 32.
    batch_size: crops in a batch; half of them show a nodule.
    whole_batch_size: whole views in a batch.
    mined_share: share of the crops without a nodule that come from where the network was wrong.
  """

  steps: int
  whole_share: float
  crop_size: int
  batch_size: int
  whole_batch_size: int
  mined_share: float

  @property
  def first_whole_step(self) -> int:
    return round(self.steps * (1 - self.whole_share))

  @property
  def mined(self) -> int:
    """Crops of a batch that the training loop fills in from its pool."""
    return round(self.batch_size / 2 * self.mined_share)


def crop_batch(views: Views, plan: Plan, step: int, seed: int) -> Batch:
  """Crops of one step except the mined ones: image u8[B, s, s, 1], truth, label."""
  rng = np.random.default_rng([seed, 1, step])
  with_nodule: list[Crop] = []
  without: list[Crop] = []
  wanted, free = plan.batch_size // 2, plan.batch_size - plan.batch_size // 2 - plan.mined
  tries = 0
  while len(with_nodule) < wanted and tries < _TRIES * wanted:
    tries += 1
    view = views.draw(rng, 2, step / plan.steps)
    with_nodule += nodule_crops(view, plan.crop_size, rng)
    if len(without) < free and (crop := free_crop(view, plan.crop_size, rng)):
      without.append(crop)
  while len(without) < free:
    view = views.draw(rng, 0, step / plan.steps)
    without.append(cut(view, rng.uniform(0, len(view.image), 2), plan.crop_size))
  return _stacked(with_nodule[:wanted] + without)


def whole_batch(views: Views, plan: Plan, step: int, seed: int) -> Batch:
  """Whole views of one step, about half of them with nodules."""
  rng = np.random.default_rng([seed, 2, step])
  counts = rng.choice(4, plan.whole_batch_size, p=(0.5, 0.3, 0.15, 0.05))
  drawn = [views.draw(rng, int(count), step / plan.steps) for count in counts]
  return _stacked([(view.image, view.mask) for view in drawn])


def whole_views(views: Views, count: int, progress: float, seed: list[int]) -> Batch:
  """`count` whole views, every second with one nodule, for tuning and mining."""
  rng = np.random.default_rng(seed)
  drawn = [views.draw(rng, number % 2, progress) for number in range(count)]
  return _stacked([(view.image, view.mask) for view in drawn])


def _stacked(pairs: list[Crop]) -> Batch:
  images, masks = zip(*pairs, strict=True)
  cells = np.stack([truth(mask) for mask in masks])
  return {
    'image': np.stack(images)[..., None],
    'mask': np.stack(masks),
    'truth': cells,
    'label': (cells.max((1, 2)) > 0).astype(np.float32),
    'located': np.ones(len(images), np.float32),
  }


class _Draw(grain.transforms.Map):
  """Maps a step's number to its batch, in a worker process."""

  def __init__(self, views: Views, plan: Plan, seed: int):
    self._views, self._plan, self._seed = views, plan, seed

  def map(self, step: int) -> Batch:
    cv2.setNumThreads(1)
    make = crop_batch if step < self._plan.first_whole_step else whole_batch
    batch = make(self._views, self._plan, int(step), self._seed)
    del batch['mask']
    return batch


def batches(
  views: Views, plan: Plan, seed: int, start: int, worker_processes: int
) -> grain.DatasetIterator:
  """The batches from step `start` on; 0 worker processes draw them in threads of this one."""
  dataset = grain.MapDataset.range(start, plan.steps).map(_Draw(views, plan, seed))
  if not worker_processes:
    return iter(dataset.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)))
  workers = grain.MultiprocessingOptions(num_workers=worker_processes, per_worker_buffer_size=8)
  return iter(dataset.to_iter_dataset().mp_prefetch(workers))
