"""Logs a training run: to TensorBoard, to metrics.jsonl and as a line of progress."""

import contextlib
import datetime
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from clu import parameter_overview
from etils import epath
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nodulax.statistics.estimate import Estimate
from nodulax.training import event_file
from nodulax.training.event_file import EventFile


def duration(seconds: float) -> str:
  """A time in words: '42 s', '1:05 h'."""
  if seconds < 90:
    return f'{seconds:.0f} s'
  return str(datetime.timedelta(minutes=round(seconds / 60))).removesuffix(':00') + ' h'


class Logbook:
  """Writes the metrics of one run, from step `first_step` on.

  Scalars go to TensorBoard and, except timings, to metrics.jsonl, which is therefore the same for
  an interrupted run and an uninterrupted one.

  Args:
    folder: the workdir.
    name: name of the run.
    first_step, total_steps: step to start from, and number of steps in all.
    batch_size: radiographs per step.
    log_every: steps between two points.
    silent: whether to write and show nothing, as on all hosts but one.
  """

  def __init__(
    self,
    folder: epath.Path,
    *,
    name: str,
    first_step: int,
    total_steps: int,
    batch_size: int,
    log_every: int,
    silent: bool = False,
  ):
    self._folder = folder
    self._name = name
    self._batch_size = batch_size
    self._log_every = log_every
    self._silent = silent
    nowhere = epath.Path(os.devnull)
    self._events = EventFile(nowhere if silent else folder / event_file.new_name())
    self._metrics = (nowhere if silent else folder / 'metrics.jsonl').open('a')
    self._progress = Progress(
      TextColumn('{task.description}'),
      BarColumn(),
      MofNCompleteColumn(),
      TextColumn('{task.fields[speed]}'),
      TimeRemainingColumn(),
      console=Console(soft_wrap=True, quiet=silent),
    )
    self._task = self._progress.add_task(name, total=total_steps, completed=first_step, speed='')
    self._restart_clock(first_step)

  def __enter__(self) -> 'Logbook':
    self._progress.start()
    return self

  def __exit__(self, *_: object) -> None:
    self._progress.stop()
    with self._writing(), self._metrics:
      self._events.close()

  def network(self, parameters: Any) -> None:
    """Prints the number of parameters, and lists them in parameters.txt."""
    if self._silent:
      return
    table = parameter_overview.get_parameter_overview(parameters, include_stats=False)
    with self._writing():
      (self._folder / 'parameters.txt').write_text(table + '\n')
    count = parameter_overview.count_parameters(parameters)
    self._progress.console.print(
      f'{self._name}: {count:,} parameters, listed in parameters.txt', highlight=False
    )

  @contextlib.contextmanager
  def waiting_for_data(self) -> Iterator[None]:
    """Measures the time within this block, in which the devices may be idle."""
    start = time.perf_counter()
    yield
    self._waited += time.perf_counter() - start

  def train(self, step: int, scalars: Mapping[str, float]) -> None:
    """Logs the metrics of the first training step and of every `log_every`-th."""
    if step % self._log_every and step > 1:
      self._progress.update(self._task, completed=step)
      return
    elapsed = time.perf_counter() - self._clock
    speed = {
      'images_per_second': (step - self._clock_step) * self._batch_size / elapsed,
      'data_wait': self._waited / elapsed,
    }
    self._write(step, 'train', scalars, speed)
    shown = f'{speed["images_per_second"]:.1f} images/s, data wait {speed["data_wait"]:.0%}'
    self._progress.update(self._task, completed=step, speed=shown)
    self._restart_clock(step)

  def hyperparameters(self, values: Mapping[str, Any]) -> None:
    """Writes the run's options to TensorBoard."""
    with self._writing():
      self._events.hyperparameters(values)

  def tune(
    self,
    step: int,
    epoch: int,
    scalars: Mapping[str, float],
    best: bool,
    auc: Estimate | None = None,
  ) -> None:
    """Logs an evaluation on the tune split; the interval of the AUC is only shown."""
    self._write(step, 'tune', scalars, {})
    named = {name.replace('_', ' '): value for name, value in scalars.items()}
    numbers = ', '.join(f'tune {name} {value:.4f}' for name, value in named.items())
    if auc is not None:
      limits = f'{auc.low:.2f} to {auc.high:.2f}' if auc.estimable else 'unknown'
      numbers += f', interval of the AUC {limits}'
    self._progress.console.print(
      f'{self._name}: epoch {epoch}, {numbers}{" (best so far)" if best else ""}', highlight=False
    )

  def precision_recall(self, step: int, labels: Sequence[int], scores: np.ndarray) -> None:
    """Writes the precision-recall curve of the tune split to TensorBoard."""
    with self._writing():
      self._events.precision_recall(step, 'tune/precision_recall', labels, scores)

  def pictures(self, step: int, name: str, images: Sequence[np.ndarray]) -> None:
    """Writes images u8[H, W, 3], if any, to TensorBoard."""
    if images:
      with self._writing():
        self._events.images(step, name, images)

  def resume_clock(self, step: int) -> None:
    """Leaves the time since the last step (evaluation, saving) out of the speed."""
    self._restart_clock(step)

  def flush(self) -> None:
    """Writes what is buffered, so that the files hold every number so far."""
    with self._writing():
      self._events.flush()
      self._metrics.flush()

  def _write(
    self, step: int, group: str, scalars: Mapping[str, float], timings: Mapping[str, float]
  ) -> None:
    """Writes a point of each scalar, to TensorBoard under its group; timings go only there."""
    tags = {f'{group}/{name}': value for name, value in {**scalars, **timings}.items()}
    prefix = '' if group == 'train' else f'{group}_'
    line = {'step': step} | {f'{prefix}{name}': value for name, value in scalars.items()}
    with self._writing():
      self._events.scalars(step, tags)
      self._events.flush()  # for whoever watches; metrics.jsonl waits for the checkpoint
      self._metrics.write(json.dumps(line) + '\n')

  @contextlib.contextmanager
  def _writing(self) -> Iterator[None]:
    try:
      yield
    except OSError as error:
      raise OSError(
        f'{self._folder}: the logs could not be written: {error.strerror or error}.\n'
        'Make room if the disk is full; the same command resumes from the last checkpoint'
      ) from error

  def _restart_clock(self, step: int) -> None:
    self._clock, self._clock_step, self._waited = time.perf_counter(), step, 0.0
