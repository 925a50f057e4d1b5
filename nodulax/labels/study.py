"""The study of wrong labels: trains and scores networks on labels that are wrong on purpose.

The labels of the shards are taken as the truth, and some are made wrong. Each part of the study is
a list of trainings; nodulax/labels/budget.py and robustness.py plan them.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from nodulax import NOTICE, train
from nodulax.distributed import compiling
from nodulax.errors import OptionError
from nodulax.files import whole_file
from nodulax.labels import budget, robustness, study_figures
from nodulax.labels.planned import Training
from nodulax.study import run as study
from nodulax.training import workdir

_Plan = Callable[[ConfigDict, ConfigDict, pathlib.Path], Iterator[Training]]
PARTS: Mapping[str, _Plan] = {
  'budget': budget.plan,
  'losses': robustness.plan_losses,
  'noise': robustness.plan_noise,
}
_DRAW = {
  'budget': study_figures.draw_budget,
  'losses': study_figures.draw_losses,
  'noise': study_figures.draw_noise,
}


def run(config: ConfigDict, folder: str | os.PathLike) -> pathlib.Path:
  """Trains and scores every network of the study, or resumes it.

  The results of each part are written whenever a seed is complete, as PART.json and PART.png.

  Args:
    config: as `configs/data_quality.py` describes it.
    folder: the workdir.

  Returns:
    The folder of the results.

  Raises:
    OptionError: an option is out of range.
    Interrupted, and whatever else `train` raises.
  """
  _check(config)
  claimed = workdir.claim(epath.Path(folder), config, write=True)
  sources = dict.fromkeys((config.data.train, *config.data.evaluate))
  shards = {name: study.prepare(config, claimed, name) for name in sources}
  path = pathlib.Path(claimed)
  rows: dict[str, list[dict[str, Any]]] = {part: [] for part in config.parts}
  for number, seed in enumerate(config.seeds, 1):
    own = _training(config, path, shards, seed)
    of_seed = path / f'seed_{seed}'
    of_seed.mkdir(exist_ok=True)
    trained: dict[str, pathlib.Path] = {}  # by what was changed
    for part in config.parts:
      for training in PARTS[part](config, own, of_seed):
        print(f'Seed {number} of {len(config.seeds)}, {part}: {training.name}')
        changes = json.dumps(training.changes, sort_keys=True)
        run_folder = trained.setdefault(changes, of_seed / f'{part}_{training.name}')
        rows[part] += _score(own, training, run_folder)
    for part in config.parts:
      with whole_file(path / f'{part}.json') as file:
        file.write_text(json.dumps({'notice': NOTICE, 'results': rows[part]}, indent=2) + '\n')
      with whole_file(path / f'{part}.png') as file:
        _DRAW[part](rows[part], file)
  return path


def _check(config: ConfigDict) -> None:
  if unknown := set(config.parts) - set(PARTS):
    raise OptionError(f'--config.parts has {", ".join(unknown)}; it may have {", ".join(PARTS)}')
  if not config.parts or len(set(config.parts)) < len(config.parts):
    raise OptionError(f'--config.parts={config.parts} must name at least one part, each once')
  if not config.seeds or any(type(seed) is not int or seed < 0 for seed in config.seeds):
    raise OptionError(f'--config.seeds={config.seeds} must be whole numbers of at least 0')
  if len(set(config.seeds)) < len(config.seeds):
    raise OptionError(f'--config.seeds={config.seeds} must differ: equal ones train equal networks')
  if not config.data.evaluate:
    raise OptionError('--config.data.evaluate is empty; name the sets to score networks on')
  budget.check(config)
  robustness.check(config)


def _training(
  config: ConfigDict, folder: pathlib.Path, shards: Mapping[str, str], seed: int
) -> ConfigDict:
  """Returns the config of one training with right labels, as `train` takes it."""
  own = config.copy_and_resolve_references()
  with own.unlocked():
    for name in ('parts', 'seeds', 'sources', *PARTS):
      del own[name]
  own.seed = seed
  own.data.cache_dir = own.data.cache_dir or str(folder / 'cache')
  own.data.shards.update(shards)
  return own


def _score(own: ConfigDict, training: Training, folder: pathlib.Path) -> list[dict[str, Any]]:
  """Trains one network and returns its figures, a row for each test set."""
  own = own.copy_and_resolve_references()
  own.name = f'{folder.parent.name} {training.name}'
  own.update_from_flattened_dict(training.changes)
  train.train(own, epath.Path(folder))
  compiling.forget()
  rows = []
  for source in own.data.evaluate:
    metrics = json.loads((folder / 'evaluation' / source / 'metrics.json').read_text())
    figures = {name: (metrics[name] or {}).get('value') for name in ('auc', 'dice')}
    described = dataclasses.asdict(training)
    del described['changes']
    rows.append({'seed': own.seed, **described, 'set': source, **figures})
  return rows
