"""The sub-commands that estimate rates of wrong labels and correct figures: rates and correct."""

import argparse
import json
import pathlib

from rich import box
from rich.console import Console
from rich.table import Table

from nodulax import NOTICE, cli
from nodulax.errors import OptionError
from nodulax.labels.commands.shared import (
  Command,
  add_predictions,
  add_reading,
  read_answers,
  write_json,
)
from nodulax.labels.predictions import LabelsError, read_predictions
from nodulax.labels.rates import Method, as_json, estimate_rates, rates_from_json, rates_json
from nodulax.statistics import label_noise


def _add_rates(parser: cli.Parser) -> None:
  add_predictions(parser)
  add_reading(parser, 'answers of one reader or several')
  parser.add_argument(
    '--method',
    choices=('second', 'readers', 'network'),
    default=None,
    help='second: the majority of the readers is right, on radiographs drawn at random; readers: '
    'several readers, any of whom may err; network: without a reading (default: by the number of '
    'readers)',
  )
  parser.add_argument('--output', default='', help='JSON file to write')


def _rates(given: argparse.Namespace) -> None:
  predictions = read_predictions(given.predictions)
  answers = read_answers(given, predictions)
  readers = len({answer.reader for answer in answers})
  by_readers: tuple[Method, ...] = ('network', 'second', 'readers')
  method = given.method or by_readers[min(readers, 2)]
  rates, details = estimate_rates(predictions, answers, method)
  if given.output:
    write_json(given.output, {'notice': NOTICE, 'method': method, **rates_json(rates), **details})
  table = Table('share of wrong labels', 'value (95 % interval)', box=box.SIMPLE, caption=NOTICE)
  table.add_row('normals labelled nodule', _shown(as_json(rates.wrong_normal)))
  table.add_row('nodules labelled normal', _shown(as_json(rates.wrong_nodule)))
  for name, figures in details.get('readers', {}).items():
    for measure, value in figures.items():
      table.add_row(f'{measure} of {name}', _shown(value))
  for name, value in details.get('agreement', {}).items():
    if value is not None:
      table.add_row(name.replace('_', ' '), f'{value:.2f}')
  console = Console()
  console.print(table)
  if method == 'network':
    console.print(
      'Estimated from the network only: its own errors count as wrong labels, and what it misses '
      'hides what readers missed. Read a random sample again before you state a rate (nodulax '
      'labels queue --order=random).',
      highlight=False,
    )


def _add_correct(parser: cli.Parser) -> None:
  add_predictions(parser)
  add = parser.add_argument
  add('--rates', default='', help='JSON file that the command rates wrote')
  add('--wrong_normal', type=float, help='share of normals that are labelled nodule')
  add('--wrong_nodule', type=float, help='share of nodules that are labelled normal')
  add('--threshold', type=float, help='probability from which a radiograph is called positive')
  add('--output', default='', help='JSON file to write')


def _correct(given: argparse.Namespace) -> None:
  predictions = read_predictions(given.predictions)
  rates = _given_rates(given)
  threshold = given.threshold
  if threshold is None:
    threshold = _frozen_threshold(pathlib.Path(given.predictions))
  try:
    found = label_noise.corrected_figures(
      predictions.labels, predictions.probability, threshold, rates, predictions.patients
    )
  except ValueError as error:
    raise LabelsError(f'{predictions.source}: {error}') from error
  rows = {
    'auc': (found.labelled_auc, found.auc),
    'sensitivity': (found.labelled_sensitivity, found.sensitivity),
    'specificity': (found.labelled_specificity, found.specificity),
  }
  if given.output:
    figures = {name: {'labelled': one, **as_json(true)} for name, (one, true) in rows.items()}
    known = {'notice': NOTICE, 'threshold': threshold, **rates_json(rates)}
    write_json(given.output, {**known, **figures})
  table = Table(
    'measure', 'against the labels', 'against the truth (95 % interval)', box=box.SIMPLE,
    caption=f'if wrong labels are unrelated to how hard a radiograph is to read. {NOTICE}',
  )  # fmt: skip
  for name, (labelled, true) in rows.items():
    shown = 'AUC' if name == 'auc' else name
    table.add_row(shown, f'{labelled:.2f}', _shown(as_json(true)))
  Console().print(table)


def _given_rates(given: argparse.Namespace) -> label_noise.NoiseRates:
  """Returns the rates from the file or from the options."""
  exact = (given.wrong_normal, given.wrong_nodule)
  if given.rates:
    if exact != (None, None):
      raise OptionError('give --rates or --wrong_normal and --wrong_nodule, not both')
    try:
      return rates_from_json(json.loads(pathlib.Path(given.rates).read_text('utf-8')))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
      raise LabelsError(f'{given.rates}: not JSON: {error}') from error
  if None in exact:
    raise OptionError('give --rates=FILE, or --wrong_normal and --wrong_nodule')
  try:
    return label_noise.known_rates(*exact)
  except ValueError as error:
    raise OptionError(str(error)) from error


def _frozen_threshold(folder: pathlib.Path) -> float:
  """Returns the threshold that an evaluation froze on its tune split."""
  try:
    return float(json.loads((folder / 'metrics.json').read_text())['probability_threshold'])
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise OptionError(
      f'{folder} has no metrics.json with a frozen threshold; give --threshold=NUMBER'
    ) from error


def _shown(estimate: dict[str, float]) -> str:
  return f'{estimate["value"]:.3f} ({estimate["low"]:.3f} to {estimate["high"]:.3f})'


RATES = Command('estimate how often labels are wrong', _add_rates, _rates)
CORRECT = Command('correct test figures for wrong labels', _add_correct, _correct)
