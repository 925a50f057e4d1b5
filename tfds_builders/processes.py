"""Applies one function to many items, on all cores, with one progress bar."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tfds_builders.records import SourceError

Item = TypeVar('Item')
Result = TypeVar('Result')

# Imported once, by the process from which the others are forked.
_PRELOADED = ['tfds_builders.examples']
# Starting a process takes about as long as this number of images.
_IMAGES_WORTH_A_PROCESS = 32
# How many images a process gets at a time.
_CHUNK = 8


def map_images(
  function: Callable[[Item], Result],
  items: Sequence[Item],
  *,
  processes: int,
  doing: str,
  weights: Sequence[int] | None = None,
) -> list[Result]:
  """Applies `function` to every item; returns the results in the order of the items.

  Args:
    function: importable by name, as are the items' types.
    items: the arguments, one for each call.
    processes: number of processes; 0 for one per core. A few images are done in this process.
    doing: what the progress bar says.
    weights: images in each item; one image each if not given.

  Raises:
    SourceError: a process was killed, for example because memory ran out.
  """
  chunk = _CHUNK if weights is None else 1
  weights = weights or [1] * len(items)
  images = sum(weights)
  processes = min(
    processes or _cores(), len(items), max(1, round(images / _IMAGES_WORTH_A_PROCESS))
  )
  columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn())
  results = []
  with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
    task = progress.add_task(doing, total=images)

    def keep(finished: Iterable) -> None:
      for result, weight in zip(finished, weights, strict=True):
        results.append(result)
        progress.advance(task, weight)

    if processes <= 1:
      keep(map(function, items))
      return results
    # Not plain forking: other threads, such as those of TensorFlow and JAX, would leave locks held.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context('forkserver' if 'forkserver' in methods else 'spawn')
    context.set_forkserver_preload(_PRELOADED)
    with ProcessPoolExecutor(processes, context, initializer=_start) as pool:
      try:
        keep(pool.map(function, items, chunksize=chunk))
      except BrokenProcessPool:
        raise SourceError(
          'a process was killed, most likely because memory ran out; give fewer with --processes'
        ) from None
      except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
  return results


def _cores() -> int:
  return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def _start() -> None:
  cv2.setNumThreads(1)
  # The parent handles Ctrl-C for all. If it is killed it can notify no one, so each process watches
  # it.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
  parent = multiprocessing.parent_process()
  assert parent is not None
  multiprocessing.connection.wait([parent.sentinel])
  os._exit(1)
