"""Where a training step spends its time: the ten longest operations of a profile.

    python tests/benchmarks/profile_step.py BATCH IMAGE_SIZE [--precision=bfloat16] [--size=121]

Prints one JSON line: the share of the profiled time of each, by name without its number. On a GPU
these are kernels, on a CPU the functions of XLA's threads.
"""

import argparse
import collections
import gzip
import json
import pathlib
import re
import tempfile

import jax
from step import Nodulax

_STEPS = 5
_SHOWN = 10


def durations(trace: pathlib.Path) -> collections.Counter:
  """Microseconds by operation, of the device's tracks or, on a CPU, of XLA's threads."""
  with gzip.open(trace, 'rt') as file:
    events = json.load(file)['traceEvents']
  named = {
    (event['pid'], event.get('tid')): event['args']['name']
    for event in events
    if event.get('name') in ('process_name', 'thread_name')
  }
  on_device = {pid for (pid, _), name in named.items() if name.startswith('/device')}
  total: collections.Counter = collections.Counter()
  for event in events:
    if event.get('ph') != 'X':
      continue
    thread = named.get((event['pid'], event.get('tid')), '')
    if event['pid'] in on_device or (not on_device and re.search(r'(?i)xla|eigen|tf_', thread)):
      total[re.sub(r'[.\d]+$', '', event['name'])] += event['dur']
  return total


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('batch', type=int)
  parser.add_argument('image_size', type=int)
  parser.add_argument('--size', default='121')
  parser.add_argument('--precision', default='bfloat16')
  args = parser.parse_args()
  devices = jax.devices()[:1]
  step = Nodulax(args.batch, args.image_size, devices, size=args.size, precision=args.precision)
  step.load()
  step.train()
  with tempfile.TemporaryDirectory() as folder:
    with jax.profiler.trace(folder):
      for _ in range(_STEPS):
        step.train()
    (trace,) = pathlib.Path(folder).rglob('*.trace.json.gz')
    total = durations(trace)
  whole = sum(total.values()) or 1
  print(
    json.dumps(
      {
        'profile': f'{_STEPS} steps',
        'device': devices[0].device_kind,
        'batch': args.batch,
        'precision': args.precision,
        'shares': {name: round(us / whole, 3) for name, us in total.most_common(_SHOWN)},
      }
    )
  )


if __name__ == '__main__':
  main()
