"""The peak memory of training steps of network 1 and of its peer in PyTorch.

    python tests/benchmarks/memory.py [--image_size=512] [--batches 2 8]

Each trains four steps in a process of its own, as commands do (nodulax/memory.py), and prints the
most resident memory that the process held from its start, its libraries included. nodulax runs with
its step compiled beforehand, so that the compiler's memory does not count, and with
config.model.recompute.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile

_STEPS = 4


def train(peer: str, batch: int, image_size: int) -> None:
  """Trains a few steps here and prints the peak in GB."""
  if peer == 'torch':
    from torch_peer import Torch

    step = Torch(batch, image_size)
  else:
    from nodulax import memory

    memory.keep_freed()
    import jax
    from step import Nodulax

    step = Nodulax(batch, image_size, jax.devices()[:1], recompute=peer == 'recompute')
  step.load()
  for _ in range(_STEPS):
    step.train()
  print(f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f}')


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--image_size', type=int, default=512)
  parser.add_argument('--batches', type=int, nargs='+', default=[2, 8])
  parser.add_argument('--peers', nargs='+', default=['nodulax', 'recompute', 'torch'])
  parser.add_argument('--train', metavar='PEER', help=argparse.SUPPRESS)
  given = parser.parse_args()
  if given.train:
    train(given.train, given.batches[0], given.image_size)
    return
  with tempfile.TemporaryDirectory() as cache:
    environment = os.environ | {'JAX_COMPILATION_CACHE_DIR': cache}
    for batch in given.batches:
      for peer in given.peers:
        command = [
          sys.executable, __file__, f'--train={peer}', f'--image_size={given.image_size}',
          '--batches', str(batch),
        ]  # fmt: skip
        peaks = [
          subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
          for _ in range(1 if peer == 'torch' else 2)
        ]
        print(f'{batch} images, {peer}: {peaks[-1].stdout.strip()} GB', flush=True)


if __name__ == '__main__':
  main()
