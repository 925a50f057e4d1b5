"""The sub-commands that train: crossfit and study."""

import argparse
import contextlib
import pathlib
from collections.abc import Iterator

from nodulax import NOTICE, cli
from nodulax.labels.commands.shared import Command
from nodulax.storage import folders
from nodulax.training.interruption import interruptible


def _add_crossfit(parser: cli.Parser) -> None:
  parser.add_config()
  parser.add_argument('--workdir', required=True, help='folder of the networks and the predictions')
  parser.add_argument(
    '--folds',
    type=cli.at_least(2),
    default=5,
    help='parts of the patients, each left out by one network (default: 5)',
  )


def _crossfit(given: argparse.Namespace) -> None:
  from nodulax.labels.crossfit import OUT_OF_SAMPLE, crossfit

  with _workdir(given.workdir) as folder:
    crossfit(given.config, folder, given.folds)
  print(f'predictions: {given.workdir}/{OUT_OF_SAMPLE}')


def _add_study(parser: cli.Parser) -> None:
  parser.add_config()
  parser.add_argument('--workdir', required=True, help='folder of the networks and the results')


def _study(given: argparse.Namespace) -> None:
  from nodulax.labels import study

  with _workdir(given.workdir) as folder:
    study.run(given.config, folder)
  for part in given.config.parts:
    print(f'{given.workdir}/{part}.json\n{given.workdir}/{part}.png')
  print(NOTICE)


@contextlib.contextmanager
def _workdir(address: str) -> Iterator[pathlib.Path]:
  """A folder to work in, on disk or in a bucket; Ctrl-C and SIGTERM save progress."""
  with interruptible():
    folder = folders.check_out(address)
    yield pathlib.Path(folder)
    folders.publish(folder)


CROSSFIT = Command('predict with networks that never saw the patient', _add_crossfit, _crossfit)
STUDY = Command('simulate wrong labels: re-reading, losses, kinds of noise', _add_study, _study)
