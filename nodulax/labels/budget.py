"""Plans the trainings that show what it is worth to read some radiographs again."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from nodulax.checkpoints import typed_json
from nodulax.errors import OptionError
from nodulax.files import whole_file
from nodulax.input.degraded import Noise, degraded
from nodulax.input.prepared import prepare
from nodulax.input.shards import Shards
from nodulax.labels import queue, rereading
from nodulax.labels.crossfit import crossfit
from nodulax.labels.planned import ALL_READ, AS_LABELLED, Training
from nodulax.labels.predictions import LabelsError, read_predictions
from nodulax.labels.rereading import Answer
from nodulax.radiograph.preprocessing import Preprocessing

ORACLE = 'oracle'
_ORDERS = (*queue.ORDERS, ORACLE)
_SPLITS = ('train', 'tune')


@dataclasses.dataclass(frozen=True)
class Labels:
  """The labels of the splits train and tune, by image id.

  Attributes:
    true: labels of the shards.
    given: the same, some of them made wrong.
    training: the image ids of the split train.
  """

  true: dict[str, int]
  given: dict[str, int]
  training: list[str]

  def after_reading(self, read: set[str]) -> dict[str, int]:
    """Returns the labels after these radiographs were read again without error."""
    return {name: self.true[name] if name in read else label for name, label in self.given.items()}


def plan(config: ConfigDict, own: ConfigDict, folder: pathlib.Path) -> Iterator[Training]:
  """Plans a training for each way of choosing the radiographs to read again, and each budget.

  Args:
    config: the study's; `config.budget` has rates, folds, orders and counts.
    own: config of one training.
    folder: gets the labels of each training, and the networks that rank them.

  Raises:
    OptionError: a budget exceeds the number of radiographs.
    Interrupted, and whatever else `train` raises.
  """
  labels = _labels(own, Noise(**_noise(config)))
  if (most := max(config.budget.counts)) > len(labels.training):
    raise OptionError(
      f'--config.budget.counts has {most}, more than the {len(labels.training)} radiographs of the '
      'split train'
    )
  for order, count, read in _choices(config, own, labels, folder):
    after = labels.after_reading(read)
    wrong = np.mean([after[image] != labels.true[image] for image in labels.training])
    training = Training(order, count, {}, float(wrong))
    file = _write(folder / f'budget_{training.name}.csv', after)
    yield dataclasses.replace(training, changes={'data.labels': file})


def check(config: ConfigDict) -> None:
  """Checks the options of the budget.

  Raises:
    OptionError: an option is out of range.
  """
  budget = config.budget
  if unknown := set(budget.orders) - set(_ORDERS):
    raise OptionError(
      f'--config.budget.orders has {", ".join(unknown)}; it may have {", ".join(_ORDERS)}'
    )
  if not budget.counts or any(type(count) is not int or count < 1 for count in budget.counts):
    raise OptionError(f'--config.budget.counts={budget.counts} must be whole numbers above 0')
  if type(budget.folds) is not int or budget.folds < 2:
    raise OptionError(f'--config.budget.folds={budget.folds} must be a whole number of at least 2')
  typed_json.construct(Noise, _noise(config), '--config.budget')


def _noise(config: ConfigDict) -> dict[str, Any]:
  return {
    **config.data.noise.to_dict(),
    'wrong_normal': config.budget.wrong_normal,
    'wrong_nodule': config.budget.wrong_nodule,
  }


def _labels(own: ConfigDict, noise: Noise) -> Labels:
  preprocessing = Preprocessing.from_dict(own.preprocessing.to_dict())
  true: dict[str, int] = {}
  given: dict[str, int] = {}
  training: list[str] = []
  for split in _SPLITS:
    right = prepare(
      Shards(own.data.shards[own.data.train], split), preprocessing, own.data.cache_dir
    )
    wrong = degraded(right, noise, own.seed)
    true |= {case.image_id: case.label for case in right.cases}
    given |= {case.image_id: case.label for case in wrong.cases}
    training = training or [case.image_id for case in right.cases]
  return Labels(true, given, training)


def _choices(
  config: ConfigDict, own: ConfigDict, labels: Labels, folder: pathlib.Path
) -> Iterator[tuple[str, int, set[str]]]:
  """Yields each way of choosing, how many radiographs are read, and which."""
  yield AS_LABELLED, 0, set()
  yield ALL_READ, 0, set(labels.training)
  fitted = own.copy_and_resolve_references()
  fitted.name = folder.name
  fitted.data.labels = _write(folder / 'budget_given.csv', labels.given)
  predictions = read_predictions(crossfit(fitted, folder / 'crossfit', config.budget.folds))
  for order in config.budget.orders:
    for count in config.budget.counts:
      if order == ORACLE:
        ranked = sorted(
          np.random.default_rng(own.seed).permutation(labels.training).tolist(),
          key=lambda image: labels.given[image] == labels.true[image],
        )
        yield order, count, set(ranked[:count])
        continue
      try:
        chosen = queue.next_to_read(predictions, count, order, (), seed=own.seed)
      except LabelsError as error:  # networks that learned nothing cannot rank
        print(f'{folder.name}: no radiograph is chosen by {order}: {error}')
        break
      yield order, count, set(chosen)


def _write(path: pathlib.Path, labels: Mapping[str, int]) -> str:
  """Writes the labels as a re-reading unless the file exists; returns its path."""
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
