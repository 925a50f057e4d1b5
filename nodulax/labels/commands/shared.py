"""What the sub-commands share."""

import argparse
import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

from nodulax import cli
from nodulax.files import whole_file
from nodulax.labels import rereading
from nodulax.labels.predictions import Predictions


class Command(NamedTuple):
  """A sub-command: its help text, its arguments and what runs it."""

  summary: str
  add_arguments: Callable[[cli.Parser], None]
  run: Callable[[argparse.Namespace], None]


def add_predictions(parser: cli.Parser) -> None:
  """Adds --predictions."""
  parser.add_argument(
    '--predictions',
    required=True,
    metavar='DIR',
    help='folder of an evaluation, or a CSV file with image_id, label and probability',
  )


def add_reading(parser: cli.Parser, text: str) -> None:
  """Adds --reading, with `text` as its help."""
  parser.add_argument('--reading', default='', metavar='CSV', help=text)


def read_answers(given: argparse.Namespace, predictions: Predictions) -> list[rereading.Answer]:
  """Reads the answers in --reading; returns none without it.

  Raises:
    RereadingError: the file is not a re-reading of these radiographs.
  """
  if not given.reading:
    return []
  answers = rereading.read_answers(given.reading)
  rereading.require_known(answers, predictions.image_ids, str(predictions.source))
  return answers


def write_json(path: str | pathlib.Path, values: dict[str, Any]) -> None:
  """Writes a JSON file, whole or not at all."""
  with whole_file(path) as file:
    file.write_text(json.dumps(values, indent=2) + '\n', encoding='utf-8')
