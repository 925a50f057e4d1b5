"""Kills a small training run at random moments; it must end like one that nobody disturbed.

  python tests/end_to_end/kill_stress.py --workdir=DIR [--kills=50] [--seed=0] [--workers=0]

Every second kill comes anywhere between the start of the program and some steps; the others while a
checkpoint is being written. What ends before its kill is compared, and another run is begun. A run
must end with bit-identical parameters and optimizer state, the same metrics.jsonl, the same
predictions and no TensorBoard point twice.
"""

import argparse
import multiprocessing
import os
import pathlib
import random
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess

import jax
import numpy as np
from absl import flags

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
TIMINGS = ('train/images_per_second', 'train/data_wait')
PICTURES = ('tune/images', 'train/images')


def final_state(folder: pathlib.Path) -> dict[str, bytes]:
  """Every array of the last checkpoint, as bytes."""
  import orbax.checkpoint as ocp

  from nodulax.checkpoints import checkpoint

  step = checkpoint.latest_step(folder)
  with ocp.StandardCheckpointer() as reader:
    tree = reader.restore(folder.resolve() / 'checkpoints' / 'latest' / str(step) / 'state')
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {jax.tree_util.keystr(path): np.asarray(leaf).tobytes() for path, leaf in leaves}


def tensorboard_points(folder: pathlib.Path) -> list[tuple[int, str]]:
  """(step, tag) of every scalar in the TensorBoard files, repeats included."""
  from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

  return sorted(
    (event.step, value.tag)
    for path in folder.glob('events.out.tfevents.*')
    for event in EventFileLoader(str(path)).Load()
    for value in event.summary.value
    if value.tag not in (*TIMINGS, *PICTURES)
  )


def differences(folder: pathlib.Path, reference: pathlib.Path) -> list[str]:
  """In what a finished run differs from another."""
  found = []
  if final_state(folder) != final_state(reference):
    found.append('state')
  found += [
    name
    for name in ('metrics.jsonl', 'evaluation/hospital/predictions.csv')
    if (folder / name).read_bytes() != (reference / name).read_bytes()
  ]
  points = tensorboard_points(folder)
  if len(points) != len(set(points)):
    found.append('TensorBoard points twice')
  if points != tensorboard_points(reference):
    found.append('TensorBoard points')
  return found


def train_small(shards: str, folder: str, epochs: int, workers: int) -> None:
  """In a process of its own: the real program on a shrunken config."""
  from configs import default
  from nodulax import train

  config = default.get_config()
  config.name = 'stress'
  config.data.shards.hospital = shards
  config.data.train = 'hospital'
  config.data.evaluate = ('hospital',)
  config.data.worker_processes = workers
  config.preprocessing.image_size = 64
  config.model.head = 'pixel'
  config.model.size = 'tiny'
  config.train.epochs = epochs
  config.train.batch_size = 8
  config.train.devices = 1
  config.train.log_every = 1
  config.train.pictures = 2
  config.train.checkpoint_minutes = 0.0  # after every step
  flags.FLAGS.mark_as_parsed()  # Grain's worker processes read flags, and absl's main is not here
  train.train(config, folder)


