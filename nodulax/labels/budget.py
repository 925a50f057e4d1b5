"""What a re-reading is worth: networks trained with some labels put right, chosen in several ways.

The truth must be known: the labels of the shards are taken for it, and some are made wrong.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from nodulax import NOTICE, train
from nodulax.errors import OptionError
from nodulax.files import whole_file
from nodulax.input.degraded import Noise, degraded
from nodulax.input.prepared import prepare
from nodulax.input.shards import Shards
from nodulax.labels import queue, rereading
from nodulax.labels.crossfit import crossfit
from nodulax.labels.predictions import read_predictions
from nodulax.labels.rereading import Answer
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.study import run as study
from nodulax.training import workdir

ORDERS = ('random', 'loss', 'wrong', 'oracle')
NOBODY, EVERYBODY = 'as labelled', 'all right'
_SPLITS = ('train', 'tune')
_LEGEND = {
  'random': 'any',
  'loss': 'those with the largest loss',
  'wrong': 'those most likely wrong',
  'oracle': 'the wrong ones, known to nobody',
}


@dataclasses.dataclass(frozen=True)
class Labels:
  """The labels of the splits train and tune, by image id.

  Attributes:
    true: of the shards.
    given: the same with some of them wrong.
    training: the image ids of the split train.
  """

  true: dict[str, int]
  given: dict[str, int]
  training: list[str]

  def after_reading(self, read: set[str]) -> dict[str, int]:
    """The labels once these radiographs were read again, without error."""
    return {name: self.true[name] if name in read else label for name, label in self.given.items()}


def run(config: ConfigDict, folder: str | os.PathLike) -> pathlib.Path:
  """Trains and scores every network of the comparison, or resumes; writes budget.json and a figure.

  Args:
    config: as `configs/data_quality.py` describes it.
    folder: the workdir.

  Returns:
    The folder of budget.json and budget.png.

  Raises:
    OptionError: an option cannot be.
    Interrupted, and whatever else `train` raises.
  """
  _check(config)
  claimed = workdir.claim(epath.Path(folder), config, write=True)
  sources = dict.fromkeys((config.data.train, *config.data.evaluate))
  shards = {name: study.prepare(config, claimed, name) for name in sources}
  path = pathlib.Path(claimed)
  rows = []
  for seed in config.budget.seeds:
    own = _training(config, path, shards, seed)
    labels = _labels(own, Noise(**_noise(config)), seed)
    of_seed = path / f'seed_{seed}'
    of_seed.mkdir(exist_ok=True)
    for order, count, read in _choices(config, own, labels, of_seed, seed):
      name = f'{order}_{count}' if count else order.replace(' ', '_')
      after = labels.after_reading(read)
      own.data.labels = _write(of_seed / f'{name}.csv', after)
      own.name = f'seed {seed}, {name}'
      train.train(own, of_seed / name)
      wrong = np.mean([after[image] != labels.true[image] for image in labels.training])
      for source in config.data.evaluate:
        metrics = json.loads((of_seed / name / 'evaluation' / source / 'metrics.json').read_text())
        rows.append(
          {
            'seed': seed,
            'order': order,
            'count': count,
            'wrong': float(wrong),
            'set': source,
            'auc': metrics['auc']['value'],
          }
        )
  with whole_file(path / 'budget.json') as file:
    file.write_text(json.dumps({'notice': NOTICE, 'results': rows}, indent=2) + '\n')
  with whole_file(path / 'budget.png') as file:
    _draw(rows, len(labels.training), file)
  return path


def _check(config: ConfigDict) -> None:
  budget = config.budget
  if unknown := set(budget.orders) - set(ORDERS):
    raise OptionError(
      f'--config.budget.orders has {", ".join(unknown)}; it may have {", ".join(ORDERS)}'
    )
  if not budget.counts or any(type(count) is not int or count < 1 for count in budget.counts):
    raise OptionError(f'--config.budget.counts={budget.counts} must be whole numbers above 0')
  if not budget.seeds or any(type(seed) is not int for seed in budget.seeds):
    raise OptionError(f'--config.budget.seeds={budget.seeds} must be whole numbers')
  Noise(**_noise(config))


def _noise(config: ConfigDict) -> dict[str, Any]:
  return {
    **config.data.noise.to_dict(),
    'wrong_normal': config.budget.wrong_normal,
    'wrong_nodule': config.budget.wrong_nodule,
  }


def _training(
  config: ConfigDict, folder: pathlib.Path, shards: Mapping[str, str], seed: int
) -> ConfigDict:
  """The config of one training, as `train` takes it."""
  own = config.copy_and_resolve_references()
  with own.unlocked():
    del own.budget, own.sources
  own.seed = seed
  own.data.cache_dir = own.data.cache_dir or str(folder / 'cache')
  own.data.shards.update(shards)
  return own


def _labels(own: ConfigDict, noise: Noise, seed: int) -> Labels:
  preprocessing = Preprocessing.from_dict(own.preprocessing.to_dict())
  true: dict[str, int] = {}
  given: dict[str, int] = {}
  training: list[str] = []
  for split in _SPLITS:
    right = prepare(
      Shards(own.data.shards[own.data.train], split), preprocessing, own.data.cache_dir
    )
    wrong = degraded(right, noise, seed)
    true |= {case.image_id: case.label for case in right.cases}
    given |= {case.image_id: case.label for case in wrong.cases}
    training = training or [case.image_id for case in right.cases]
  return Labels(true, given, training)


def _choices(
  config: ConfigDict, own: ConfigDict, labels: Labels, folder: pathlib.Path, seed: int
) -> Iterator[tuple[str, int, set[str]]]:
  """Each way of choosing, how many are read, and which."""
  yield NOBODY, 0, set()
  yield EVERYBODY, 0, set(labels.training)
  fitted = own.copy_and_resolve_references()
  fitted.name = f'seed {seed}'
  fitted.data.labels = _write(folder / 'given.csv', labels.given)
  predictions = read_predictions(crossfit(fitted, folder / 'crossfit', config.budget.folds))
  for order in config.budget.orders:
    for count in config.budget.counts:
      if order == 'oracle':
        ranked = sorted(
          np.random.default_rng(seed).permutation(labels.training).tolist(),
          key=lambda image: labels.given[image] == labels.true[image],
        )
        yield order, count, set(ranked[:count])
      else:
        yield order, count, set(queue.next_to_read(predictions, count, order, (), seed=seed))


def _write(path: pathlib.Path, labels: Mapping[str, int]) -> str:
  """The labels as a re-reading; the path of the file, which is not written twice."""
  if not path.exists():
    with whole_file(path) as file:
      rereading.write_answers(
        file,
        (
          Answer(image, 'simulation', 'nodule' if label else 'normal')
          for image, label in labels.items()
        ),
      )
  return str(path)


def _draw(rows: list[dict[str, Any]], training: int, path: pathlib.Path) -> None:
  """AUC against radiographs read again, a panel a set, a line a way of choosing."""
  from matplotlib.figure import Figure

  sets = list(dict.fromkeys(row['set'] for row in rows))
  figure = Figure(figsize=(4.2 * len(sets), 3.6), layout='constrained')
  for axes, name in zip(figure.subplots(1, len(sets), squeeze=False)[0], sets, strict=True):
    here = [row for row in rows if row['set'] == name]
    start = [row['auc'] for row in here if row['order'] == NOBODY]
    best = np.mean([row['auc'] for row in here if row['order'] == EVERYBODY])
    axes.axhline(best, color='0.6', linestyle=':', label=f'all {training:,} labels right')
    for order in dict.fromkeys(row['order'] for row in here):
      if order in (NOBODY, EVERYBODY):
        continue
      counts = sorted({row['count'] for row in here if row['order'] == order})
      seeds = [
        [row['auc'] for row in here if (row['order'], row['count']) == (order, count)]
        for count in counts
      ]
      means = [np.mean(start), *map(np.mean, seeds)]
      (line,) = axes.plot([0, *counts], means, marker='o', label=_LEGEND[order])
      for count, values in zip([0, *counts], [start, *seeds], strict=True):
        axes.plot([count] * len(values), values, '.', color=line.get_color(), alpha=0.4)
    axes.set(title=f'scored on {name}', xlabel='radiographs read again', ylabel='AUC')
  axes.legend(fontsize='small')
  figure.savefig(path, format='png', dpi=150)
