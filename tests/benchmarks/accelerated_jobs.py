"""Whole jobs on an accelerator: training from shards, and prediction from PNG files.

    python tests/benchmarks/accelerated_jobs.py --images=512 --pixels=512 --batch=16

Simulates radiographs, builds shards, trains two epochs and reads the radiographs with the result.
Prints a JSON line for each: images a second in the second epoch with the share of the time in which
the device waits for data, and images a second of `nodulax predict` from its start to its end.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import jax
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

_EPOCHS = 2


def run(*arguments: str, folder: pathlib.Path) -> float:
  """The seconds that a command of nodulax takes."""
  start = time.perf_counter()
  finished = subprocess.run(
    [sys.executable, '-m', *arguments],
    env={**os.environ, 'NODULAX_HASH_KEY': str(folder / 'hash.key')},
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
  )
  if finished.returncode:
    raise SystemExit(f'{" ".join(arguments)}: {finished.stderr[-2000:]}')
  return time.perf_counter() - start


def last_point(workdir: pathlib.Path, tag: str) -> float:
  """The last value of a curve in TensorBoard."""
  values = [
    value.tensor.float_val[0]
    for path in sorted(workdir.glob('events.out.tfevents.*'))
    for event in EventFileLoader(str(path)).Load()
    for value in event.summary.value
    if value.tag == tag
  ]
  return float(values[-1])


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--images', type=int, default=512)
  parser.add_argument('--pixels', type=int, default=512)
  parser.add_argument('--batch', type=int, default=16)
  parser.add_argument('--size', default='121')
  args = parser.parse_args()
  device = jax.devices()[0].device_kind
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    raw, shards, workdir = folder / 'raw', folder / 'shards', folder / 'run'
    run(
      'nodulax.phantom', 'gmc', f'--output={raw}', f'--images={args.images}',
      f'--image_size={args.pixels}', folder=folder,
    )  # fmt: skip
    run(
      'tfds_builders', 'build', 'gmc_nodule', f'--manual_dir={raw}', f'--data_dir={shards}',
      '--config=hospital', folder=folder,
    )  # fmt: skip
    run(
      'nodulax.main', '--config=aihub_image', f'--workdir={workdir}',
      '--config.data.train=hospital', f'--config.data.shards.hospital={shards}',
      '--config.data.evaluate=()', f'--config.preprocessing.image_size={args.pixels}',
      f'--config.model.size={args.size}', '--config.model.precision=bfloat16',
      f'--config.train.batch_size={args.batch}', f'--config.train.epochs={_EPOCHS}',
      '--config.train.log_every=5', '--config.train.pictures=0', folder=folder,
    )  # fmt: skip
    print(
      json.dumps(
        {
          'job': 'training from shards',
          'device': device,
          'batch': args.batch,
          'images_per_second': round(last_point(workdir, 'train/images_per_second'), 2),
          'data_wait': round(last_point(workdir, 'train/data_wait'), 3),
        }
      )
    )
    images = [str(path) for path in sorted(raw.rglob('*.png')) if 'mask' not in str(path)]
    seconds = run(
      'nodulax.predict', f'--checkpoint={workdir}', f'--output={folder / "findings"}', '--force',
      *images, folder=folder,
    )  # fmt: skip
    print(
      json.dumps(
        {
          'job': 'predict, from start to end',
          'device': device,
          'images': len(images),
          'images_per_second': round(len(images) / seconds, 2),
        }
      )
    )


if __name__ == '__main__':
  main()
