"""The plan of a study: which networks are trained on what, and in which order."""

import dataclasses
import json
import math
import operator
import re
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from nodulax.checkpoints.checkpoint import describe as describe_network
from nodulax.errors import OptionError
from nodulax.training.options import check_options

# What a study's config holds in addition to the options of configs/default.py.
OWN_OPTIONS = ('order', 'experiments', 'seeds', 'sweeps', 'sources')
BUILDERS = ('nih_chestxray14', 'aihub_nodule', 'gmc_nodule', 'vindr_cxr')
HOSPITALS = ('nih', 'aihub', 'gmc', 'vindr')


@dataclasses.dataclass(frozen=True)
class Run:
  """One network to train.

  Attributes:
    name: name of its folder in the study's.
    experiment: the experiment that it belongs to.
    seed: seed of its training.
    sweep: the sweep that it belongs to, or None.
    value: value of the sweep's options, or None.
    config: as `train` takes it, with the shards and the initial network filled in.
  """

  name: str
  experiment: str
  seed: int
  sweep: str | None
  value: float | None
  config: ConfigDict


def runs(config: ConfigDict, folder: epath.Path, shards: dict[str, str]) -> list[Run]:
  """Lists the runs of a study, each after the one that it starts from.

  The runs of the first seed have the experiments' names; other names end in `_seed1` and so on, or
  in the name and value of a sweep. A run that starts from an experiment of the study starts from
  that of its own seed, and a run of a sweep from that of the first seed.

  Args:
    config: the study's.
    folder: the study's workdir.
    shards: folders, by source.

  Raises:
    ValueError: a sweep names an experiment or an option that does not exist.
  """
  return [
    Run(name, experiment, seed, sweep, value, _complete(run_config, config, folder, shards, seed))
    for name, experiment, seed, sweep, value, run_config in _named(config)
  ]


def check(config: ConfigDict) -> None:
  """Checks a study's options before any work is done.

  Raises:
    ValueError: an option of the study or of one of its runs is invalid; the message names it.
  """
  seeds = list(config.seeds)
  if not seeds or len(set(seeds)) < len(seeds) or any(type(seed) is not int for seed in seeds):
    raise OptionError(f'--config.seeds={config.seeds} must be one or more whole numbers, each once')
  if not config.order or not set(config.order) <= set(config.experiments):
    raise OptionError(
      f'--config.order={config.order} must name at least one of {", ".join(config.experiments)}'
    )
  for name, sweep in config.sweeps.items():
    _check_sweep(config, name, sweep)
  for name in sources(config):
    if name not in config.sources:
      raise OptionError(
        f'--config.data.evaluate names the source {name!r}, which is none of '
        f'{", ".join(config.sources)}'
      )
    if not config.data.shards[name]:
      _check_source(name, config.sources[name])
  for run in runs(config, epath.Path(), {}):
    try:
      check_options(run.config)
      _check_start(config, run)
    except ValueError as error:
      raise OptionError(f'{run.name}: {error}') from error


def _check_start(config: ConfigDict, run: Run) -> None:
  """Checks that a run starts from an experiment of the study, the bundled network, or a run."""
  start = config.experiments[run.experiment].get('init', {}).get('checkpoint', '')
  if start and start not in config.order:
    describe_network(start)


def _check_sweep(config: ConfigDict, name: str, sweep: ConfigDict) -> None:
  option = f'--config.sweeps.{name}'
  values = list(sweep['values'])
  numbers = all(type(value) in (int, float) and math.isfinite(value) for value in values)
  if not values or len(set(values)) < len(values) or not numbers:
    raise OptionError(f'{option}.values={sweep["values"]} must be one or more numbers, each once')
  for varied in sweep.options:
    try:
      known = operator.attrgetter(varied)(config)
    except AttributeError:
      known = None
    if type(known) not in (int, float) or varied.split('.')[0] in OWN_OPTIONS:
      raise OptionError(
        f'{option}.options has {varied!r}; each must be an option of configs/default.py that is a '
        "number, such as 'data.noise.wrong_nodule'"
      )


