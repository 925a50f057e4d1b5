"""Fits one network: starts or resumes, trains epoch by epoch, tunes and saves, stops."""

import contextlib
import dataclasses
import math
import pathlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
import optax
from absl import logging
from etils import epath
from ml_collections import ConfigDict

from nodulax.checkpoints import networks, typed_json
from nodulax.checkpoints.checkpoint import Checkpoints, describe
from nodulax.checkpoints.description import Description
from nodulax.distributed import compiling, hosts, inference, parallel
from nodulax.errors import NodulaxError, OptionError
from nodulax.evaluation.hottest_cells import HottestCells, hottest_cells
from nodulax.evaluation.thresholds import freeze_thresholds
from nodulax.input.batches import evaluation_batches, training_batches
from nodulax.input.degraded import Noise, degraded, reduced
from nodulax.input.folds import out_of_fold
from nodulax.input.prepared import Prepared, prepare
from nodulax.input.relabelled import relabelled
from nodulax.input.shards import Shards
from nodulax.labels import rereading
from nodulax.model import pretrained
from nodulax.model.build import build_network
from nodulax.model.heads import CELL
from nodulax.radiograph import pictures
from nodulax.radiograph.augmentation import Augmentation
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.storage import folders, published
from nodulax.training import optimizer, workdir
from nodulax.training.interruption import Interrupted, Interruption
from nodulax.training.logbook import Logbook, duration
from nodulax.training.loss_scale import LossScale
from nodulax.training.losses import Loss
from nodulax.training.step import State, batch_shapes, initial_state, step_function

# With fewer of either class the AUC on the tune split has a standard error above 0.05, and may be 1
# by chance.
_FEWEST_TO_CHOOSE = 20


class MemoryShortage(NodulaxError):
  """A training step needs more memory than there is; names both and what needs less."""


class TrainingError(NodulaxError):
  """Training cannot go on; says at which step, with which images, and what was saved last."""


