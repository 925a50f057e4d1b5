"""How wrong labels are, which to read again, and what test figures against them say of the truth.

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
import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from nodulax import NOTICE, cli
from nodulax.errors import OptionError
from nodulax.files import whole_file
from nodulax.labels import queue, rereading
from nodulax.labels.audit import audit, ranking, write_suspects
from nodulax.labels.predictions import LabelsError, Predictions, read_predictions
from nodulax.labels.rates import Method, as_json, estimate_rates, rates_from_json, rates_json
from nodulax.statistics import label_noise
from nodulax.storage import folders
from nodulax.training.interruption import interruptible

_SHOWN = 10  # suspects


def add_arguments(parser: cli.Parser) -> None:
  commands = parser.add_subparsers(
    dest='command', required=True, metavar='COMMAND', parser_class=cli.Parser
  )

  def command(name: str, summary: str, run: Any) -> cli.Parser:
    own: cli.Parser = commands.add_parser(name, help=summary, description=summary)
    own.set_defaults(run=run)
    return own

  def needs_predictions(own: cli.Parser) -> None:
    own.add_argument(
      '--predictions',
      required=True,
      metavar='DIR',
      help='folder of an evaluation, or a CSV file with image_id, label and probability',
    )

  def takes_reading(own: cli.Parser, text: str) -> None:
    own.add_argument('--reading', default='', metavar='CSV', help=text)

  own = command('crossfit', 'predictions by networks that never saw the patient', _crossfit)
  own.add_config()
  own.add_argument('--workdir', required=True, help='folder of the networks and the predictions')
  own.add_argument('--folds', type=cli.at_least(2), default=5, help='how many (default: 5)')

  own = command('study', 'simulate wrong labels: re-reading, losses, kinds of noise', _study)
  own.add_config()
  own.add_argument('--workdir', required=True, help='folder of the networks and the results')

  own = command('audit', 'rank labels by how likely they are wrong', _audit)
  needs_predictions(own)
  own.add_argument('--output', required=True, help='folder to write')
  takes_reading(own, 'a second reading, to tell how well the ranking finds wrong labels')

  own = command('queue', 'the next radiographs to read again', _queue)
  needs_predictions(own)
  own.add_argument('--output', required=True, help='CSV file to write')
  own.add_argument('--budget', type=cli.at_least(1), default=200, help='how many (default: 200)')
  own.add_argument(
    '--order',
    choices=queue.ORDERS,
    default='wrong',
    help='the most suspect, those whose reading should help training most, those with the largest '
    'loss, or any; to estimate rates take random',
  )
  own.add_argument('--seed', type=int, default=0, help='of the draw')
  takes_reading(own, 'what was read already, and is left out')

  own = command('rates', 'how often labels are wrong, with intervals', _rates)
  needs_predictions(own)
  takes_reading(own, 'answers of one reader or several')
  own.add_argument(
    '--method',
    choices=('second', 'readers', 'network'),
    default=None,
    help='second: the readers tell the truth, of radiographs drawn at random; readers: nobody '
    'does; network: without a reading (default: what the reading allows)',
  )
  own.add_argument('--output', default='', help='JSON file to write')

  own = command('correct', 'test figures against wrong labels, corrected', _correct)
  needs_predictions(own)
  own.add_argument('--rates', default='', help='JSON file that the command rates wrote')
  own.add_argument('--wrong_normal', type=float, help='share of normals that are labelled nodule')
  own.add_argument('--wrong_nodule', type=float, help='share of nodules that are labelled normal')
  own.add_argument(
    '--threshold', type=float, help='probability at or above which a radiograph is called positive'
  )
  own.add_argument('--output', default='', help='JSON file to write')


def main(given: argparse.Namespace) -> None:
  given.run(given)


def _crossfit(given: argparse.Namespace) -> None:
  from nodulax.labels.crossfit import OUT_OF_SAMPLE, crossfit

  with _workdir(given.workdir) as folder:
    crossfit(given.config, folder, given.folds)
  print(f'predictions: {given.workdir}/{OUT_OF_SAMPLE}')


def _study(given: argparse.Namespace) -> None:
  from nodulax.labels import study

  with _workdir(given.workdir) as folder:
    study.run(given.config, folder)
  for part in given.config.parts:
    print(f'{given.workdir}/{part}.json\n{given.workdir}/{part}.png')
  print(NOTICE)


@contextlib.contextmanager
def _workdir(address: str) -> Iterator[pathlib.Path]:
  """A folder to work in, on disk or in a bucket; Ctrl-C and SIGTERM save what is done."""
  with interruptible():
    folder = folders.check_out(address)
    yield pathlib.Path(folder)
    folders.publish(folder)


def _answers(given: argparse.Namespace, predictions: Predictions) -> list[rereading.Answer]:
  if not given.reading:
    return []
  answers = rereading.read_answers(given.reading)
  rereading.require_known(answers, predictions.image_ids, str(predictions.source))
  return answers


def _audit(given: argparse.Namespace) -> None:
  predictions = read_predictions(given.predictions)
  found = audit(predictions)
  told: dict[str, Any] = {
    'notice': NOTICE,
    'images': len(predictions),
    'expected_wrong': float(found.wrong.sum()),
    'more_likely_wrong_than_right': int((found.wrong > 0.5).sum()),
    'rates_by_the_network': rates_json(found.rates),
  }
  if answers := _answers(given, predictions):
    settled = rereading.settle(answers)
    known = np.array([image in settled for image in predictions.image_ids])
    wrong = np.array(
      [
        image in settled and settled[image].label != label
        for image, label in zip(predictions.image_ids, predictions.labels, strict=True)
      ]
    )
    told['against_the_reading'] = ranking(found, wrong, known)
  output = pathlib.Path(given.output)
  output.mkdir(parents=True, exist_ok=True)
  with whole_file(output / 'suspects.csv') as file:
    write_suspects(file, predictions, found)
  _write(output / 'audit.json', told)
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
    f'{len(predictions):,} labels; about {told["expected_wrong"]:.0f} are wrong, by the network '
    f'alone. All of them, the most suspect first: {output / "suspects.csv"}. {NOTICE}',
    highlight=False,
  )
  if 'against_the_reading' in told:
    _print_ranking(console, told['against_the_reading'])


def _print_ranking(console: Console, told: dict[str, Any]) -> None:
  area = told['auc']
  shown = (
    'cannot be told'
    if area is None
    else f'{area["value"]:.2f} ({area["low"]:.2f} to {area["high"]:.2f})'
  )
  console.print(
    f'Of {told["images"]:,} that were read again {told["wrong"]:,} labels are wrong; the ranking '
    f'finds them with an AUC of {shown}',
    highlight=False,
  )
  table = Table('of the first', 'are wrong', 'of all wrong', box=box.SIMPLE)
  for count, precision in told['precision'].items():
    table.add_row(f'{count:,}', f'{precision:.0%}', f'{told["recall"][count]:.0%}')
  console.print(table)


def _queue(given: argparse.Namespace) -> None:
  predictions = read_predictions(given.predictions)
  read = {answer.image_id for answer in _answers(given, predictions)}
  chosen = queue.next_to_read(predictions, given.budget, given.order, read, seed=given.seed)
  with whole_file(given.output) as file:
    queue.write_queue(file, chosen)
  print(f'{given.output}: {len(chosen):,} radiographs to read. {NOTICE}')


def _rates(given: argparse.Namespace) -> None:
  predictions = read_predictions(given.predictions)
  answers = _answers(given, predictions)
  readers = len({answer.reader for answer in answers})
  by_readers: tuple[Method, ...] = ('network', 'second', 'readers')
  method = given.method or by_readers[min(readers, 2)]
  rates, told = estimate_rates(predictions, answers, method)
  if given.output:
    _write(given.output, {'notice': NOTICE, 'method': method, **rates_json(rates), **told})
  table = Table('share of wrong labels', 'value (95 % interval)', box=box.SIMPLE, caption=NOTICE)
  table.add_row('normals labelled nodule', _shown(as_json(rates.wrong_normal)))
  table.add_row('nodules labelled normal', _shown(as_json(rates.wrong_nodule)))
  for name, figures in told.get('readers', {}).items():
    for measure, value in figures.items():
      table.add_row(f'{measure} of {name}', _shown(value))
  for name, value in told.get('agreement', {}).items():
    if value is not None:
      table.add_row(name.replace('_', ' '), f'{value:.2f}')
  console = Console()
  console.print(table)
  if method == 'network':
    console.print(
      'By the network alone, whose own errors count as wrong labels, and whose misses hide those '
      'of the readers: read a random sample again before you state a rate (nodulax labels queue '
      '--order=random).',
      highlight=False,
    )


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
    _write(given.output, {'notice': NOTICE, 'threshold': threshold, **rates_json(rates), **figures})
  table = Table(
    'measure', 'against the labels', 'against the truth (95 % interval)', box=box.SIMPLE,
    caption=f'if wrong labels have nothing to do with how hard a radiograph is. {NOTICE}',
  )  # fmt: skip
  for name, (labelled, true) in rows.items():
    shown = 'AUC' if name == 'auc' else name
    table.add_row(shown, f'{labelled:.2f}', _shown(as_json(true)))
  Console().print(table)


def _given_rates(given: argparse.Namespace) -> label_noise.NoiseRates:
  """The rates of a file, or as they are given."""
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
  """The threshold of an evaluation, frozen on its tune split."""
  try:
    return float(json.loads((folder / 'metrics.json').read_text())['probability_threshold'])
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise OptionError(
      f'{folder} has no metrics.json with a frozen threshold; give --threshold=NUMBER'
    ) from error


def _shown(estimate: dict[str, float]) -> str:
  return f'{estimate["value"]:.3f} ({estimate["low"]:.3f} to {estimate["high"]:.3f})'


def _write(path: str | pathlib.Path, values: dict[str, Any]) -> None:
  with whole_file(path) as file:
    file.write_text(json.dumps(values, indent=2) + '\n', encoding='utf-8')


if __name__ == '__main__':
  cli.run('labels', prog='python -m nodulax.labels')
