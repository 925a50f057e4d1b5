"""Trains one network and evaluates it: an experiment from top to bottom."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from nodulax import evaluate
from nodulax.checkpoints import checkpoint, networks, typed_json
from nodulax.checkpoints.description import Description
from nodulax.distributed import hosts, inference, parallel
from nodulax.errors import NodulaxError, OptionError
from nodulax.evaluation.thresholds import freeze_thresholds
from nodulax.input.batches import evaluation_batches, training_batches
from nodulax.input.degraded import mislabelled, reduced
from nodulax.input.prepared import Prepared, prepare
from nodulax.input.shards import Shards, describe_splits
from nodulax.model import pretrained
from nodulax.model.build import build_network
from nodulax.radiograph import pictures
from nodulax.radiograph.augmentation import Augmentation
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.storage import folders
from nodulax.training import optimizer, workdir
from nodulax.training.interruption import Interrupted, Interruption, interruptible
from nodulax.training.logbook import Logbook
from nodulax.training.loss_scale import LossScale
from nodulax.training.options import check_options
from nodulax.training.step import State, initial_state, step_function


class TrainingError(NodulaxError):
  """Training cannot go on; says at which step, with which images, and what was saved last."""


def train(config: ConfigDict, folder: epath.PathLike) -> None:
  """Runs an experiment, or goes on with it where it stopped; what is finished is not done again.

  On several hosts each calls this with the same arguments.

  Args:
    config: as `configs/default.py` describes it.
    folder: the workdir; holds checkpoints, TensorBoard logs and evaluations afterwards.

  Raises:
    Interrupted: after SIGINT or SIGTERM; the run is saved.
    TrainingError: the loss is not finite.
    WorkdirError, ShardsError, CheckpointError, ValueError: the folder, the data, the weights to
      start from, or the config do not fit; the message says what to do.
  """
  with interruptible() as interruption:
    folder = workdir.claim(folder, config, write=hosts.is_first())
    check_options(config)
    devices = parallel.devices(config.train.devices)
    parallel.require_divisible(config.train.batch_size, devices, config.train.accumulate)
    shards = training_split(config)
    workdir.claim_data(folder, describe_splits(shards.directory), write=hosts.is_first())
    if config.init.checkpoint and checkpoint.latest_step(folder) is None:
      checkpoint.describe(config.init.checkpoint)  # refuses a run that has no network yet
    radiographs = config.data.train_images or len(shards)
    steps_per_epoch = radiographs // config.train.batch_size
    total_steps = config.train.epochs * steps_per_epoch
    if checkpoint.finished(folder, total_steps):
      tell(f'{config.name}: trained already')
    else:
      fit(config, folder, shards, devices, steps_per_epoch, total_steps, interruption)

    # The held-out sets.
    for source in config.data.evaluate:
      if not config.data.shards[source]:
        tell(f'{config.name}: no shards of {source} (config.data.shards.{source}), not evaluated')
        continue
      evaluate.evaluate(
        folder,
        config.data.shards[source],
        'test',
        folder / 'evaluation' / source,
        cache_dir=config.data.cache_dir,
        **config.evaluation,
      )


def training_split(config: ConfigDict) -> Shards:
  """The radiographs that a config trains on.

  Raises:
    ShardsError: there are none.
    ValueError: there are fewer than `config.data.train_images`, or than one batch.
  """
  shards = Shards(_training_shards(config), 'train')
  radiographs = config.data.train_images or len(shards)
  if radiographs > len(shards):
    raise OptionError(
      f'--config.data.train_images={radiographs} is more than the {len(shards)} radiographs of '
      f'the split train in {shards.directory}'
    )
  if radiographs < config.train.batch_size:
    raise OptionError(
      f'{shards.directory} has {radiographs} radiographs to train on, fewer than one batch; '
      f'lower --config.train.batch_size={config.train.batch_size}'
    )
  return shards


def fit(
  config: ConfigDict,
  folder: epath.Path,
  shards: Shards,
  devices: Sequence[jax.Device],
  steps_per_epoch: int,
  total_steps: int,
  interruption: Interruption,
) -> None:
  """Trains the network, from wherever the last start left it. Arguments as in `train`."""
  # Network and optimizer.
  axis_name = parallel.AXIS if config.train.synchronised_batch_norm else None
  network = typed_json.construct(
    build_network, {**config.model, 'axis_name': axis_name}, 'config.model'
  )
  adam = optimizer.adam(
    optimizer.learning_rate_schedule(**config.optimizer, steps_per_epoch=steps_per_epoch)
  )
  train_step = parallel.map_devices(
    step_function(network, adam, **config.loss, accumulate=config.train.accumulate),
    devices,
    donate=(0,),
  )
  predictor = inference.Predictor(network, devices)

  # Data.
  preprocessing = Preprocessing.from_dict(config.preprocessing.to_dict())
  training, tune = (
    prepare(split, preprocessing, config.data.cache_dir)
    for split in (shards, Shards(shards.directory, 'tune'))
  )
  if config.data.train_images:
    training = reduced(training, config.data.train_images, config.seed)
  if config.data.label_noise:
    training, tune = (
      mislabelled(part, config.data.label_noise, config.seed) for part in (training, tune)
    )
  for part in (training, tune):
    _require_both_classes(part)
  host = {'host': jax.process_index(), 'hosts': jax.process_count()}

  # Weights come, in this order, from
  # 1. this run's own latest readable checkpoint,
  # 2. the best network of the run config.init.checkpoint,
  # 3. the public ImageNet weights in config.init.imagenet,
  # 4. the random numbers of config.seed.
  half = config.model.precision == 'float16'
  loss_scale = LossScale.create(**config.loss_scale) if half else None
  state = initial_state(network, adam, config.seed, config.preprocessing.image_size, loss_scale)
  checkpoints = checkpoint.Checkpoints(folder)
  progress: dict[str, Any] = {'best_auc': -1.0, 'tuned': 0, 'logs': {}}
  if restored := checkpoints.restore_latest(state):
    step, state, progress = restored
    tell(f'{config.name}: going on from step {step} of {total_steps}')
  elif config.init.checkpoint:
    start, source = networks.load_network(config.init.checkpoint)
    same_head = start.head == network.head
    state = start_from(
      state, *pretrained.load_network(source, state.variables, sub_network=same_head)
    )
  elif config.init.imagenet:
    file = folders.fetch_file(config.init.imagenet)
    state = start_from(state, *pretrained.load_imagenet(file, state.variables))
  if hosts.is_first():
    workdir.cut_back_logs(folder, progress['logs'])

  # Training.
  step = int(state.step)
  saved = step, progress['tuned']
  batches = training_batches(
    training,
    batch_size=config.train.batch_size,
    map_size=config.preprocessing.image_size // 16,
    augmentation=Augmentation(**config.augmentation),
    seed=config.seed,
    worker_processes=config.data.worker_processes,
    start=step,
    **host,
  )
  state = parallel.replicate(state, devices)
  log = Logbook(
    folder,
    name=config.name,
    first_step=step,
    total_steps=total_steps,
    batch_size=config.train.batch_size,
    log_every=config.train.log_every,
    silent=not hosts.is_first(),
  )
  log.network(parallel.first(state.params))
  hosts.wait('ready to train')  # none gives up on another that was longer in compiling
  agreement = parallel.Agreement(devices)
  stopping = False  # once any host was asked to
  pending: tuple | None = None  # the last step's numbers, not yet fetched
  saved_at = time.monotonic()

  def settle() -> None:
    """Fetches the pending numbers, and stops at one that is not finite."""
    nonlocal pending
    if pending is None:
      return
    (at_step, indices, metrics), pending = pending, None
    scalars = {name: float(value) for name, value in parallel.first(metrics).items()}
    finite = {name: value for name, value in scalars.items() if math.isfinite(value)}
    if len(finite) < len(scalars) and not scalars.get('skipped'):
      images = ', '.join(training.cases[index].image_id for index in hosts.together(indices))
      raise TrainingError(
        f'step {at_step}: the loss or its gradient is not finite ({scalars}).\n'
        f'The batch was {images}.\nThe last good checkpoint is {checkpoints.latest_path()}; '
        'a lower learning rate or float32 may help, in a new --workdir.'
      )
    finite.pop('skipped', None)
    log.train(at_step, finite)

  def until_stopped(evaluated: Iterable) -> Iterator:
    """The batches of an evaluation, until any host is asked to stop."""
    nonlocal stopping
    for batch in evaluated:
      yield batch
      stopping, _ = agreement(interruption.asked, False)
      if stopping:
        return

  with (
    interruption.held(),
    log,
    contextlib.closing(checkpoints),
    contextlib.closing(batches),
  ):
    while True:
      minutes = (time.monotonic() - saved_at) / 60
      stopping, late = agreement(interruption.asked, minutes > config.train.checkpoint_minutes)
      end_of_epoch = step % steps_per_epoch == 0

      # The tune split. Where a stop cuts this short, it is done first thing after the next start.
      if end_of_epoch and step > progress['tuned'] and not stopping:
        settle()
        batch_size = inference.rounded_up(config.evaluation.batch_size, devices)
        probability, heat_maps = predictor(
          state.variables, until_stopped(evaluation_batches(tune, batch_size, **host))
        )
        if not stopping:
          thresholds = freeze_thresholds(tune, probability, heat_maps)
          best = thresholds.tune_auc > progress['best_auc']
          log.tune(step, step // steps_per_epoch, {'auc': thresholds.tune_auc}, best)
          log.pictures(step, 'tune/images', _draw_tune(tune, heat_maps, config.train.pictures))
          progress['tuned'] = step
          if best:
            progress['best_auc'] = thresholds.tune_auc
            checkpoints.save_best(
              parallel.first(state.variables),
              Description(config.name, config.model.to_dict(), preprocessing, thresholds, step),
            )

      if (end_of_epoch or stopping or late) and saved != (step, progress['tuned']):
        settle()
        log.flush()
        progress['logs'] = workdir.log_sizes(folder)
        checkpoints.save_latest(step, parallel.first(state), progress)
        if folders.is_copy(folder):
          checkpoints.wait()
          folders.publish(folder)
        saved, saved_at = (step, progress['tuned']), time.monotonic()
        log.resume_clock(step)
      if stopping and progress['tuned'] < total_steps:
        checkpoints.wait()
        raise Interrupted(f'{config.name}: stopped and saved at step {step} of {total_steps}')
      if step >= total_steps:
        break

      with log.waiting_for_data():
        batch = next(batches)
      if step == 0:
        log.pictures(0, 'train/images', _draw_batch(batch, config.train.pictures))
      state, metrics = train_step(state, parallel.split(batch, devices))
      step += 1
      settle()  # the previous step's numbers, while the devices work on this one
      pending = (step, batch['index'], metrics)
    checkpoints.wait()


def start_from(state: State, variables: dict[str, Any], report: pretrained.Report) -> State:
  """The state with other weights to start from; tells the user which were taken."""
  tell(report)
  return dataclasses.replace(
    state, params=variables['params'], batch_stats=variables['batch_stats']
  )


def tell(message: object) -> None:
  """Prints a line, once for all hosts."""
  if hosts.is_first():
    print(message)


def _training_shards(config: ConfigDict) -> str:
  directory = config.data.shards[config.data.train]
  if not directory:
    raise OptionError(
      f'no training data: build the shards of {config.data.train} with python -m tfds_builders '
      f'build, and name their folder in --config.data.shards.{config.data.train}=DIR'
    )
  return directory


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
