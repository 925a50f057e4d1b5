"""Trains the network that comes with nodulax.

  python -m nodulax.pretrain --config=configs/pretrain.py --workdir=runs/pretrain

The same command resumes where the last one stopped. For research, not a medical device.
"""

import argparse

from absl import logging

from nodulax import cli
from nodulax.pretraining.run import Run
from nodulax.training import workdir
from nodulax.training.interruption import interruptible


def add_arguments(parser: cli.Parser) -> None:
  parser.add_config()
  parser.add_argument('--workdir', required=True, help='folder of the run: checkpoints and logs')


def main(given: argparse.Namespace) -> None:
  logging.set_verbosity(logging.WARNING)
  with interruptible() as interruption:
    folder = workdir.claim(given.workdir, given.config)
    Run(given.config, folder).train(interruption)


if __name__ == '__main__':
  cli.run('pretrain', prog='python -m nodulax.pretrain')
