"""Shows what a study would do, how large it is and about how long it takes, without doing it."""

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

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
from nodulax.training.logbook import duration
from nodulax.training.losses import Loss
from nodulax.training.step import batch_shapes, state_shapes, step_function

_HOSPITALS = {'nih': NIH, 'aihub': AIHUB, 'gmc': GMC, 'vindr': VINDR}
_SHARES = {'train': 0.7, 'tune': 0.1, 'test': 0.2}
_EXTERNAL = ('gmc_nodule', 'vindr_cxr')  # builders that by default write only the split test
_STEPS_TIMED, _TIMED_IMAGES, _TIMED_PIXELS = 3, 8, 256
# Inference is a training step without its backward pass, which makes up two thirds of the cost.
_INFERENCE = 1 / 3


@dataclasses.dataclass(frozen=True)
class Source:
  """Where the radiographs of a source come from.

  Attributes:
    origin: where they come from, in words.
    counts: radiographs by split; upper bounds if they are still to be built.
    gigabytes: size of what is to be written.
    seconds: time to simulate them on this machine.
  """

  origin: str
  counts: dict[str, int]
  gigabytes: float = 0.0
  seconds: float = 0.0


def print_plan(config: ConfigDict, folder: epath.PathLike) -> None:
  """Prints what a study would simulate, build, train and evaluate, with sizes and times.

  The times are estimated from one simulated radiograph of each hospital, a few training steps of a
  tiny network on this machine, and the bytes that a step of each network moves. Expect them to be
  right within a factor of two on a CPU, and to be upper bounds on an accelerator.

  Args:
    config: as `configs/study.py` describes it.
    folder: the workdir; nothing is written there.

  Raises:
    ShardsError, ValueError: shards, or the experiments or options of a sweep, do not exist.
  """
  plan.check(config)
  folder = epath.Path(folder)
  console = Console()
  with console.status('Looking at the data'):
    sources = {name: _source(config, folder, name) for name in plan.sources(config)}
  table = Table('source', 'from', 'radiographs', 'to write', 'time', title='Data')
  for name, source in sources.items():
    shown = (f'{sum(source.counts.values()):,}', f'{source.gigabytes:.1f} GB')
    table.add_row(name, source.origin, *shown, duration(source.seconds))
  console.print(table)

  planned = runs(config, folder, {})
  kinds = {_kind(this.config): this.config for this in planned}
  with console.status('Estimating the training steps of each network'):
    precisions = {example.model.precision: example for example in kinds.values()}
    speeds = {name: _bytes_a_second(example) for name, example in precisions.items()}
    costs = {
      kind: _seconds_an_image(example, speeds[example.model.precision])
      for kind, example in kinds.items()
    }
  table = Table('run', 'network', 'starts from', 'radiographs', 'epochs', 'time', title='Networks')
  total = sum(source.seconds for source in sources.values())
  for this in planned:
    seconds = _images_of_training(this, sources) * costs[_kind(this.config)]
    if checkpoint.latest_step(folder / this.name) is not None:
      remaining = 'begun or done'
    else:
      remaining, total = duration(seconds), total + seconds
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
    f'In all about {duration(total)} with {devices} and {os.cpu_count()} CPU cores, within a '
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
  size = (
    2 * len(encode_png(radiograph.pixels)) * source.images
  )  # for the download and for the shards
  return Source('simulated, at most', counts, size / 1e9, seconds)


def _kind(config: ConfigDict) -> str:
  """Names what determines the cost of a training step."""
  return str((config.model, config.preprocessing.image_size, config.train.batch_size))


def _seconds_an_image(config: ConfigDict, bytes_a_second: float) -> float:
  """Estimates seconds of training per image on this host, from the bytes that a step moves."""
  pixels, accumulate = config.preprocessing.image_size, config.train.accumulate or 1
  step, state, batch = _step(config.model, config, config.train.batch_size, pixels, accumulate)
  return _bytes_moved(step, state, batch) / config.train.batch_size / bytes_a_second


def _bytes_a_second(config: ConfigDict) -> float:
  """Measures the bytes per second that this host moves in a training step of a tiny network.

  The network has the config's precision. On two CPU cores, training steps of networks from 'tiny'
  to '121', at 128 to 512 pixels, moved 23 to 34 GB a second, as counted by `_bytes_moved`.
  """
  model = config.model.copy_and_resolve_references()
  model.size = 'tiny'
  devices = jax.local_devices()[: config.train.devices or None]
  images = len(devices) * (_TIMED_IMAGES if devices[0].platform == 'cpu' else 16 * _TIMED_IMAGES)
  step, state, batch = _step(model, config, images, _TIMED_PIXELS, accumulate=1)
  moved = _bytes_moved(step, state, batch)
  mapped = parallel.map_devices(step, devices)
  numbers = parallel.replicate(jax.tree.map(_zeros, state), devices)
  images_of_zeros = parallel.split(jax.tree.map(_zeros, batch), devices)
  seconds = []
  for _ in range(1 + _STEPS_TIMED):  # the first step compiles
    start = time.perf_counter()
    jax.block_until_ready(mapped(numbers, images_of_zeros))
    seconds.append(time.perf_counter() - start)
  return moved / min(seconds[1:])


def _step(
  model: ConfigDict, config: ConfigDict, images: int, pixels: int, accumulate: int
) -> tuple[Callable, Any, Any]:
  """Builds a training step of a network, and the shapes of its state and of a batch."""
  network = build_network(**model, axis_name=parallel.AXIS)
  adam = optimizer.adam(lambda _: config.optimizer.learning_rate)
  step = step_function(network, adam, Loss(**config.loss), accumulate=accumulate)
  batch = batch_shapes(images, pixels)
  return step, state_shapes(network, adam, pixels), batch


def _bytes_moved(step: Callable, state: Any, batch: Any) -> float:
  """Counts the bytes that the operations of a step read and write, before the compiler fuses them.

  Nothing is compiled and no memory is allocated: a single step of the full study would need 16 GB.
  """
  on_one_device = jax.vmap(step, axis_name=parallel.AXIS)
  shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), (state, batch))
  counts: Any = jax.jit(on_one_device).lower(*shapes).cost_analysis()
  return float(counts['bytes accessed'])


def _zeros(shape: jax.ShapeDtypeStruct) -> np.ndarray:
  return np.zeros(shape.shape, shape.dtype)


def _training_images(config: ConfigDict, sources: dict[str, Source]) -> int:
  return config.data.train_images or sources[config.data.train].counts.get('train', 0)


def _images_of_training(this: Run, sources: dict[str, Source]) -> float:
  """The cost of a run, including evaluations, as a number of radiographs trained on."""
  config = this.config
  tune = sources[config.data.train].counts.get('tune', 0)
  tested = sum(sources[name].counts['test'] for name in config.data.evaluate)
  each_epoch = _training_images(config, sources) + _INFERENCE * tune
  return config.train.epochs * each_epoch + _INFERENCE * tested
