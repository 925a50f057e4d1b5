"""Network 1 beside its peers, step by step in turn: on a shared machine ratios alone hold.

    python tests/benchmarks/compare_step.py 2 512 [--peers torch flax devices] [--rounds 5]

The peers are DenseNet-121 without squeeze-and-excitation as a textbook writes it, in PyTorch
(channels last) and in Flax, with Adam; and `devices`, nodulax itself on several forced CPU devices
(`--devices 4`) with the same global batch, or with a batch on each (`--grow`). Each round runs one
training step and one inference of each. Prints medians, in wall seconds and in processor seconds
(of all threads), and the median of the rounds' ratios. Processor seconds say less on an idle
machine, and are all that can be told on an overloaded one.
"""

import argparse
import collections
import statistics
import time
from collections.abc import Callable

import jax


def measured(work: Callable[[], object]) -> tuple[float, float]:
  wall, processor = time.perf_counter(), time.process_time()
  work()
  return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('batch', type=int)
  parser.add_argument('image_size', type=int)
  parser.add_argument(
    '--peers', nargs='+', choices=('torch', 'flax', 'devices'), default=['torch', 'flax']
  )
  parser.add_argument('--devices', type=int, default=2, help='of the peer devices (default: 2)')
  parser.add_argument('--grow', action='store_true', help='give each of them a whole batch')
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--size', default='121', help="network 1's; the peers are always 121")
  args = parser.parse_args()
  # Several devices also split the cores between them, so nothing else is compared in the process.
  if 'devices' in args.peers:
    if len(args.peers) > 1:
      parser.error('compare devices alone')
    jax.config.update('jax_num_cpu_devices', args.devices)

  from step import Nodulax

  steps = {'nodulax': Nodulax(args.batch, args.image_size, jax.devices()[:1], size=args.size)}
  images = collections.defaultdict(lambda: args.batch)
  for peer in args.peers:
    if peer == 'devices':
      images[peer] *= args.devices if args.grow else 1
      devices = jax.devices()[: args.devices]
      steps[peer] = Nodulax(images[peer], args.image_size, devices, size=args.size)
    elif peer == 'torch':
      from torch_peer import Torch

      steps[peer] = Torch(args.batch, args.image_size)
    else:
      from flax_peer import Flax

      steps[peer] = Flax(args.batch, args.image_size)
  for name, step in steps.items():
    if step.compile_s is not None:
      print(
        f'{name:8} compiles in {step.compile_s:.0f} s, '
        f'{step.compile_processor_s:.0f} s of a processor',
        flush=True,
      )
    step.load()

  spent = collections.defaultdict(list)
  for _ in range(args.rounds + 1):
    for name, step in steps.items():
      spent[name, 'train'].append(measured(step.train))
      spent[name, 'infer'].append(measured(step.infer))
  for work in ('train', 'infer'):
    ours = spent['nodulax', work][1:]  # the first warms up
    for name in steps:
      theirs = spent[name, work][1:]
      line = f'{work} {name:8}'
      for clock, which in enumerate(('wall', 'processor')):
        seconds = statistics.median(times[clock] for times in theirs) / images[name]
        line += f'  {which} {seconds:.3f} s an image'
        if name != 'nodulax':
          ratio = statistics.median(a[clock] / b[clock] for a, b in zip(ours, theirs, strict=True))
          ratio *= images[name] / args.batch
          line += f', nodulax is {ratio:.2f} of it'
      print(line, flush=True)


if __name__ == '__main__':
  main()
