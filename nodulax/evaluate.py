"""Evaluates a trained network on a split of any shard set.

  python -m nodulax.evaluate --checkpoint=RUN --dataset=DIR --split=test --output=DIR

Without --checkpoint it evaluates the network bundled with nodulax. --checkpoint=A,B,C averages
several networks and compares the mean with the best of them. Writes predictions.csv (one row per
radiograph), locations.csv (one row per finding), metrics.json, heat maps, thumbnails and overlays.
For research, not a medical device.
"""

import argparse
import hashlib
import json
import os
import pathlib
import sys
import types
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging
from rich import box
from rich.console import Console
from rich.table import Table

from nodulax import NOTICE, cli
from nodulax.distributed import hosts
from nodulax.errors import OptionError
from nodulax.evaluation import members, provenance
from nodulax.evaluation.files import write_locations, write_pictures, write_predictions
from nodulax.evaluation.measures import dice_coefficients, measure
from nodulax.files import remove_leftovers, whole_folder
from nodulax.input.prepared import Prepared, prepare
from nodulax.input.relabelled import relabelled
from nodulax.input.shards import Shards
from nodulax.labels import rereading
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.storage import folders


def evaluate(
  run: str | os.PathLike | Sequence[str | os.PathLike],
  dataset: str | os.PathLike,
  split: str,
  output: str | os.PathLike,
  *,
  batch_size: int,
  overlays: int,
  cache_dir: str | os.PathLike = '',
  labels: str | os.PathLike = '',
  flip: bool = False,
) -> dict[str, Any]:
  """Evaluates a run's best network on a split, or returns the result already in `output`.

  Args:
    run: the workdir of a training run, or several, whose answers are averaged.
    dataset: the folder of a shard set.
    split: 'train', 'tune' or 'test'.
    output: the folder to write; either complete afterwards or absent.
    batch_size: radiographs at a time; the results do not depend on it.
    overlays: how many radiographs to draw with heat map and truth.
    cache_dir: for preprocessed images; '' keeps them in memory.
    labels: CSV file of a re-reading; only its radiographs are scored, against the majority of
      the readers. '' uses the shards' labels.
    flip: also reads the mirrored radiographs, and averages both answers.

  Returns:
    The content of metrics.json.

  Raises:
    CheckpointError, ShardsError: there is no such run or split.
    RereadingError: the re-reading cannot be read, or is of other radiographs.
    ValueError: `output` holds another evaluation.
  """
  output = pathlib.Path(output)
  together = members.read_members([run] if isinstance(run, str | os.PathLike) else run)
  description = members.described(together)
  shards = Shards(dataset, split)
  subject = {
    'run': description.name,
    'step': description.step,
    'weights_sha256': description.weights_sha256,
    'dataset': shards.name,
    'split': split,
    'flip': flip,
    'labels_sha256': _sha256_of(labels) if labels else '',
  }
  origin = provenance.provenance(together[0].run, shards.directory, split)
  if hosts.first_says(output.exists()):
    return _done_before(output, {**subject, 'data_sha256': origin['data_sha256']})

  prepared = prepare(shards, description.preprocessing, cache_dir)
  reading: dict[str, Any] = {}
  if labels:
    prepared, reading = _read_again(prepared, labels, description.preprocessing)
  title = f'{description.name} on {shards.name} {split}'
  found = members.answers(together, prepared, batch_size, flip=flip, title=title)
  dices = dice_coefficients(prepared, found.heat_maps, description.thresholds)
  labels_of = np.array([case.label for case in prepared.cases])
  patients = [case.patient_id for case in prepared.cases]
  if len(together) > 1 and 0 < labels_of.sum() < len(labels_of):
    reading['ensemble'] = members.against_the_best(together, labels_of, patients, found)
  metrics = {
    'notice': NOTICE,
    **subject,
    'seen': description.seen,
    **measure(labels_of, patients, found.probability, dices, description.thresholds),
    **reading,
    'provenance': origin,
  }
  if hosts.is_first():
    remove_leftovers(output)
    with whole_folder(output) as unfinished:
      write_predictions(
        unfinished / 'predictions.csv', prepared.cases, found.probability, dices, found.spread
      )
      write_locations(
        unfinished / 'locations.csv', prepared, found.heat_maps, description.preprocessing
      )
      write_pictures(unfinished, prepared, found.heat_maps, overlays)
      if cohort := provenance.cohort(shards.directory):
        (unfinished / 'cohort.json').write_text(json.dumps(cohort, indent=2))
      (unfinished / 'NOTICE.txt').write_text(NOTICE + '\n')
      (unfinished / 'metrics.json').write_text(json.dumps(metrics, indent=2))
  hosts.wait(f'evaluation in {output}')
  return metrics


def _read_again(
  prepared: Prepared, labels: str | os.PathLike, preprocessing: Preprocessing
) -> tuple[Prepared, dict[str, Any]]:
  """Returns a split with the labels of a re-reading, and its entries for metrics.json."""
  answers = rereading.read_answers(labels)
  rereading.require_known(
    answers,
    [case.image_id for case in prepared.cases],
    f'the split {prepared.split} of {prepared.name}',
  )
  settled = rereading.settle(answers)
  if not settled:
    raise rereading.RereadingError(f'{labels}: the readers agree on no radiograph')
  changed = sum(
    case.label != settled[case.image_id].label
    for case in prepared.cases
    if case.image_id in settled
  )
  counts = {
    'readers': len({answer.reader for answer in answers}),
    'settled': len(settled),
    'unsettled': len({answer.image_id for answer in answers}) - len(settled),
    'not_read': len(prepared) - len({answer.image_id for answer in answers}),
    'changed': changed,
  }
  return relabelled(prepared, settled, preprocessing), {'reading': counts}


