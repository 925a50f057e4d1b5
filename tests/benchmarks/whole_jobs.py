"""Whole jobs beside what one would use instead, from their start to their end, in turn.

    python tests/benchmarks/whole_jobs.py JOB... [--images=N] [--rounds=3] [--folder=DIR]

predict: radiographs (PNG, 1024 x 1024) to probabilities and heat maps, by DenseNet-121 at 512
  pixels with random weights and by the bundled network; the first start compiles, the
  second finds what the first compiled. Beside PyTorch with a DataLoader.
epoch: one epoch of DenseNet-121 and a look at the tune split, from shards or, in PyTorch with
  albumentations, from PNG files; the first start and the second.
shards: `nodulax build` with all its checks, beside the same files in WebDataset's tars unread.
report: the report on four models and 5,000 radiographs.
delong: the AUC of one million scores with its interval, beside public implementations.

Every contender of the first three runs in a process of its own; each round runs all of them.
Prints a JSON line for each: the least seconds of the rounds, by the clock and by all processors,
the most memory, and the ratios to the first of the job's lines, the peer. Those that are not
installed are left out (pip install torch albumentations webdataset rocauc-comparison mlstatkit).
`--folder` keeps the simulated radiographs for the next call.
"""

import argparse
import collections
import csv
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable

import processes
import statistics_speed
from processes import HERE, Spent

PEERS = HERE / 'peer_jobs.py'


def radiographs(folder: pathlib.Path, images: int, pixels: int) -> list[pathlib.Path]:
  """Simulated PNG files, made or found in `folder`, with a hospital's manifest beside them."""
  raw = folder / f'raw-{images}-{pixels}'
  if not (raw / 'manifest.csv').exists():
    simulated = ('--label_noise=0', f'--images={images}', f'--image_size={pixels}')
    processes.run(['-m', 'nodulax.phantom', 'nih', f'--output={raw}', *simulated])
    files = sorted(raw.rglob('*.png'))
    with (raw / 'manifest.csv').open('w', newline='') as file:
      rows = [
        (path.relative_to(raw), f'P{number}', ('normal', 'nodule')[number % 2], '')
        for number, path in enumerate(files)
      ]
      csv.writer(file).writerows([('image', 'patient_id', 'label', 'mask'), *rows])
  return sorted(raw.rglob('*.png'))


def untrained(folder: pathlib.Path, size: str, pixels: int) -> pathlib.Path:
  """The workdir of network 1 with random weights, made or found in `folder`."""
  run = folder / f'untrained-{size}-{pixels}'
  if not run.exists():
    # Not before the other jobs: JAX would take their memory and time.
    import jax

    from configs import default
    from nodulax.checkpoints.checkpoint import Checkpoints
    from nodulax.checkpoints.description import Description, Thresholds
    from nodulax.model.build import build_network
    from nodulax.radiograph.preprocessing import Preprocessing
    from nodulax.statistics.overlap import OverlapThreshold

    config = default.get_config()
    model = {**config.model.to_dict(), 'size': size}
    preprocessing = {**config.preprocessing.to_dict(), 'image_size': pixels}
    image = jax.numpy.zeros((1, pixels, pixels, 1))
    network = build_network(**model)
    variables = jax.jit(lambda key: network.init(key, image, train=False))(jax.random.key(0))
    thresholds = Thresholds(0.5, OverlapThreshold(0.5, False, 1), 1, 0.5)
    described = Description(
      'untrained', model, Preprocessing.from_dict(preprocessing), thresholds, step=0
    )
    with Checkpoints(run) as checkpoints:
      checkpoints.save_best(variables, described.with_inputs())
      checkpoints.wait()
  return run


def compare(
  job: str, contenders: dict[str, Callable[[int], Spent]], rounds: int, **details: object
) -> None:
  """Runs all contenders in every round; the first is what the others are held against."""
  spent = collections.defaultdict(list)
  for number in range(rounds):
    for name, contender in contenders.items():
      spent[name].append(contender(number))
  peer = next(iter(contenders))
  for name, times in spent.items():
    wall, processor = (min(time[clock] for time in times) for clock in (0, 1))
    row = {
      'job': job,
      'of': name,
      **details,
      'seconds': round(wall, 3),
      'processor_seconds': round(processor, 3),
      'gigabytes': round(max(time.gigabytes for time in times), 2),
    }
    if name != peer:
      theirs = [min(time[clock] for time in spent[peer]) for clock in (0, 1)]
      row |= {
        'ratio': round(wall / theirs[0], 3),
        'processor_ratio': round(processor / theirs[1], 3),
      }
    print(json.dumps(row), flush=True)


def have(*packages: str) -> bool:
  return all(importlib.util.find_spec(package) for package in packages)


