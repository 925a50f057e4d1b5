"""Finds labels that are probably wrong, and corrects test figures for them.

  nodulax labels crossfit --config=CONFIG --workdir=DIR   predictions for every training radiograph
  nodulax labels audit    --predictions=DIR --output=DIR  the labels that are most likely wrong
  nodulax labels queue    --predictions=DIR --budget=200 --output=queue.csv    what to read next
  nodulax labels rates    --predictions=DIR --reading=CSV --output=rates.json  how often labels err
  nodulax labels correct  --predictions=DIR --rates=rates.json                 corrected figures
  nodulax labels study    --config=data_quality --workdir=DIR   what wrong labels cost

Predictions are the folder of an evaluation, or a CSV file with image_id, label and probability.
They must come from a network that never saw these labels. For research, not a medical device.
"""

import argparse

from nodulax import cli
from nodulax.labels.commands import networks, rates, suspects

_COMMANDS = {
  'crossfit': networks.CROSSFIT,
  'audit': suspects.AUDIT,
  'queue': suspects.QUEUE,
  'rates': rates.RATES,
  'correct': rates.CORRECT,
  'study': networks.STUDY,
}


def add_arguments(parser: cli.Parser) -> None:
  commands = parser.add_subparsers(
    dest='command', required=True, metavar='COMMAND', parser_class=cli.Parser
  )
  for name, command in _COMMANDS.items():
    own = commands.add_parser(name, help=command.summary, description=command.summary)
    command.add_arguments(own)
    own.set_defaults(run=command.run)


def main(given: argparse.Namespace) -> None:
  given.run(given)


if __name__ == '__main__':
  cli.run('labels', prog='python -m nodulax.labels')