def _sha256_of(labels: str | os.PathLike) -> str:
  try:
    return hashlib.sha256(pathlib.Path(labels).read_bytes()).hexdigest()
  except OSError as error:
    raise rereading.RereadingError(f'{labels}: {error.strerror}; give a re-reading') from error


def _done_before(output: pathlib.Path, subject: dict[str, Any]) -> dict[str, Any]:
  try:
    metrics = json.loads((output / 'metrics.json').read_text())
  except (OSError, ValueError) as error:
    raise OptionError(
      f'{output} exists and holds no evaluation; choose another --output or remove it'
    ) from error
  there = {**metrics, **metrics.get('provenance', {})}
  differing = [
    f'{name} {there.get(name)!r} there, {value!r} now'
    for name, value in subject.items()
    # Earlier releases do not record options that have their defaults.
    if (there.get(name) or None) != (value or None)
  ]
  if differing:
    raise OptionError(
      f'{output} holds another evaluation ({"; ".join(differing)}); '
      'choose another --output or remove it'
    )
  return metrics


def print_metrics(metrics: dict[str, Any]) -> None:
  """Prints metrics.json as a table."""
  title = f'{metrics["run"]} on {metrics["dataset"]} {metrics["split"]}'
  table = Table('measure', 'value (95 % interval)', title=title, caption=NOTICE, box=box.SIMPLE)
  radiographs = f'{metrics["images"]:,} of {metrics["patients"]:,} patients'
  table.add_row('radiographs', f'{radiographs}, {metrics["nodule_images"]:,} with a nodule')
  for name, key in (
    ('AUC', 'auc'),
    ('sensitivity', 'sensitivity'),
    ('specificity', 'specificity'),
    ('Dice', 'dice'),
  ):
    table.add_row(name, _shown(metrics[key]))
  if reading := metrics.get('reading'):
    table.add_row(
      'labels',
      f'read again by {reading["readers"]}: {reading["changed"]:,} changed, '
      f'{reading["unsettled"]:,} unsettled, {reading["not_read"]:,} not read',
    )
  if ensemble := metrics.get('ensemble'):
    best = ensemble['minus_best']
    difference = f'{best["value"]:+.3f}'
    if best['p'] is not None:
      difference += f' ({best["low"]:+.3f} to {best["high"]:+.3f}), P {best["p"]:.2g}'
    table.add_row(f'AUC minus that of {best["run"]}, the best of them', difference)
  table.add_row('probability threshold', f'{metrics["probability_threshold"]:.3f}, frozen on tune')
  Console().print(table)


def _shown(estimate: dict[str, float | None] | None) -> str:
  if estimate is None or estimate['value'] is None:
    return 'unknown'
  interval = ''
  if estimate['low'] is not None and estimate['high'] is not None:
    interval = f' ({estimate["low"]:.2f} to {estimate["high"]:.2f})'
  return f'{estimate["value"]:.2f}{interval}'


def add_arguments(parser: cli.Parser) -> None:
  cli.add_checkpoint(parser)
  add = parser.add_argument
  add('--dataset', required=True, help='folder of the shards')
  add('--output', required=True, help='folder to write')
  add('--split', default='test', choices=('train', 'tune', 'test'), help='split to evaluate on')
  add('--batch_size', type=cli.at_least(1), default=16, help='radiographs at a time (default: 16)')
  add(
    '--overlays',
    type=cli.at_least(0),
    default=64,
    help='radiographs to draw with heat map and truth (default: 64)',
  )
  add('--labels', default='', help='CSV file of a re-reading to score against (docs/labels.md)')
  add(
    '--flip',
    action='store_true',
    help='also read each radiograph mirrored, and average both answers',
  )
  add('--cache_dir', default='', help='folder for preprocessed images (default: memory)')


def main(given: argparse.Namespace) -> None:
  logging.set_verbosity(logging.WARNING)
  output = folders.check_out(given.output)
  runs = given.checkpoint.split(',')
  metrics = evaluate(
    runs[0] if len(runs) == 1 else runs,
    given.dataset,
    given.split,
    output,
    batch_size=given.batch_size,
    overlays=given.overlays,
    cache_dir=given.cache_dir,
    labels=given.labels,
    flip=given.flip,
  )
  folders.publish(output)
  print_metrics(metrics)
  print(f'metrics.json, predictions, heat maps and overlays: {given.output}')


class _Function(types.ModuleType):
  """Makes nodulax.evaluate a module, for the command, and a function, for notebooks."""

  def __call__(self, model: Any, shards: str | os.PathLike, split: str = 'test') -> Any:
    """Runs `Model.evaluate` on a model, or on what `nodulax.load` can load."""
    from nodulax.models import Model, load

    return (model if isinstance(model, Model) else load(model)).evaluate(shards, split)


sys.modules[__name__].__class__ = _Function

if __name__ == '__main__':
  cli.run('evaluate', prog='python -m nodulax.evaluate')