def fit(
  config: ConfigDict,
  folder: epath.Path,
  shards: Shards,
  devices: Sequence[jax.Device],
  steps_per_epoch: int,
  total_steps: int,
  interruption: Interruption,
) -> None:
  """Trains a network, from wherever the last start left it.

  Args:
    config: as `configs/default.py` describes it.
    folder: the workdir, claimed.
    shards: the split to train on.
    devices: to train on, of all hosts.
    steps_per_epoch, total_steps: of the training.
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


def tell(message: object) -> None:
  """Prints a line, once for all hosts."""
  if hosts.is_first():
    print(message)


class _Fit:
  """A network that is being trained; arguments as of `fit`."""

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
    self._training, self._tune = self._data(shards)

  def _data(self, shards: Shards) -> tuple[Prepared, Prepared]:
    """The splits train and tune, degraded where the config asks for it."""
    data, seed = self._config.data, self._config.seed
    training, tune = (
      prepare(split, self._preprocessing, data.cache_dir)
      for split in (shards, Shards(shards.directory, 'tune'))
    )
    if data.labels:
      training, tune = self._read_again(training, tune)
    if data.fold[1] > 1:
      patients = [case.patient_id for case in training.cases]
      training = training.subset(out_of_fold(patients, data.fold))
    if data.train_images:
      training = reduced(training, data.train_images, seed)
    noise = typed_json.construct(Noise, data.noise.to_dict(), 'config.data.noise')
    training, tune = (degraded(part, noise, seed) for part in (training, tune))
    for part in (training, tune):
      _require_both_classes(part)
    digests = {part.split: part.digest() for part in (training, tune)}
    workdir.claim_data(self._folder, digests, hosts.is_first(), 'cases.json')
    fewest = min(Counter(case.label for case in tune.cases).values())
    if fewest < _FEWEST_TO_CHOOSE:
      tell(
        f'{self._config.name}: the tune split has {len(tune)} radiographs, {fewest} of the rarer '
        'class: which epoch is the best, and the thresholds, are mostly chance'
      )
    return training, tune

  def _read_again(self, training: Prepared, tune: Prepared) -> tuple[Prepared, Prepared]:
    """The splits with the labels of config.data.labels."""
    file = self._config.data.labels
    answers = rereading.read_answers(file)
    known = [case.image_id for part in (training, tune) for case in part.cases]
    where = f'the splits train and tune of {training.name}'
    rereading.require_known(answers, known, where)
    settled = rereading.settle(answers)
    tell(f'{self._config.name}: {len(settled):,} labels of {where} are those of {file}')
    read_again, tuned_again = (
      relabelled(part, settled, self._preprocessing, keep_unread=True) for part in (training, tune)
    )
    return read_again, tuned_again

  # Start or resume.

  def start(self, checkpoints: Checkpoints) -> None:
    """Makes everything ready for the next step."""
    config = self._config
    self._checkpoints = checkpoints
    state = self._initial_state()
    self.step = int(state.step)
    self._train_step = self._compiled_step(state)
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
    self._pending = _PendingMetrics(self.log, self._learning_rate, self._refuse)
    self.log.network(parallel.first(self._state.params))
    hosts.wait('ready to train')  # none gives up on another that was longer in compiling
    self._agreement = parallel.Agreement(self._devices)

  def _initial_state(self) -> State:
    """The state to begin with, and in `_progress` what else there is to remember.

    Weights come, in this order, from
    1. this run's own latest readable checkpoint,
    2. the best network of the run config.init.checkpoint,
    3. the public weights in config.init.chest or config.init.imagenet,
    4. the random numbers of config.seed.
    """
    config, network = self._config, self._network
    half = config.model.precision == 'float16'
    loss_scale = LossScale.create(**config.loss_scale) if half else None
    size = config.preprocessing.image_size
    radiographs = len(self._training) if self._loss.early_learning else 0
    state = initial_state(network, self._adam, config.seed, size, loss_scale, radiographs)
    self._progress: dict[str, Any] = {'best': -1.0, 'tuned': 0, 'logs': {}}
    if restored := self._checkpoints.restore_latest(state):
      step, state, self._progress = restored
      tell(f'{config.name}: resuming from step {step} of {self._total_steps}')
    elif config.init.checkpoint:
      start, source = networks.load_network(config.init.checkpoint)
      same_head = start.head == network.head
      state = start_from(
        state, *pretrained.load_network(source, state.variables, sub_network=same_head)
      )
      self._progress['seen'] = describe(config.init.checkpoint).seen
    elif config.init.chest:
      file = published.find_chest_weights(config.init.chest)
      state = start_from(state, *pretrained.load_published(file, state.variables))
      self._progress['seen'] = published.CHEST_SEEN
    elif config.init.imagenet:
      file = imagenet_file(config)
      state = start_from(state, *pretrained.load_published(file, state.variables))
    if hosts.is_first():
      workdir.cut_back_logs(self._folder, self._progress['logs'])
    return state

  def _compiled_step(self, state: State) -> Callable:
    """The training step, compiled; tells how long the training will take.

    Raises:
      MemoryShortage: it does not fit into the memory of a device.
    """
    config, local = self._config, parallel.local(self._devices)
    images = config.train.batch_size // len(self._devices)
    batch = batch_shapes(images, config.preprocessing.image_size)
    shapes = parallel.shapes((state, batch), self._devices)
    # As it was chosen at the first start: batch norm depends on it.
    given = config.train.accumulate or self._progress.get('accumulate', 0)
    for parts in [given] if given else [n for n in range(1, images + 1) if images % n == 0]:
      step = step_function(self._network, self._adam, self._loss, accumulate=parts)
      program = compiling.compile_ahead(
        parallel.map_devices(step, self._devices, donate=(0,)),
        *shapes,
        what=config.name + (f' in {parts} parts' if parts > 1 else ''),
      )
      needed, free = compiling.needed_bytes(program, local), compiling.free_bytes(local[0])
      if hosts.first_says(compiling.fits(needed, free)):
        break
    else:
      raise MemoryShortage(
        f'a training step needs {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free. '
        f'--config.train.accumulate={_next_divisor(images, parts)} works through a batch in so '
        'many parts (0 chooses their number), --config.model.recompute=True takes less memory and '
        'more time, and a smaller --config.train.batch_size needs less of both'
      )
    self._progress['accumulate'] = parts
    seconds = compiling.seconds_a_call(program, *shapes)
    left = self._total_steps - self.step
    tell(
      f'{config.name}: {left:,} steps of about {seconds:.2g} s take about '
      f'{duration(left * seconds)}, evaluations not counted'
      + (f'; each in {parts} parts, which fit into memory' if parts > 1 and not given else '')
    )
    return program

  # Train.

  @property
  def at_the_end_of_an_epoch(self) -> bool:
    return self.step % self._steps_per_epoch == 0

  @property
  def place(self) -> str:
    return f'step {self.step} of {self._total_steps}'

  def learn(self) -> None:
    """One training step."""
    with self.log.waiting_for_data():
      batch = next(self.batches)
    if self.step == 0:
      self.log.pictures(0, 'train/images', _draw_batch(batch, self._config.train.pictures))
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
    """Whether the tune split was looked at after the last step."""
    return self._progress['tuned'] >= self.step

  def tune(self, interruption: Interruption) -> bool:
    """Looks at the tune split, and saves the network if it is the best so far.

    Returns:
      Whether a stop cut this short; it is done first thing after the next start.
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
    thresholds = freeze_thresholds(self._tune, probability, heat_maps)
    cells = hottest_cells(self._tune, heat_maps)
    quality = self._quality(thresholds.tune_auc, cells)
    best = quality > self._progress['best']
    scalars = {'auc': thresholds.tune_auc, 'same_hottest_cell': cells.same}
    if not math.isnan(cells.on_nodule):
      scalars['hottest_cell_on_nodule'] = cells.on_nodule
    self.log.tune(self.step, self.step // self._steps_per_epoch, scalars, best)
    if cells.fixed and self._config.model.head == 'pixel' and hosts.is_first():
      logging.warning(
        'The hottest cell is that of row %d and column %d in %.0f %% of the tune images: the '
        'network has a fixed hot spot and does not locate nodules. A larger '
        '--config.loss.localization_weight may help.',
        *(cells.row, cells.column, 100 * cells.same),
      )
    drawn = _draw_tune(self._tune, heat_maps, self._config.train.pictures)
    self.log.pictures(self.step, 'tune/images', drawn)
    self._progress['tuned'] = self.step
    if best:
      self._progress['best'] = quality
      config = self._config
      self._checkpoints.save_best(
        parallel.first(self._state.variables),
        Description(
          config.name,
          config.model.to_dict(),
          self._preprocessing,
          thresholds,
          self.step,
          seen=self._progress.get('seen', ''),
        ).with_inputs(),
      )
    return False

  def _quality(self, auc: float, cells: HottestCells) -> float:
    """By what the best network of a run is chosen.

    AUC on the tune split; for a pixel network, where nodules of that split are located, the mean of
    AUC and the share of them on which the hottest cell lies.
    """
    if self._config.model.head == 'image' or math.isnan(cells.on_nodule):
      return auc
    return (auc + cells.on_nodule) / 2

  def save(self) -> None:
    """Saves what an exact restart needs, where anything is new."""
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


class _PendingMetrics:
  """The last step's numbers, fetched while the devices work on the next.

  Args:
    log: that takes them.
    learning_rate: of the optimizer, by the steps before.
    refuse: makes the error of numbers that are not finite, from step, radiographs and numbers.
  """

  def __init__(
    self,
    log: Logbook,
    learning_rate: optax.Schedule,
    refuse: Callable[[int, np.ndarray, dict[str, float]], TrainingError],
  ):
    self._log, self._learning_rate, self._refuse = log, learning_rate, refuse
    self._last: tuple[int, np.ndarray, Any] | None = None

  def put(self, step: int, indices: np.ndarray, metrics: Any) -> None:
    self._last = step, indices, metrics

  def settle(self) -> None:
    """Logs the numbers; raises `TrainingError` where one is not finite and the step was taken."""
    if self._last is None:
      return
    (step, indices, metrics), self._last = self._last, None
    scalars = {name: float(value) for name, value in parallel.first(metrics).items()}
    finite = {name: value for name, value in scalars.items() if math.isfinite(value)}
    if len(finite) < len(scalars) and not scalars.get('skipped'):
      raise self._refuse(step, indices, scalars)
    finite.pop('skipped', None)
    self._log.train(step, {**finite, 'learning_rate': float(self._learning_rate(step - 1))})


class _Stop:
  """Ends an evaluation once any host is asked to stop; `asked` says that it did."""

  def __init__(self, ask: Callable[[], bool]):
    self._ask = ask
    self.asked = False

  def cuts(self, batches: Iterable) -> Iterator:
    for batch in batches:
      yield batch
      self.asked = self._ask()
      if self.asked:
        return


def imagenet_file(config: ConfigDict) -> pathlib.Path:
  """The file of published weights that a config names: by its publisher, by path or by address."""
  name = config.init.imagenet
  if name in published.WEIGHTS:
    return published.fetch(published.find_weights(name, config.model.size))
  return folders.fetch_file(name)


def _next_divisor(number: int, after: int) -> int:
  """The smallest divisor of a number above another; the number itself where there is none."""
  return next((n for n in range(after + 1, number) if number % n == 0), number)


def start_from(state: State, variables: dict[str, Any], report: pretrained.Report) -> State:
  """The state with other weights to start from; tells the user which were taken."""
  tell(report)
  return dataclasses.replace(
    state, params=variables['params'], batch_stats=variables['batch_stats']
  )


def _require_both_classes(prepared: Prepared) -> None:
  labels = {case.label for case in prepared.cases}
  if len(labels) < 2:
    kind = 'nodule' if labels == {1} else 'normal'
    raise OptionError(
      f'{prepared.name}: every radiograph of the split {prepared.split} is {kind}; training '
      'needs both classes in train and in tune'
    )


def _draw_batch(batch: dict[str, np.ndarray], count: int) -> list[np.ndarray]:
  """Training inputs as the network sees them, the cells that hold nodule coloured."""
  return [
    pictures.overlay(image[..., 0], truth)
    for image, truth in zip(batch['image'][:count], batch['truth'], strict=False)
  ]


def _draw_tune(tune: Prepared, heat_maps: np.ndarray, count: int) -> list[np.ndarray]:
  """Tune radiographs, nodules before normals, with heat maps and true outlines."""
  order = sorted(range(len(tune)), key=lambda index: -tune.cases[index].label)[:count]
  return [
    pictures.overlay(tune.images[index], heat_maps[index], tune.truth(index)) for index in order
  ]
