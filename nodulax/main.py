"""Runs a config: trains one network, or a study of several.

  python -m nodulax.main --config=configs/nih_image.py --workdir=runs/nih_image

Any option of configs/default.py can be changed: --config.optimizer.learning_rate=3e-4
The same command resumes where the last one stopped. On several hosts each runs the same command,
with a workdir that all of them see; see --coordinator. For research, not a medical device.
"""

import argparse

from absl import logging

from nodulax import cli, train
from nodulax.distributed import hosts
from nodulax.errors import OptionError
from nodulax.storage import folders
from nodulax.study import dry_run
from nodulax.study import run as study
from nodulax.training.interruption import interruptible


def add_arguments(parser: cli.Parser) -> None:
  parser.add_config()
  add = parser.add_argument
  add('--workdir', required=True, help='folder of the run: checkpoints, logs, results')
  add('--dry_run', action='store_true', help='print what a study would do, and how long it takes')
  add(
    '--coordinator',
    default='',
    help='address and port of the first of several processes; auto on a TPU pod; not for SLURM',
  )
  add('--processes', type=int, default=0, help='number of processes')
  add('--process_id', type=int, default=-1, help='index of this process, from 0')


def main(given: argparse.Namespace) -> None:
  logging.set_verbosity(logging.WARNING)
  config = given.config
  if given.dry_run and 'experiments' not in config:
    raise OptionError('--dry_run is for studies, such as configs/study.py')
  if given.dry_run:
    dry_run.print_plan(config, given.workdir)
    return
  with interruptible():
    hosts.join(given.coordinator, given.processes, given.process_id)
    if hosts.several() and folders.is_remote(given.workdir):
      raise OptionError(
        f'--workdir={given.workdir}: several hosts need a workdir on a disk that all of them see'
      )
    folder = folders.check_out(given.workdir)
    if 'experiments' in config:
      study.run(config, folder)
    else:
      train.train(config, folder)
      if hosts.is_first():
        study.print_results(folder, ('.',))
    folders.publish(folder)


if __name__ == '__main__':
  cli.run('train', prog='python -m nodulax.main')