def _check_source(name: str, source: ConfigDict) -> None:
  """Checks a source whose shards are still to be built."""
  option = f'--config.sources.{name}'
  for key, least in (('images', 1), ('image_size', 32), ('seed', 0)):
    if type(source[key]) is not int or source[key] < least:
      raise OptionError(f'{option}.{key}={source[key]} must be a whole number of at least {least}')
  if source.raw and not epath.Path(source.raw).is_dir():
    raise OptionError(f'{option}.raw={source.raw}: there is no such folder')
  for key, known in (('builder', BUILDERS), ('hospital', HOSPITALS)):
    if source[key] not in known:
      raise OptionError(f'{option}.{key}={source[key]} must be one of {", ".join(known)}')


def sources(config: ConfigDict) -> list[str]:
  """Lists the sources that the study trains on or is scored on, each once."""
  trained_on = (config.experiments[name].data.train for name in config.order)
  return list(dict.fromkeys((*trained_on, *config.data.evaluate)))


def describe(planned: list[Run], config: ConfigDict) -> dict[str, Any]:
  """Returns the content of study.json, which describes the runs to the report.

  `unchanged` holds, for each sweep, the values of its options without the sweep.
  """
  return {
    'runs': {
      run.name: {
        'model': run.experiment, 'seed': run.seed, 'sweep': run.sweep, 'value': run.value
      }
      for run in planned
    },
    'sweeps': {
      name: {'options': list(sweep.options), 'unchanged': sweep.unchanged}
      for name, sweep in config.sweeps.items()
    },
  }  # fmt: skip


def _named(
  config: ConfigDict,
) -> Iterator[tuple[str, str, int, str | None, float | None, ConfigDict]]:
  first, *others = config.seeds
  for seed in (first, *others):
    for experiment in config.order:
      name = experiment if seed == first else f'{experiment}_seed{seed}'
      yield name, experiment, seed, None, None, _experiment(config, experiment, ())
  for sweep_name, sweep in config.sweeps.items():
    for experiment in sweep.experiments:
      for value in sweep['values']:
        changes = [_nested(option, value) for option in sweep.options]
        name = re.sub(r'[^A-Za-z0-9_.]', '_', f'{experiment}_{sweep_name}_{value:g}')
        changed = _experiment(config, experiment, changes)
        if sweep.same_steps:
          _keep_steps(changed, value, sweep.unchanged)
        yield name, experiment, first, sweep_name, float(value), changed


def _experiment(
  config: ConfigDict, experiment: str, changes: Sequence[dict[str, Any]]
) -> ConfigDict:
  """Merges the shared options, those of the experiment, and those of the sweep."""
  shared = config.copy_and_resolve_references()
  with shared.unlocked():
    for option in OWN_OPTIONS:
      del shared[option]
  if experiment not in config.experiments:
    raise OptionError(f'config.experiments has no {experiment!r}, which order or a sweep names')
  shared.update(config.experiments[experiment])
  for change in changes:
    shared.update(change)
  return shared


def _keep_steps(config: ConfigDict, radiographs: int, whole: int) -> None:
  """Trains more epochs on fewer radiographs, with the same steps and learning rates."""
  share = (radiographs // config.train.batch_size) / (whole // config.train.batch_size)
  config.train.epochs = round(config.train.epochs / share)
  config.optimizer.drop_epochs = tuple(
    round(epoch / share) for epoch in config.optimizer.drop_epochs
  )


def _complete(
  run_config: ConfigDict, config: ConfigDict, folder: epath.Path, shards: dict[str, str], seed: int
) -> ConfigDict:
  run_config.seed = seed
  run_config.data.cache_dir = run_config.data.cache_dir or str(folder / 'cache')
  run_config.data.shards.update(shards)
  start = run_config.init.checkpoint
  if start in config.order:
    suffix = '' if seed == config.seeds[0] else f'_seed{seed}'
    run_config.init.checkpoint = str(folder / f'{start}{suffix}')
  return run_config


def _nested(option: str, value: Any) -> dict[str, Any]:
  """'data.train_images', 100 -> {'data': {'train_images': 100}}."""
  for name in reversed(option.split('.')):
    value = {name: value}
  return value


def write_description(folder: epath.Path, planned: list[Run], config: ConfigDict) -> None:
  """Writes study.json, unless it exists already with the same content."""
  path = folder / 'study.json'
  text = json.dumps(describe(planned, config), indent=2) + '\n'
  if not path.exists() or path.read_text() != text:
    path.write_text(text)
