"""What a study would do, how large it is and about how long it takes, before it does anything."""

import dataclasses
import datetime
import os
import time

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict
from rich.console import Console
from rich.table import Table

from nodulax import NOTICE
from nodulax.checkpoints import checkpoint
from nodulax.distributed import parallel
from nodulax.input.shards import split_sizes
from nodulax.model.build import build_network
from nodulax.phantom.hospitals.profiles import AIHUB, GMC, NIH, VINDR
from nodulax.phantom.hospitals.visits import Visit, take_radiograph
from nodulax.radiograph.reading import encode_png
from nodulax.study import plan
from nodulax.study.plan import Run, runs
from nodulax.training import optimizer
from nodulax.training.step import initial_state, step_function

_HOSPITALS = {'nih': NIH, 'aihub': AIHUB, 'gmc': GMC, 'vindr': VINDR}
_SHARES = {'train': 0.7, 'tune': 0.1, 'test': 0.2}
_EXTERNAL = ('gmc_nodule', 'vindr_cxr')  # builders that write the split test alone by default
_STEPS_TIMED = 3
# Inference is a training step without its backward pass, which costs two thirds.
_INFERENCE = 1 / 3


@dataclasses.dataclass(frozen=True)
class Source:
  """Where the radiographs of a source come from.

  Attributes:
    origin: in words.
    counts: radiographs by split; upper bounds where they are still to be built.
    gigabytes: to be written.
    seconds: to simulate them on this machine.
  """

  origin: str
  counts: dict[str, int]
  gigabytes: float = 0.0
  seconds: float = 0.0


def print_plan(config: ConfigDict, folder: epath.PathLike) -> None:
  """Prints what a study would simulate, build, train and evaluate, with sizes and times.

  The times follow from one simulated radiograph of each hospital and a few training steps of each
  kind of network on this machine; take them for right within a factor of two.

  Args:
    config: as `configs/study.py` describes it.
    folder: the workdir; nothing is written there.

  Raises:
    ShardsError, ValueError: shards, or what a sweep names, are not there.
  """
  folder = epath.Path(folder)
  console = Console()
  with console.status('Looking at the data'):
    sources = {name: _source(config, folder, name) for name in plan.sources(config)}
  table = Table('source', 'from', 'radiographs', 'to write', 'time', title='Data')
  for name, source in sources.items():
    shown = (f'{sum(source.counts.values()):,}', f'{source.gigabytes:.1f} GB')
    table.add_row(name, source.origin, *shown, _duration(source.seconds))
  console.print(table)

  planned = runs(config, folder, {})
  kinds = {_kind(this.config): this.config for this in planned}
  with console.status('Timing some training steps of each network'):
    costs = {kind: _seconds_an_image(example) for kind, example in kinds.items()}
  table = Table('run', 'network', 'starts from', 'radiographs', 'epochs', 'time', title='Networks')
  total = sum(source.seconds for source in sources.values())
  for this in planned:
    seconds = _images_of_training(this, sources) * costs[_kind(this.config)]
    if checkpoint.latest_step(folder / this.name) is not None:
      remaining = 'begun or done'
    else:
      remaining, total = _duration(seconds), total + seconds
    table.add_row(
      this.name,
      f'{this.config.model.head}, {this.config.model.size}, '
      f'{this.config.preprocessing.image_size} pixels',
      epath.Path(this.config.init.checkpoint or this.config.init.imagenet or 'random').name,
      f'{_training_images(this.config, sources):,}',
      str(this.config.train.epochs),
      remaining,
    )
  console.print(table)
  devices = f'{jax.device_count()} x {jax.devices()[0].device_kind}'
  console.print(
    f'In all about {_duration(total)} with {devices} and {os.cpu_count()} CPU cores, within a '
    f'factor of two. Nothing was written. {NOTICE}',
    highlight=False,
  )


def _source(config: ConfigDict, folder: epath.Path, name: str) -> Source:
  built = folder / 'shards' / name
  if directory := config.data.shards[name]:
    return Source('your shards', split_sizes(directory))
  source = config.sources[name]
  if (built / 'built.json').exists():
    return Source('built already', split_sizes(built))
  counts = {split: round(share * source.images) for split, share in _SHARES.items()}
  if source.builder in _EXTERNAL and source.options.get('config') != 'hospital':
    counts = {'test': source.images}
  if source.raw:
    return Source('your download; counted once built', dict.fromkeys(counts, 0))
  start = time.perf_counter()
  visit = Visit(source.hospital, source.seed, source.image_size, number=1)
  radiograph, _ = take_radiograph(_HOSPITALS[source.hospital], visit)
  seconds = (time.perf_counter() - start) * source.images / (os.cpu_count() or 1)
  size = 2 * len(encode_png(radiograph.pixels)) * source.images  # the download and the shards
  return Source('simulated, at most', counts, size / 1e9, seconds)


def _kind(config: ConfigDict) -> str:
  """What training steps that cost the same have in common."""
  return str((config.model, config.preprocessing.image_size, config.train.batch_size))


def _seconds_an_image(config: ConfigDict) -> float:
  """Of training on all devices of this host."""
  devices = jax.local_devices()[: config.train.devices or None]
  size, batch_size = config.preprocessing.image_size, config.train.batch_size
  network = build_network(**config.model, axis_name=parallel.AXIS)
  adam = optimizer.adam(lambda _: config.optimizer.learning_rate)
  state = parallel.replicate(initial_state(network, adam, 0, size), devices)
  train_step = step_function(network, adam, **config.loss, accumulate=config.train.accumulate)
  step = parallel.map_devices(train_step, devices, donate=(0,))
  batch = {
    'image': np.zeros((batch_size, size, size, 1), np.uint8),
    'label': np.zeros(batch_size, np.float32),
    'truth': np.zeros((batch_size, size // 16, size // 16), np.float32),
    'located': np.ones(batch_size, np.float32),
    'index': np.arange(batch_size, dtype=np.int32),
  }
  seconds = []
  for _ in range(1 + _STEPS_TIMED):  # the first one compiles
    start = time.perf_counter()
    state, metrics = step(state, parallel.split(batch, devices))
    jax.block_until_ready(metrics)
    seconds.append(time.perf_counter() - start)
  return min(seconds[1:]) / batch_size


def _training_images(config: ConfigDict, sources: dict[str, Source]) -> int:
  return config.data.train_images or sources[config.data.train].counts.get('train', 0)


def _images_of_training(this: Run, sources: dict[str, Source]) -> float:
  """How many radiographs' worth of training steps a run costs, evaluations included."""
  config = this.config
  tune = sources[config.data.train].counts.get('tune', 0)
  tested = sum(sources[name].counts['test'] for name in config.data.evaluate)
  each_epoch = _training_images(config, sources) + _INFERENCE * tune
  return config.train.epochs * each_epoch + _INFERENCE * tested


def _duration(seconds: float) -> str:
  if seconds < 90:
    return f'{seconds:.0f} s'
  return str(datetime.timedelta(minutes=round(seconds / 60))).removesuffix(':00') + ' h'
