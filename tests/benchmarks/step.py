"""Times one training step and one inference of network 1, or compiles the step for a TPU.

    python tests/benchmarks/step.py BATCH IMAGE_SIZE [--bf16] [--tpu v5e:2x2]

DenseNet-121 with squeeze-and-excitation, Adam, one grey channel. Prints one JSON line: seconds to
compile the training step, the best of five runs in seconds per image, the process's peak resident
memory, and what the compiler says of the training step: floating-point operations, bytes accessed
and temporary memory per image.

With --tpu the step is compiled for one chip of that topology, which need not be there, and nothing
is run. It needs the package libtpu of the version that jax[tpu] names, and ten minutes.
"""

import argparse
import json
import os
import resource
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from nodulax.model import SIZES, DenseNetSE, Network


def best_seconds(run: Callable, runs: int = 5) -> float:
  jax.block_until_ready(run())
  times = []
  for _ in range(runs):
    start = time.perf_counter()
    jax.block_until_ready(run())
    times.append(time.perf_counter() - start)
  return min(times)


def one_chip(topology: str) -> jax.sharding.Sharding:
  """Everything on the first chip of a topology that is not there."""
  os.environ.setdefault('TPU_SKIP_MDS_QUERY', '1')
  jax.config.update('jax_platforms', 'cpu')
  from jax.experimental import topologies

  chips = topologies.get_topology_desc(platform='tpu', topology_name=topology).devices
  mesh = jax.sharding.Mesh(np.array(chips[:1]), ('chip',))
  return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('batch', type=int)
  parser.add_argument('image_size', type=int)
  parser.add_argument('--bf16', action='store_true')
  parser.add_argument('--tpu', metavar='TOPOLOGY')
  parser.add_argument('--remat', action='store_true', help='recompute dense layers')
  args = parser.parse_args()
  dtype = jnp.bfloat16 if args.bf16 else jnp.float32
  sharding = one_chip(args.tpu) if args.tpu else None

  backbone = DenseNetSE(**SIZES['121'], dtype=dtype, remat=args.remat)
  network = Network('image', backbone, mean=0.5, std=0.25)
  adam = optax.adam(1e-4)
  image = jax.ShapeDtypeStruct((args.batch, args.image_size, args.image_size, 1), jnp.float32)
  label = jax.ShapeDtypeStruct((args.batch,), jnp.float32)

  def init(image):
    variables = network.init(jax.random.key(0), image, False)
    return variables, adam.init(variables['params'])

  def step(variables, moments, image, label):
    def loss(params):
      outputs, updates = network.apply(
        {**variables, 'params': params}, image, True, mutable=['batch_stats'])
      return optax.sigmoid_binary_cross_entropy(outputs.logit, label).mean(), updates

    (value, updates), gradient = jax.value_and_grad(loss, has_aux=True)(variables['params'])
    change, moments = adam.update(gradient, moments)
    return {'params': optax.apply_updates(variables['params'], change), **updates}, moments, value

  start = time.perf_counter()
  compiled = jax.jit(
    step, donate_argnums=(0, 1), in_shardings=sharding, out_shardings=sharding
  ).lower(*jax.eval_shape(init, image), image, label).compile()
  cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
  result = {
    'peer': 'nodulax', 'target': args.tpu or 'this machine', 'batch': args.batch,
    'image_size': args.image_size, 'bf16': args.bf16, 'remat': args.remat,
    'threads': len(os.sched_getaffinity(0)),
    'compile_s': round(time.perf_counter() - start, 1),
    'gflop_per_image': round(cost['flops'] / args.batch / 1e9, 1),
    'gb_accessed_per_image': round(cost['bytes accessed'] / args.batch / 1e9, 3),
    'temp_gb_per_image': round(memory.temp_size_in_bytes / args.batch / 1e9, 3),
    'train_s_per_image': None, 'infer_s_per_image': None, 'peak_rss_gb': None}
  if not args.tpu:
    batch = jax.random.uniform(jax.random.key(1), image.shape), jnp.ones(label.shape)
    state = list(jax.jit(init)(batch[0]))
    infer = jax.jit(lambda variables, image: network.apply(variables, image, False))
    infer_s = best_seconds(lambda: infer(state[0], batch[0]))

    def train():
      *state[:], value = compiled(*state, *batch)
      return value

    result |= {
      'train_s_per_image': round(best_seconds(train) / args.batch, 4),
      'infer_s_per_image': round(infer_s / args.batch, 4),
      'peak_rss_gb': round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)}
  print(json.dumps(result))


if __name__ == '__main__':
  main()
