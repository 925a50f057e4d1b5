"""The sub-commands that look for wrong labels: audit and queue."""

import argparse
import pathlib
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from nodulax import NOTICE, cli
from nodulax.files import whole_file
from nodulax.labels import queue, rereading
from nodulax.labels.audit import audit, ranking, write_suspects
from nodulax.labels.commands.shared import (
  Command,
  add_predictions,
  add_reading,
  read_answers,
  write_json,
)
from nodulax.labels.predictions import read_predictions
from nodulax.labels.rates import rates_json

_SHOWN = 10  # suspects


def _add_audit(parser: cli.Parser) -> None:
  add_predictions(parser)
  parser.add_argument('--output', required=True, help='folder to write')
  add_reading(parser, 'a second reading, to measure how well the ranking finds wrong labels')


def _audit(given: argparse.Namespace) -> None:
  predictions = read_predictions(given.predictions)
  found = audit(predictions)
  summary: dict[str, Any] = {
    'notice': NOTICE,
    'images': len(predictions),
    'expected_wrong': float(found.wrong.sum()),
    'more_likely_wrong_than_right': int((found.wrong > 0.5).sum()),
    'rates_by_the_network': rates_json(found.rates),
  }
  if answers := read_answers(given, predictions):
    settled = rereading.settle(answers)
    known = np.array([image in settled for image in predictions.image_ids])
    wrong = np.array(
      [
        image in settled and settled[image].label != label
        for image, label in zip(predictions.image_ids, predictions.labels, strict=True)
      ]
    )
    summary['against_the_reading'] = ranking(found, wrong, known)
  output = pathlib.Path(given.output)
  output.mkdir(parents=True, exist_ok=True)
  with whole_file(output / 'suspects.csv') as file:
    write_suspects(file, predictions, found)
  write_json(output / 'audit.json', summary)
  table = Table('rank', 'radiograph', 'label', 'probability', 'wrong', box=box.SIMPLE)
  for rank, index in enumerate(found.order[:_SHOWN], 1):
    table.add_row(
      str(rank),
      predictions.image_ids[index],
      'nodule' if predictions.labels[index] else 'normal',
      f'{predictions.probability[index]:.2f}',
      f'{found.wrong[index]:.2f}',
    )
  console = Console()
  console.print(table)
  console.print(
    f'{len(predictions):,} labels, of which the network expects {summary["expected_wrong"]:.0f} to '
    f'be wrong. All labels, the most suspect first: {output / "suspects.csv"}. {NOTICE}',
    highlight=False,
  )
  if 'against_the_reading' in summary:
    _print_ranking(console, summary['against_the_reading'])


def _print_ranking(console: Console, found: dict[str, Any]) -> None:
  area = found['auc']
  shown = (
    'unknown' if area is None else f'{area["value"]:.2f} ({area["low"]:.2f} to {area["high"]:.2f})'
  )
  console.print(
    f'Of {found["images"]:,} labels read again, {found["wrong"]:,} are wrong; the ranking '
    f'finds them with an AUC of {shown}',
    highlight=False,
  )
  table = Table('first', 'wrong among them', 'share of all wrong', box=box.SIMPLE)
  for count, precision in found['precision'].items():
    table.add_row(f'{count:,}', f'{precision:.0%}', f'{found["recall"][count]:.0%}')
  console.print(table)


def _add_queue(parser: cli.Parser) -> None:
  add_predictions(parser)
  parser.add_argument('--output', required=True, help='CSV file to write')
  parser.add_argument(
    '--budget', type=cli.at_least(1), default=200, help='radiographs to choose (default: 200)'
  )
  parser.add_argument(
    '--order',
    choices=queue.ORDERS,
    default='wrong',
    help='wrong: the most suspect; gain: those whose reading should help training most; loss: '
    'those with the largest loss; random: any, the only order that allows an estimate of rates',
  )
  parser.add_argument('--seed', type=int, default=0, help='seed of the random order')
  add_reading(parser, 'an earlier reading, whose radiographs are left out')


def _queue(given: argparse.Namespace) -> None:
  predictions = read_predictions(given.predictions)
  read = {answer.image_id for answer in read_answers(given, predictions)}
  chosen = queue.next_to_read(predictions, given.budget, given.order, read, seed=given.seed)
  with whole_file(given.output) as file:
    queue.write_queue(file, chosen)
  print(f'{given.output}: {len(chosen):,} radiographs to read. {NOTICE}')


AUDIT = Command('rank labels by how likely they are wrong', _add_audit, _audit)
QUEUE = Command('choose the radiographs to read again', _add_queue, _queue)
