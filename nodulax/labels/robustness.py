"""Plans the trainings that show what wrong labels cost, and which loss copes with them best."""

import pathlib
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from nodulax.checkpoints import typed_json
from nodulax.errors import OptionError
from nodulax.input.degraded import Noise
from nodulax.labels.planned import RIGHT, Training
from nodulax.training.losses import Loss


def plan_losses(config: ConfigDict, own: ConfigDict, folder: pathlib.Path) -> Iterator[Training]:
  """Plans a training for each loss and each rate of wrong labels, equal in both classes.

  Args:
    config: the study's; `config.losses` has rates, and `compared`, the options of each loss.
    own: config of one training.
    folder: not used.
  """
  yield Training(RIGHT, 0, {})
  for rate in config.losses.rates:
    for name, options in config.losses.compared.items():
      yield Training(name, rate, {**_flips(rate), **_loss(options, rate)})


def plan_noise(config: ConfigDict, own: ConfigDict, folder: pathlib.Path) -> Iterator[Training]:
  """Plans a training for each kind of noise and each of its amounts.

  Args:
    config: the study's; `config.noise` has for each kind an option of `config.data.noise`, its
      amounts, and whether inconspicuous nodules are hit more often.
    own: config of one training.
    folder: not used.
  """
  yield Training(RIGHT, 0, {})
  for name, kind in config.noise.items():
    for amount in kind.amounts:
      changes = {f'data.noise.{option}': amount for option in kind.options}
      if kind.by_conspicuity:
        changes['data.noise.by_conspicuity'] = True
      yield Training(name, amount, changes)


def check(config: ConfigDict) -> None:
  """Checks the options of losses and noise.

  Raises:
    OptionError: an option is out of range.
  """
  for option, values in (
    ('losses.rates', config.losses.rates),
    ('losses.compared', config.losses.compared),
    ('noise', config.noise),
    *((f'noise[{name!r}].options', kind.options) for name, kind in config.noise.items()),
    *((f'noise[{name!r}].amounts', kind.amounts) for name, kind in config.noise.items()),
  ):
    if isinstance(values, str) or not values:
      shown = f'the text {values!r}' if isinstance(values, str) else 'empty'
      raise OptionError(f'--config.{option} is {shown}; it must list at least one entry')
  for rate in config.losses.rates:
    if not 0 < rate < 0.5:
      raise OptionError(f'--config.losses.rates has {rate}; a rate must lie between 0 and 0.5')
    for options in config.losses.compared.values():
      changes = {name.removeprefix('loss.'): value for name, value in _loss(options, rate).items()}
      typed_json.construct(Loss, {**config.loss.to_dict(), **changes}, '--config.losses.compared')
  for name, kind in config.noise.items():
    for amount in kind.amounts:
      noise = {**config.data.noise.to_dict(), **dict.fromkeys(kind.options, amount)}
      typed_json.construct(Noise, noise, f'--config.noise[{name!r}].options')


def _flips(rate: float) -> dict[str, float]:
  return {'data.noise.wrong_normal': rate, 'data.noise.wrong_nodule': rate}


def _loss(options: ConfigDict, rate: float) -> dict[str, Any]:
  """Returns the options of a loss; forward correction also gets the rates."""
  changes = {f'loss.{name}': value for name, value in options.items()}
  if options.get('classification') == 'forward':
    changes |= {'loss.wrong_normal': rate, 'loss.wrong_nodule': rate}
  return changes
