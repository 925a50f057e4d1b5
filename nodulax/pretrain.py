"""Trains the network bundled with nodulax.

  python -m nodulax.pretrain --config=configs/pretrain.py --workdir=runs/pretrain

The same command resumes where the last one stopped. For research, not a medical device.
"""

import argparse

from absl import logging

from nodulax import cli
from nodulax.pretraining.run import Run
from nodulax.pretraining.ship import ship
from nodulax.training import workdir
from nodulax.training.interruption import interruptible


def add_arguments(parser: cli.Parser) -> None:
  parser.add_config()
  parser.add_argument('--workdir', required=True, help='folder of the run: checkpoints and logs')
  parser.add_argument(
    '--ship', metavar='FOLDER', help='write the best network here, in the form of the bundled one'
  )


def main(given: argparse.Namespace) -> None:
  logging.set_verbosity(logging.WARNING)
  with interruptible() as interruption:
    folder = workdir.claim(given.workdir, given.config)
    Run(given.config, folder).train(interruption)
  if given.ship:
    ship(folder, given.ship)
    print(f'{given.ship}: weights.safetensors, description.json')


if __name__ == '__main__':
  cli.run('pretrain', prog='python -m nodulax.pretrain')