class Stress:
  """Starts, kills and compares runs.

  Args:
    shards: of the virtual hospital.
    workdir: of all runs.
    epochs: of a run, of four steps each.
    workers: processes that augment.
  """

  def __init__(self, shards: pathlib.Path, workdir: pathlib.Path, epochs: int, workers: int = 0):
    self._arguments = (str(shards), epochs, workers)
    self._workdir = workdir
    # A child of the server has imported everything already, and nothing has started JAX in it.
    self._context = multiprocessing.get_context('forkserver')
    self._context.set_forkserver_preload(['nodulax.train'])

  def start(self, folder: pathlib.Path) -> BaseProcess:
    shards, epochs, workers = self._arguments
    process = self._context.Process(target=train_small, args=(shards, str(folder), epochs, workers))
    process.start()
    return process

  def undisturbed(self) -> tuple[pathlib.Path, float]:
    """A finished run, and the seconds that a start takes to its first checkpoint.

    The first start fills the cache of compilations; the second is timed.
    """
    folder = self._workdir / 'undisturbed'
    self.start(folder).join()
    timed = self._workdir / 'timed'
    began = time.monotonic()
    process = self.start(timed)
    while process.is_alive() and not (timed / 'checkpoints' / 'latest' / '1').exists():
      time.sleep(0.01)
    seconds = time.monotonic() - began
    process.kill()
    process.join()
    return folder, seconds

  def kill_anywhere(self, process: BaseProcess, seconds: float, rng: random.Random) -> str:
    delay = rng.uniform(0, 1.5 * seconds)
    process.join(delay)
    return f'{delay:.1f} s after its start'

  def kill_in_saving(self, process: BaseProcess, folder: pathlib.Path, rng: random.Random) -> str:
    """Waits until some checkpoints have been begun, and for some milliseconds more."""
    writes, seen = rng.randint(1, 4), set()
    while process.is_alive() and len(seen) < writes:
      seen |= {path.name for path in folder.glob('checkpoints/*/*.orbax-checkpoint-tmp*')}
      time.sleep(0.001)
    delay = rng.uniform(0, 0.05)
    process.join(delay)
    return f'{1000 * delay:.0f} ms into writing a checkpoint'

  def run(self, kills: int, seed: int) -> list[str]:
    """Faults found; prints what it does."""
    rng = random.Random(seed)
    reference, seconds = self.undisturbed()
    print(f'{seconds:.0f} s from a start to its first checkpoint', flush=True)
    faults, done, number = [], 0, 0
    while True:
      folder = self._workdir / f'killed{number}'
      process = self.start(folder)
      if done == kills:
        process.join()
      elif done % 2:
        moment = self.kill_in_saving(process, folder, rng)
      else:
        moment = self.kill_anywhere(process, seconds, rng)
      if process.is_alive():
        process.kill()
        process.join()
        done += 1
        print(f'kill {done}, run {number}: {moment}', flush=True)
        continue
      if process.exitcode:
        faults.append(f'run {number} failed with {process.exitcode}')
      else:
        faults += [f'run {number}: {fault}' for fault in differences(folder, reference)]
        print(f'run {number} has ended and was compared; faults so far: {faults}', flush=True)
      number += 1
      if done == kills or faults:
        return faults


def virtual_hospital(folder: pathlib.Path) -> pathlib.Path:
  """Shards of 48 radiographs of 96 pixels; they are made where they are not there."""
  raw, shards = folder / 'raw', folder / 'shards'
  if not shards.exists():
    environment = {**os.environ, 'NODULAX_HASH_KEY': str(folder / 'key' / 'hash.key')}
    for command in (
      ('nodulax.phantom', 'gmc', f'--output={raw}', '--images=48', '--image_size=96'),
      (
        'tfds_builders',
        'build',
        'gmc_nodule',
        f'--manual_dir={raw}',
        f'--data_dir={shards}',
        '--config=hospital',
      ),
    ):
      subprocess.run([sys.executable, '-m', *command], cwd=ROOT, env=environment, check=True)
  return shards


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--workdir', type=pathlib.Path, required=True, help='a folder for all runs')
  parser.add_argument('--kills', type=int, default=50)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--epochs', type=int, default=20, help='of four steps each')
  parser.add_argument('--workers', type=int, default=0, help='processes that augment')
  arguments = parser.parse_args()
  shards = virtual_hospital(arguments.workdir)
  stress = Stress(shards, arguments.workdir, arguments.epochs, arguments.workers)
  faults = stress.run(arguments.kills, arguments.seed)
  print(f'{arguments.kills} kills, {len(faults)} faults')
  raise SystemExit('\n'.join(faults) or 0)


if __name__ == '__main__':
  main()