def predict(given: argparse.Namespace, folder: pathlib.Path) -> None:
  images = radiographs(given.folder or folder, given.images, given.pixels)
  run = untrained(given.folder or folder, given.size, given.network_pixels)

  def ours(checkpoint: str | pathlib.Path, start: str) -> Callable[[int], Spent]:
    def contender(number: int) -> Spent:
      name = f'{pathlib.Path(checkpoint).name}-{number}'
      command = ['-m', 'nodulax.predict', f'--checkpoint={checkpoint}', '--force']
      cache = {'XDG_CACHE_HOME': str(folder / 'cache' / name), 'JAX_COMPILATION_CACHE_DIR': ''}
      return processes.run([*command, f'--output={folder / name / start}', *images], cache)

    return contender

  def torch(number: int) -> Spent:
    options = (f'--output={folder / f"torch-{number}"}', f'--pixels={given.network_pixels}')
    return processes.run([PEERS, 'predict', *options, *images])

  contenders: dict[str, Callable[[int], Spent]] = {'PyTorch': torch} if have('torch') else {}
  for name, checkpoint in ((f'nodulax {given.size}', run), ('nodulax, its own network', 'nodulax')):
    contenders |= {f'{name}, {start} start': ours(checkpoint, start) for start in STARTS}
  compare('predict', contenders, given.rounds, images=len(images))


def epoch(given: argparse.Namespace, folder: pathlib.Path) -> None:
  # The builder takes so many of a hospital's radiographs for the split train; the rest is tune and
  # test.
  images = radiographs(given.folder or folder, given.images, given.pixels)
  shards = (given.folder or folder) / f'shards-{given.images}-{given.pixels}'
  if not shards.exists():
    processes.run(build(images, shards), {'NODULAX_HASH_KEY': str(folder / 'hash.key')})
  from nodulax.input.shards import split_sizes

  split = split_sizes(shards)

  def ours(start: str) -> Callable[[int], Spent]:
    def contender(number: int) -> Spent:
      return processes.run(
        [
          *('-m', 'nodulax.main', '--config=aihub_image', '--config.data.train=hospital'),
          *('--config.data.evaluate=()', '--config.train.pictures=0', '--config.train.epochs=1'),
          f'--config.data.shards.hospital={shards}',
          f'--config.preprocessing.image_size={given.network_pixels}',
          f'--config.model.size={given.size}',
          f'--config.train.batch_size={given.batch}',
          f'--config.evaluation.batch_size={given.batch}',
          f'--workdir={folder / f"{start}-{number}"}',
        ],
        {'XDG_CACHE_HOME': str(folder / f'cache-{number}'), 'JAX_COMPILATION_CACHE_DIR': ''},
      )

    return contender

  def torch(number: int) -> Spent:
    options = (f'--pixels={given.network_pixels}', f'--batch={given.batch}')
    count = split['train'] + split['tune']
    return processes.run([PEERS, 'epoch', *options, f'--tune={split["tune"]}', *images[:count]])

  contenders: dict[str, Callable[[int], Spent]] = (
    {'PyTorch': torch} if have('torch', 'albumentations') else {}
  )
  contenders |= {f'nodulax, {start} start': ours(start) for start in STARTS}
  compare('epoch', contenders, given.rounds, images=split['train'], batch=given.batch)


def build(images: list[pathlib.Path], output: pathlib.Path) -> list[str]:
  """The command that builds shards of radiographs."""
  raw = next(parent for parent in images[0].parents if (parent / 'manifest.csv').exists())
  return [
    *('-m', 'tfds_builders', 'build', 'gmc_nodule', '--config=hospital'),
    *(f'--manual_dir={raw}', f'--data_dir={output}'),
  ]


def shards(given: argparse.Namespace, folder: pathlib.Path) -> None:
  images = radiographs(given.folder or folder, given.images, given.pixels)

  def ours(number: int) -> Spent:
    key = {'NODULAX_HASH_KEY': str(folder / 'hash.key')}
    return processes.run(build(images, folder / f'nodulax-{number}'), key)

  def webdataset(number: int) -> Spent:
    return processes.run([PEERS, 'shards', f'--output={folder / f"tars-{number}"}', *images])

  peers = {'WebDataset': webdataset} if have('webdataset') else {}
  compare('shards', {**peers, 'nodulax': ours}, given.rounds, images=len(images))


def report(given: argparse.Namespace, folder: pathlib.Path) -> None:
  command = [sys.executable, '-m', 'tests.benchmarks.report_speed', str(given.radiographs)]
  subprocess.run(command, cwd=HERE.parents[1], check=True)


def delong(given: argparse.Namespace, folder: pathlib.Path) -> None:
  statistics_speed.delong(given.scores, given.rounds)


STARTS = ('first', 'second')
JOBS = {'predict': predict, 'epoch': epoch, 'shards': shards, 'report': report, 'delong': delong}


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('jobs', nargs='+', choices=JOBS, metavar='JOB')
  parser.add_argument('--images', type=int, default=200)
  parser.add_argument('--pixels', type=int, default=1024, help='of each radiograph')
  parser.add_argument('--network_pixels', type=int, default=512, help='that the network sees')
  parser.add_argument('--size', default='121', help="of nodulax's network; the peer's is 121")
  parser.add_argument('--batch', type=int, default=16)
  parser.add_argument('--radiographs', type=int, default=5000, help='of the report')
  parser.add_argument('--scores', type=int, default=1_000_000)
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--folder', type=pathlib.Path)
  given = parser.parse_args()
  for job in given.jobs:
    with tempfile.TemporaryDirectory() as folder:
      JOBS[job](given, pathlib.Path(folder))


if __name__ == '__main__':
  main()
