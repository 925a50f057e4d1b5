"""Checks the options of an experiment before any work is done."""

import math
import operator
import pathlib
from typing import Any

from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from nodulax.checkpoints import typed_json
from nodulax.errors import OptionError
from nodulax.input.degraded import Noise
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.storage import folders, published
from nodulax.training.losses import Loss

# The least and the greatest value of each option that is a number.
_RANGES: dict[str, tuple[float, float]] = {
  'seed': (0, 2**32 - 1),
  'data.train_images': (0, math.inf),
  'data.worker_processes': (0, math.inf),
  'augmentation.flip': (0, 1),
  'augmentation.shift': (0, 1),
  'augmentation.scale': (0, 0.9),
  'augmentation.rotation': (0, 180),
  'augmentation.shear': (0, 60),
  'augmentation.gamma': (0, 2),
  'augmentation.sharpness': (0, 5),
  'augmentation.noise': (0, 1),
  'model.reduction': (1, math.inf),
  'model.batch_norm_momentum': (0, 1),
  'optimizer.learning_rate': (0, math.inf),
  'optimizer.drop_factor': (0, 1),
  'loss_scale.initial': (1, math.inf),
  'loss_scale.grow_after': (1, math.inf),
  'train.epochs': (1, math.inf),
  'train.batch_size': (1, math.inf),
  'train.accumulate': (0, math.inf),
  'train.devices': (0, math.inf),
  'train.log_every': (1, math.inf),
  'train.checkpoint_minutes': (0, math.inf),
  'train.pictures': (0, math.inf),
  'evaluation.batch_size': (1, math.inf),
  'evaluation.overlays': (0, math.inf),
}


def check_options(config: ConfigDict) -> None:
  """Checks the options that can be judged without reading the data.

  Args:
    config: as `configs/default.py` describes it.

  Raises:
    ValueError: an option is out of range, or names a source that `config.data.shards` lacks or a
      file that does not exist. The message names the option, its value and what it may be.
  """
  for option, (least, greatest) in _RANGES.items():
    value = operator.attrgetter(option)(config)
    fits = isinstance(value, int | float) and least <= value <= greatest
    if not fits or (math.isinf(value) and option != 'train.checkpoint_minutes'):
      allowed = f'at least {least}' if greatest == math.inf else f'from {least} to {greatest}'
      raise OptionError(f'--config.{option}={value} must be {allowed}')
  if config.optimizer.learning_rate == 0:
    raise OptionError('--config.optimizer.learning_rate=0 must be above 0')
  _check_data(config)
  drops = config.optimizer.drop_epochs
  if not all(type(epoch) is int and epoch >= 1 for epoch in drops):
    raise OptionError(
      f'--config.optimizer.drop_epochs={drops} must be whole numbers of epochs, at least 1'
    )
  _check_preprocessing(config)
  typed_json.construct(Loss, config.loss.to_dict(), '--config.loss')
  _check_start(config)


def _check_data(config: ConfigDict) -> None:
  sources = ', '.join(config.data.shards)
  for option, named in (
    ('train', (config.data.train,)),
    ('evaluate', config.data.evaluate),
  ):
    for source in named:
      if source not in config.data.shards:
        raise OptionError(
          f'--config.data.{option} names the source {source!r}, which is none of {sources}'
        )
  fold = config.data.fold
  if len(fold) != 2 or not all(type(n) is int for n in fold) or not 0 <= fold[0] < fold[1]:
    raise OptionError(
      f'--config.data.fold={fold} must be (i, k), the part i from 0 to k - 1 of k parts'
    )
  typed_json.construct(Noise, config.data.noise.to_dict(), 'config.data.noise')
  labels = config.data.labels
  if labels and not pathlib.Path(labels).is_file():
    raise OptionError(f'--config.data.labels={labels}: there is no such file')


def _check_preprocessing(config: ConfigDict) -> None:
  if config.preprocessing.image_size % 32:
    raise OptionError(
      f'--config.preprocessing.image_size={config.preprocessing.image_size} must be a multiple of '
      '32: the network halves the image five times'
    )
  window = config.preprocessing.window
  if len(window) != 2 or not all(isinstance(edge, int | float) for edge in window):
    raise OptionError(
      f'--config.preprocessing.window={config.preprocessing.window} must be two percentiles, '
      'those that become black and white, such as (0.5, 99.5)'
    )
  Preprocessing.from_dict(config.preprocessing.to_dict())


def _check_start(config: ConfigDict) -> None:
  """Checks the weights to start from: a checkpoint, else chest weights, else ImageNet's."""
  if config.init.checkpoint:
    return
  if config.init.chest:
    _check_chest(config)
    return
  weights = config.init.imagenet
  if weights in published.WEIGHTS:
    published.find_weights(weights, config.model.size)
  elif weights and not folders.is_remote(weights) and not pathlib.Path(weights).is_file():
    raise OptionError(
      f'--config.init.imagenet={weights}: there is no such file; {" or ".join(published.WEIGHTS)} '
      'downloads the published one'
    )


def _check_chest(config: ConfigDict) -> None:
  """Checks that the network fits the chest weights in size and in the scale of its pixels."""
  needed = {'size': published.CHEST_SIZE, 'mean': published.CHEST_MEAN, 'std': published.CHEST_STD}
  wrong = [
    f'--config.model.{name}={value}'
    for name, value in needed.items()
    if config.model[name] != value
  ]
  if wrong:
    raise OptionError(f'config.init.chest={config.init.chest} needs {" ".join(wrong)}')
  published.find_chest_weights(config.init.chest)


def hyperparameters(config: ConfigDict) -> dict[str, Any]:
  """The options that distinguish runs, without folders, by dotted name."""
  groups = ('model', 'loss', 'optimizer', 'augmentation', 'preprocessing', 'train')
  values = {name: config[name].to_dict() for name in groups}
  return {'seed': config.seed, **flatten_dict(values, sep='.')}
