"""Batches of prepared radiographs: shuffled and augmented for training, in order for evaluation."""

import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import cv2
import grain
import numpy as np

from nodulax.errors import OptionError
from nodulax.input.prepared import Prepared
from nodulax.radiograph.augmentation import Augmentation, warp

Batch = dict[str, Any]


class _Indices:
  """The positions in a split; elements are passed as indices until a worker loads them."""

  def __init__(self, prepared: Prepared):
    self._count = len(prepared)

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index: Any) -> int:
    return int(index)


def training_batches(
  prepared: Prepared,
  *,
  batch_size: int,
  map_size: int,
  augmentation: Augmentation | None,
  seed: int,
  worker_processes: int = 0,
  host: int = 0,
  hosts: int = 1,
  start: int = 0,
) -> grain.DatasetIterator:
  """An endless stream of this host's part of each global batch.

  Every epoch is shuffled and augmented anew. Batch i depends only on the seed, not on the number of
  worker processes or on where the stream starts.

  Args:
    prepared: the training split.
    batch_size: radiographs in a batch over all hosts.
    map_size: side of the truth that the network's map is compared with.
    augmentation: ranges of the random changes, or None to leave the images unchanged.
    seed: seed of shuffling and augmentation.
    worker_processes: number of processes that load the batches; 0 uses threads of this one.
    host, hosts: the index of this host, and the number of hosts.
    start: the first batch; an interrupted run resumes at its step.

  Yields:
    image u8[B, S, S, 1]; label f32[B]; truth f32[B, map_size, map_size], the share of nodule in
    each cell; located f32[B], 1 if the truth is known; index i32[B] in the split.

  Raises:
    ValueError: the batch cannot be divided evenly over the hosts.
  """
  if batch_size % hosts:
    raise OptionError(f'a batch of {batch_size} does not divide over {hosts} hosts')
  draw = functools.partial(_augmented, prepared, map_size, augmentation)
  dataset = (
    grain.MapDataset.source(_Indices(prepared))
    .seed(seed)
    .shuffle()
    .repeat()
    .random_map(draw)[host::hosts]
    .batch(batch_size // hosts)[start:]
  )
  if not worker_processes:
    options = grain.ReadOptions(num_threads=4, prefetch_buffer_size=8)
    return iter(dataset.to_iter_dataset(options))
  workers = grain.MultiprocessingOptions(num_workers=worker_processes, per_worker_buffer_size=2)
  return iter(dataset.to_iter_dataset().mp_prefetch(workers, worker_init_fn=_end_with_the_run))


def _end_with_the_run(*_: object) -> None:
  """Makes a worker process leave signals to the run's own process, and end with it."""
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)

  def follow() -> None:
    if run := multiprocessing.parent_process():
      run.join()
    os._exit(0)

  threading.Thread(target=follow, daemon=True).start()


def evaluation_batches(
  prepared: Prepared, batch_size: int, host: int = 0, hosts: int = 1
) -> Iterator[Batch]:
  """The split in order, once; `valid` is False for the padding of the last batch.

  Args:
    prepared: the split.
    batch_size: radiographs in a batch over all hosts; a multiple of their number.
    host, hosts: the index of this host, and the number of hosts.

  Yields:
    valid bool[B], and this host's part of the images, image u8[B / hosts, S, S, 1].
  """
  share = batch_size // hosts
  for start in range(0, len(prepared), batch_size):
    mine = start + host * share
    images = np.asarray(prepared.images[mine : mine + share])[..., None]
    yield {
      'image': np.pad(images, [(0, share - len(images))] + [(0, 0)] * 3),
      'valid': np.arange(start, start + batch_size) < len(prepared),
    }


def _augmented(
  prepared: Prepared,
  map_size: int,
  augmentation: Augmentation | None,
  index: int,
  rng: np.random.Generator,
) -> Batch:
  """One training example."""
  case = prepared.cases[index]
  image = np.asarray(prepared.images[index])
  mask = np.asarray(prepared.masks[index]) if case.boxes else None
  if augmentation is not None:
    affine = augmentation.draw(rng, len(image))
    image = augmentation.expose(warp(image, affine), rng)
    mask = None if mask is None else warp(mask, affine)
  truth: np.ndarray = np.zeros((map_size, map_size), np.float32)
  if mask is not None:
    # By area, so that no small nodule vanishes.
    share = mask.astype(np.float32) / 255
    truth = cv2.resize(share, truth.shape, interpolation=cv2.INTER_AREA)
  return {
    'image': image[..., None],
    'label': np.float32(case.label),
    'truth': truth,
    'located': np.float32(case.location_known),
    'index': np.int32(index),
  }
