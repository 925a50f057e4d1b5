"""Writes the report on every evaluation of a workdir.

  python -m nodulax.report --workdir=RUNS
  python -m nodulax.report --workdir=RUNS --predictions=mine.csv --prevalence=0.02

For research, not a medical device.
"""

import argparse

from nodulax import cli
from nodulax.report import write_report
from nodulax.storage import folders


def add_arguments(parser: cli.Parser) -> None:
  add = parser.add_argument
  add('--workdir', required=True, help='folder of runs, or of one run')
  add('--output', help='folder to write (default: report/ in the workdir)')
  add(
    '--predictions',
    action='append',
    default=[],
    metavar='FILE',
    help="CSV file of another tool's predictions; may be given several times",
  )
  add(
    '--labels',
    action='append',
    default=[],
    metavar='FOLDER',
    help='outputs of nodulax labels that are not in the workdir; may be given several times',
  )
  add(
    '--prevalence',
    type=float,
    help='share of nodules where the models would be used, for the decision curve',
  )


def main(given: argparse.Namespace) -> None:
  folder = folders.check_out(given.workdir)
  page = write_report(
    folder,
    given.output,
    predictions=given.predictions,
    labels=given.labels,
    prevalence=given.prevalence,
  )
  folders.publish(folder)
  print(f'Report: {page}')


if __name__ == '__main__':
  cli.run('report', prog='python -m nodulax.report')
