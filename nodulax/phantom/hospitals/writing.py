"""Writes a hospital's folder, completely or not at all; the bytes do not depend on the cores."""

import json
import multiprocessing
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from nodulax.errors import NodulaxError
from nodulax.files import remove_leftovers, whole_folder

RECIPE = 'phantom.json'
TRUTH = 'phantom_truth.csv'
NOTICE = (
  'Simulated radiographs of nobody: no patient, hospital or manufacturer is behind them. '
  'For research, not a medical device.'
)


class PhantomError(NodulaxError):
  """A folder that cannot be written; the message names it and the remedy."""


def _quietly() -> None:
  # One thread per process: OpenCV's threads would compete for the same cores.
  cv2.setNumThreads(1)


def write_folder(
  output: str | os.PathLike,
  recipe: Mapping[str, Any],
  jobs: Sequence[Any],
  write_image: Callable[[pathlib.Path, Any], dict[str, Any]],
  write_tables: Callable[[pathlib.Path, list[dict[str, Any]]], None],
  processes: int | None = None,
  *,
  notice: str = NOTICE,
  doing: str = 'Simulating',
) -> pathlib.Path:
  """Runs the jobs into a temporary folder, which is renamed to `output` once it is complete.

  Args:
    output: the folder to create. It stays as it is if it is finished and has the same recipe.
    recipe: what determines every byte; stored in the folder.
    jobs: one per image.
    write_image: (folder, job) -> the image's row; runs in other processes.
    write_tables: (folder, rows in the order of jobs).
    processes: number of processes; None for one per core.
    notice: what users of the folder must know; stored in the recipe.
    doing: a word for the progress bar.

  Raises:
    PhantomError: the folder exists and holds something else.
  """
  output = pathlib.Path(output)
  recipe = {**recipe, 'notice': notice}
  if output.exists():
    _check_finished(output, recipe)
    return output
  remove_leftovers(output)
  with whole_folder(output) as unfinished:
    work = partial(write_image, unfinished)
    processes = min(processes or os.cpu_count() or 1, max(len(jobs), 1))
    description = f'{doing} {output.name}'
    if processes == 1:
      rows = [work(job) for job in track(jobs, description)]
    else:
      # Spawned, because forking a parent with running threads (JAX) can hang.
      with ProcessPoolExecutor(
        processes, multiprocessing.get_context('spawn'), initializer=_quietly
      ) as pool:
        rows = list(track(pool.map(work, jobs, chunksize=4), description, total=len(jobs)))
    write_tables(unfinished, rows)
    (unfinished / RECIPE).write_text(json.dumps(recipe, indent=2) + '\n')
  return output


def _check_finished(output: pathlib.Path, recipe: Mapping[str, Any]) -> None:
  try:
    found = json.loads((output / RECIPE).read_text())
  except (OSError, ValueError):
    raise PhantomError(
      f'{output} exists and holds no {RECIPE}, so it is not a finished simulated hospital. '
      'Name another folder, or remove this one.'
    ) from None
  if found != json.loads(json.dumps(recipe)):
    raise PhantomError(
      f'{output} holds another simulated hospital: {found}, not {dict(recipe)}. '
      'Name another folder, or remove this one.'
    )


def write_png(path: pathlib.Path, pixels: np.ndarray) -> None:
  """One-channel 8- or 16-bit PNG."""
  done, data = cv2.imencode('.png', pixels)
  if not done:
    raise PhantomError(f'{path}: the PNG could not be encoded')
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(data.tobytes())
