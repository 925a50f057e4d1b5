"""Fits one network: starts or resumes, trains epoch by epoch, tunes and saves, stops."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from absl import logging
from etils import epath
from ml_collections import ConfigDict

from nodulax.checkpoints import typed_json
from nodulax.checkpoints.checkpoint import Checkpoints
from nodulax.checkpoints.description import Description
from nodulax.distributed import hosts, inference, parallel
from nodulax.errors import NodulaxError
from nodulax.evaluation.hottest_cells import HottestCells
from nodulax.input.batches import evaluation_batches, training_batches
from nodulax.input.shards import Shards
from nodulax.model.build import build_network
from nodulax.model.heads import CELL
from nodulax.radiograph.augmentation import Augmentation
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.storage import folders
from nodulax.training import optimizer, workdir
from nodulax.training.data import training_data
from nodulax.training.interruption import Interrupted, Interruption
from nodulax.training.logbook import Logbook
from nodulax.training.loss_scale import LossScale
from nodulax.training.losses import Loss
from nodulax.training.options import hyperparameters
from nodulax.training.pending import PendingMetrics
from nodulax.training.start import compiled_step, forecast, starting_weights
from nodulax.training.step import State, initial_state
from nodulax.training.tuning import draw_batch, draw_tune, judge


class TrainingError(NodulaxError):
  """Training cannot continue; the message names the step, the images and the last checkpoint."""


def fit(
  config: ConfigDict,
  folder: epath.Path,
  shards: Shards,
  devices: Sequence[jax.Device],
  steps_per_epoch: int,
  total_steps: int,
  interruption: Interruption,
) -> None:
  """Trains a network, from where the last start stopped.

  Args:
    config: as `configs/default.py` describes it.
    folder: the workdir, claimed.
    shards: the split to train on.
    devices: devices of all hosts to train on.
    steps_per_epoch, total_steps: number of steps in an epoch, and in the whole training.
    interruption: asks the run to stop.

  Raises:
    Interrupted: the run was asked to stop, and is saved.
    MemoryShortage: a step does not fit into memory.
    TrainingError: the loss is not finite.
    CheckpointError, WeightsError, OptionError: the weights to start from or the data do not fit.
  """
  # Before the checkpoints: Orbax works in threads of its own from the start.
  run = _Fit(config, folder, shards, devices, steps_per_epoch, total_steps)
  with Checkpoints(folder) as checkpoints:
    run.start(checkpoints)
    with interruption.held(), run.log, contextlib.closing(run.batches):
      while True:
        stopping, late = run.ask_all_hosts(interruption)
        if run.at_the_end_of_an_epoch and not run.tuned and not stopping:
          stopping = run.tune(interruption)
        if run.at_the_end_of_an_epoch or stopping or late:
          run.save()
        if stopping and not run.finished:
          checkpoints.wait()
          raise Interrupted(f'{config.name}: stopped and saved at {run.place}')
        if run.step >= total_steps:
          break
        run.learn()
    checkpoints.wait()


class _Fit:
  """A network in training; the arguments are those of `fit`."""

  def __init__(
    self,
    config: ConfigDict,
    folder: epath.Path,
    shards: Shards,
    devices: Sequence[jax.Device],
    steps_per_epoch: int,
    total_steps: int,
  ):
    self._config, self._folder, self._devices = config, folder, devices
    self._steps_per_epoch, self._total_steps = steps_per_epoch, total_steps
    self._host = {'host': jax.process_index(), 'hosts': jax.process_count()}
    self._preprocessing = Preprocessing.from_dict(config.preprocessing.to_dict())

    axis_name = parallel.AXIS if config.train.synchronised_batch_norm else None
    self._network = typed_json.construct(
      build_network, {**config.model, 'axis_name': axis_name}, 'config.model'
    )
    self._learning_rate = optimizer.learning_rate_schedule(
      **config.optimizer, steps_per_epoch=steps_per_epoch
    )
    self._adam = optimizer.adam(self._learning_rate)
    self._loss = typed_json.construct(Loss, config.loss.to_dict(), 'config.loss')
    self._predictor = inference.Predictor(self._network, devices)
    self._training, self._tune = training_data(config, folder, shards, self._preprocessing)

  # Start or resume.

  def start(self, checkpoints: Checkpoints) -> None:
    """Makes everything ready for the next step."""
    config = self._config
    self._checkpoints = checkpoints
    state = self._initial_state()
    self.step = int(state.step)
    self._train_step, parts, seconds = compiled_step(
      config,
      self._network,
      self._adam,
      self._loss,
      self._devices,
      state,
      # The choice of the first start, because batch norm depends on it.
      config.train.accumulate or self._progress.get('accumulate', 0),
    )
    self._progress['accumulate'] = parts
    if seconds is not None:
      chosen = f'; each in {parts} parts, which fit into memory' if parts > 1 else ''
      hosts.tell(forecast(config.name, self._total_steps - self.step, seconds) + chosen)
    self._saved = self.step, self._progress['tuned']
    self._saved_at = time.monotonic()
    self.batches = training_batches(
      self._training,
      batch_size=config.train.batch_size,
      map_size=config.preprocessing.image_size // CELL,
      augmentation=Augmentation(**config.augmentation),
      seed=config.seed,
      worker_processes=config.data.worker_processes,
      start=self.step,
      **self._host,
    )
    self._state = parallel.replicate(state, self._devices)
    self.log = Logbook(
      self._folder,
      name=config.name,
      first_step=self.step,
      total_steps=self._total_steps,
      batch_size=config.train.batch_size,
      log_every=config.train.log_every,
      silent=not hosts.is_first(),
    )
    self._pending = PendingMetrics(self.log, self._learning_rate, self._refuse)
    self.log.network(parallel.first(self._state.params))
    if self.step == 0:
      self.log.hyperparameters(hyperparameters(config))
    hosts.wait('ready to train')  # or one would give up on another that still compiles
    self._agreement = parallel.Agreement(self._devices)

  def _initial_state(self) -> State:
    """Returns the state to start from, and sets `_progress`.

    The weights come from this run's latest readable checkpoint, else from `starting_weights`, else
    at random from config.seed.
    """
    config = self._config
    half = config.model.precision == 'float16'
    loss_scale = LossScale.create(**config.loss_scale) if half else None
    size = config.preprocessing.image_size
    radiographs = len(self._training) if self._loss.early_learning else 0
    state = initial_state(self._network, self._adam, config.seed, size, loss_scale, radiographs)
    self._progress: dict[str, Any] = {'best': -1.0, 'tuned': 0, 'logs': {}}
    if restored := self._checkpoints.restore_latest(state):
      step, state, self._progress = restored
      hosts.tell(f'{config.name}: resuming from step {step} of {self._total_steps}')
    else:
      state, self._progress['seen'] = starting_weights(config, self._network, state)
    if hosts.is_first():
      workdir.cut_back_logs(self._folder, self._progress['logs'])
    return state

  # Train.

  @property
  def at_the_end_of_an_epoch(self) -> bool:
    return self.step % self._steps_per_epoch == 0

  @property
  def place(self) -> str:
    return f'step {self.step} of {self._total_steps}'

  def learn(self) -> None:
    """Does one training step."""
    with self.log.waiting_for_data():
      batch = next(self.batches)
    if self.step == 0:
      self.log.pictures(0, 'train/images', draw_batch(batch, self._config.train.pictures))
    self._state, metrics = self._train_step(self._state, parallel.split(batch, self._devices))
    self.step += 1
    self._pending.settle()  # the previous step's, while the devices work on this one
    self._pending.put(self.step, batch['index'], metrics)

  def _refuse(self, step: int, indices: np.ndarray, scalars: dict[str, float]) -> TrainingError:
    cases = self._training.cases
    images = ', '.join(cases[index].image_id for index in hosts.together(indices))
    return TrainingError(
      f'step {step}: the loss or its gradient is not finite ({scalars}).\n'
      f'The batch was {images}.\n{self._rescue}'
    )

  @property
  def _rescue(self) -> str:
    return (
      f'The last good checkpoint is {self._checkpoints.latest_path()}; a lower learning rate or '
      'float32 may help, in a new --workdir.'
    )

  # Tune and save.

  @property
  def tuned(self) -> bool:
    """Whether the network was tuned after its last step."""
    return self._progress['tuned'] >= self.step

  def tune(self, interruption: Interruption) -> bool:
    """Evaluates the tune split, and saves the network if it is the best so far.

    Returns:
      Whether a stop cut this short; the next start then begins with it.
    """
    self._pending.settle()
    batch_size = inference.rounded_up(self._config.evaluation.batch_size, self._devices)
    batches = evaluation_batches(self._tune, batch_size, **self._host)
    stop = _Stop(lambda: self.ask_all_hosts(interruption)[0])
    probability, heat_maps = self._predictor(self._state.variables, stop.cuts(batches))
    if stop.asked:
      return True
    if not (np.isfinite(probability).all() and np.isfinite(heat_maps).all()):
      raise TrainingError(
        f"step {self.step}: the network's answers on the tune split are not finite.\n{self._rescue}"
      )
    found = judge(self._tune, probability, heat_maps, self._config.model.head)
    best = found.quality > self._progress['best']
    epoch = self.step // self._steps_per_epoch
    self.log.tune(self.step, epoch, found.scalars, best, found.interval)
    self.log.precision_recall(self.step, [case.label for case in self._tune.cases], probability)
    self._warn_of_a_fixed_cell(found.cells)
    drawn = draw_tune(self._tune, heat_maps, self._config.train.pictures)
    self.log.pictures(self.step, 'tune/images', drawn)
    self._progress['tuned'] = self.step
    if best:
      self._progress['best'] = found.quality
      config = self._config
      self._checkpoints.save_best(
        parallel.first(self._state.variables),
        Description(
          config.name,
          config.model.to_dict(),
          self._preprocessing,
          found.thresholds,
          self.step,
          seen=self._progress.get('seen', ''),
        ).with_inputs(),
      )
    return False

  def _warn_of_a_fixed_cell(self, cells: HottestCells) -> None:
    if cells.fixed and self._config.model.head == 'pixel' and hosts.is_first():
      logging.warning(
        'The hottest cell is that of row %d and column %d in %.0f %% of the tune images: the '
        'network has a fixed hot spot and does not locate nodules. A larger '
        '--config.loss.localization_weight may help.',
        *(cells.row, cells.column, 100 * cells.same),
      )

  def save(self) -> None:
    """Saves what an exact restart needs, if anything is new."""
    state = self.step, self._progress['tuned']
    if state == self._saved:
      return
    self._pending.settle()
    self.log.flush()
    self._progress['logs'] = workdir.log_sizes(self._folder)
    self._checkpoints.save_latest(self.step, parallel.first(self._state), self._progress)
    if folders.is_copy(self._folder):
      self._checkpoints.wait()
      folders.publish(self._folder)
    self._saved, self._saved_at = state, time.monotonic()
    self.log.resume_clock(self.step)

  # Stop.

  @property
  def finished(self) -> bool:
    return self._progress['tuned'] >= self._total_steps

  def ask_all_hosts(self, interruption: Interruption) -> tuple[bool, bool]:
    """Whether any host was asked to stop, and whether a checkpoint is due on any."""
    minutes = (time.monotonic() - self._saved_at) / 60
    stopping, late = self._agreement(
      interruption.asked, minutes > self._config.train.checkpoint_minutes
    )
    return stopping, late


class _Stop:
  """Ends an evaluation once any host is asked to stop; `asked` is then True."""

  def __init__(self, ask: Callable[[], bool]):
    self._ask = ask
    self.asked = False

  def cuts(self, batches: Iterable) -> Iterator:
    for batch in batches:
      yield batch
      self.asked = self._ask()
      if self.asked:
        return
