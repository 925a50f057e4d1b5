"""Times one training step and one inference of network 1, or compiles the step for a TPU.

    python tests/benchmarks/step.py BATCH IMAGE_SIZE [--precision=P] [--remat] [--tpu=v5e:2x2]

DenseNet-121 with squeeze-and-excitation, Adam, one grey channel: the step that training runs and
the predictor that evaluation runs, from 8-bit images in memory to metrics and heat maps. Prints one
JSON line: seconds to compile the training step, the best of five runs in seconds per image, the
peak memory of the process and of the device, and what the compiler says of the training step:
floating-point operations, bytes accessed and temporary memory per image.

With --tpu the step is compiled for one chip of that topology, which need not be there, and nothing
is run. It needs the package libtpu of the version that jax[tpu] names, and ten minutes.
"""

import argparse
import json
import os
import resource
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np

from nodulax.distributed import inference, parallel
from nodulax.model.build import build_network
from nodulax.training import optimizer
from nodulax.training.losses import Loss
from nodulax.training.step import initial_state, state_shapes, step_function


class Nodulax:
  """The compiled training step and the predictor, with something to run them on."""

  def __init__(
    self,
    batch: int,
    image_size: int,
    devices: Sequence[jax.Device],
    *,
    size: str = '121',
    precision: str = 'float32',
    recompute: bool = False,
  ):
    self._batch, self._image_size, self._devices = batch, image_size, devices
    self._network = build_network(
      head='image',
      size=size,
      squeeze_excitation=True,
      reduction=16,
      batch_norm_momentum=0.99,
      mean=0.5,
      std=0.25,
      precision=precision,
      recompute=recompute,
      pooling='max',
      skip=False,
      cell_prior=0.5,
      axis_name=parallel.AXIS,
    )
    self._adam = optimizer.adam(lambda step: 1e-4)
    step = parallel.map_devices(
      step_function(self._network, self._adam, Loss(1.0)), devices, donate=(0,)
    )
    state = jax.tree.map(
      lambda leaf: jax.ShapeDtypeStruct((len(devices), *leaf.shape), leaf.dtype),
      state_shapes(self._network, self._adam, image_size),
    )
    start, processor = time.perf_counter(), time.process_time()
    self.compiled = step.lower(state, self._example()).compile()
    self.compile_s = time.perf_counter() - start
    self.compile_processor_s = time.process_time() - processor

  def load(self) -> None:
    """Makes weights, so that the rest can run."""
    state = self._initial_state()
    self._state = parallel.replicate(state, self._devices)
    self._variables = parallel.replicate(state.variables, self._devices)
    self._predictor = inference.Predictor(self._network, self._devices)

  def train(self) -> None:
    self._state, metrics = self.compiled(self._state, self._example())
    jax.block_until_ready(metrics)

  def infer(self) -> None:
    images = self._example()['image'].reshape(-1, self._image_size, self._image_size, 1)
    self._predictor(self._variables, [{'image': images, 'valid': np.ones(len(images), bool)}])

  def _initial_state(self):
    return initial_state(self._network, self._adam, 0, self._image_size)

  def _example(self) -> dict[str, np.ndarray]:
    size, side = self._image_size, self._image_size // 32
    rng = np.random.default_rng(1)
    return parallel.split(
      {
        'image': rng.integers(0, 256, (self._batch, size, size, 1), np.uint8),
        'label': np.arange(self._batch, dtype=np.float32) % 2,
        'located': np.ones(self._batch, np.float32),
        'truth': np.zeros((self._batch, side, side), np.float32),
        'index': np.arange(self._batch, dtype=np.int32),
      },
      self._devices,
    )


def best_seconds(run: Callable[[], None], runs: int = 5) -> float:
  run()
  times = []
  for _ in range(runs):
    start = time.perf_counter()
    run()
    times.append(time.perf_counter() - start)
  return min(times)


def one_chip(topology: str) -> list[jax.Device]:
  """The first chip of a topology that is not there."""
  os.environ.setdefault('TPU_SKIP_MDS_QUERY', '1')
  jax.config.update('jax_platforms', 'cpu')
  from jax.experimental import topologies

  return topologies.get_topology_desc(platform='tpu', topology_name=topology).devices[:1]


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('batch', type=int)
  parser.add_argument('image_size', type=int)
  parser.add_argument('--size', default='121', help='of the network (default: 121)')
  parser.add_argument('--precision', default='float32', choices=('float32', 'bfloat16', 'float16'))
  parser.add_argument('--tpu', metavar='TOPOLOGY')
  parser.add_argument('--remat', action='store_true', help='config.model.recompute')
  args = parser.parse_args()
  devices = one_chip(args.tpu) if args.tpu else jax.devices()[:1]
  step = Nodulax(
    args.batch,
    args.image_size,
    devices,
    size=args.size,
    precision=args.precision,
    recompute=args.remat,
  )
  cost, memory = step.compiled.cost_analysis(), step.compiled.memory_analysis()
  result = {
    'peer': 'nodulax',
    'target': args.tpu or 'this machine',
    'batch': args.batch,
    'image_size': args.image_size,
    'size': args.size,
    'precision': args.precision,
    'device': devices[0].device_kind,
    'remat': args.remat,
    'threads': len(os.sched_getaffinity(0)),
    'compile_s': round(step.compile_s, 1),
    'gflop_per_image': round(cost['flops'] / args.batch / 1e9, 1),
    'gb_accessed_per_image': round(cost['bytes accessed'] / args.batch / 1e9, 3),
    'temp_gb_per_image': round(memory.temp_size_in_bytes / args.batch / 1e9, 3),
    'train_s_per_image': None,
    'infer_s_per_image': None,
    'peak_rss_gb': None,
    'peak_device_gb': None,
  }
  if not args.tpu:
    step.load()
    result |= {
      'train_s_per_image': round(best_seconds(step.train) / args.batch, 4),
      'infer_s_per_image': round(best_seconds(step.infer) / args.batch, 4),
      'peak_rss_gb': round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }
    memory_stats = devices[0].memory_stats() or {}  # a CPU has none
    if peak := memory_stats.get('peak_bytes_in_use'):
      result['peak_device_gb'] = round(peak / 1e9, 2)
  print(json.dumps(result))


if __name__ == '__main__':
  main()
