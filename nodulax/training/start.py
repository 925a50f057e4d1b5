"""Where a training starts: its first weights, and the compiled step."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import jax
import optax
from ml_collections import ConfigDict

from nodulax.checkpoints import networks
from nodulax.checkpoints.checkpoint import describe
from nodulax.distributed import compiling, hosts, parallel
from nodulax.errors import NodulaxError, OptionError
from nodulax.model import Network, pretrained
from nodulax.storage import folders, published
from nodulax.training.logbook import duration
from nodulax.training.losses import Loss
from nodulax.training.step import State, batch_shapes, step_function


class MemoryShortage(NodulaxError):
  """A training step needs more memory than is free; the message names both and what needs less."""


def starting_weights(config: ConfigDict, network: Network, state: State) -> tuple[State, str]:
  """Puts the weights that a config names to start from, if any, into the state.

  They are the best network of the run config.init.checkpoint, else the public weights in
  config.init.chest, else those in config.init.imagenet.

  Returns:
    The state, and the builder of the public set that the weights were trained on, or ''.
  """
  init, seen = config.init, ''
  if init.checkpoint:
    start, source = networks.load_network(init.checkpoint)
    same_head = start.head == network.head
    loaded = pretrained.load_network(source, state.variables, sub_network=same_head)
    seen = describe(init.checkpoint).seen
  elif init.chest:
    file = published.find_chest_weights(init.chest)
    loaded, seen = pretrained.load_published(file, state.variables), published.CHEST_SEEN
  elif init.imagenet:
    loaded = pretrained.load_published(_imagenet_file(config), state.variables)
  else:
    return state, seen
  variables, report = loaded
  hosts.tell(report)
  started = dataclasses.replace(
    state, params=variables['params'], batch_stats=variables['batch_stats']
  )
  return started, seen


def _imagenet_file(config: ConfigDict) -> pathlib.Path:
  """The file of published weights that a config names: by its publisher, by path or by address."""
  name = config.init.imagenet
  if name in published.WEIGHTS:
    return published.fetch(published.find_weights(name, config.model.size))
  return folders.fetch_file(name)


def compiled_step(
  config: ConfigDict,
  network: Network,
  adam: optax.GradientTransformation,
  loss: Loss,
  devices: Sequence[jax.Device],
  state: State,
  accumulate: int,
) -> tuple[Callable, int, float | None]:
  """Compiles the training step, in parts that fit into memory.

  On several hosts it is compiled at its first call and its memory is not checked: JAX compiles
  pmapped functions ahead of time only on a single host.

  Args:
    config: as `configs/default.py` describes it.
    network, adam, loss: see `step_function`.
    devices: devices of all hosts to train on.
    state: state before the first step.
    accumulate: number of parts in which each device works through its share of a batch; 0 for the
      fewest that fit.

  Returns:
    The program, the number of parts, and the seconds per step, None if unknown.

  Raises:
    OptionError: the number of parts is left open on several hosts.
    MemoryShortage: the step does not fit into the memory of a device.
  """
  if hosts.several():
    if not accumulate:
      raise OptionError('--config.train.accumulate=0 is for one host; give the number of parts')
    step = step_function(network, adam, loss, accumulate=accumulate)
    return parallel.map_devices(step, devices, donate=(0,)), accumulate, None
  local = parallel.local(devices)
  images = config.train.batch_size // len(devices)
  batch = batch_shapes(images, config.preprocessing.image_size)
  shapes = parallel.shapes((state, batch), devices)
  choices = [accumulate] if accumulate else [n for n in range(1, images + 1) if images % n == 0]
  for parts in choices:
    step = step_function(network, adam, loss, accumulate=parts)
    program = compiling.compile_ahead(
      parallel.map_devices(step, devices, donate=(0,)),
      *shapes,
      what=config.name + (f' in {parts} parts' if parts > 1 else ''),
    )
    needed, free = compiling.needed_bytes(program, local), compiling.free_bytes(local[0])
    if hosts.first_says(compiling.fits(needed, free)):
      return program, parts, compiling.seconds_a_call(program, *shapes)
  more = next((n for n in range(parts + 1, images) if images % n == 0), images)
  raise MemoryShortage(
    f'a training step needs {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free. '
    f'--config.train.accumulate={more} works through a batch in so many parts (0 chooses their '
    'number), --config.model.recompute=True takes less memory and more time, and a smaller '
    '--config.train.batch_size needs less of both'
  )


def forecast(name: str, steps: int, seconds: float) -> str:
  """How long a training will take, in words."""
  return (
    f'{name}: {steps:,} steps of about {seconds:.2g} s take about {duration(steps * seconds)}, '
    'evaluations not counted'
  )
