"""A run's folder: which config it belongs to, and its logs after an interruption."""

import json
import os
from collections.abc import Iterator
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from nodulax import NOTICE
from nodulax.errors import NodulaxError

# Options that change only where or how fast a run works: they may differ between two starts.
FREE = (
  'name',
  'data.evaluate',
  'data.cache_dir',
  'data.worker_processes',
  'train.devices',
  'train.log_every',
  'train.checkpoint_minutes',
  'train.pictures',
  'evaluation.',
  'order',  # of a study: finished runs are recognised, new ones added
  'seeds',
  'parts',
  'sweeps.',
)


# What a run makes (the first), and what a study makes.
MADE = ('checkpoints/latest/*', 'raw', 'shards')


class WorkdirError(NodulaxError):
  """A workdir holds the run of another config; the message lists the options that differ."""


def claim(workdir: epath.PathLike, config: ConfigDict, write: bool = True) -> epath.Path:
  """Makes a run's folder, or checks that it belongs to this config.

  A folder without results may be claimed with any config: its first start failed, and the next may
  have fixed the error.

  Args:
    workdir: the folder.
    config: config of the run.
    write: False on all hosts but one.

  Raises:
    WorkdirError: the folder holds the run of another config.
  """
  workdir = epath.Path(workdir)
  workdir.mkdir(parents=True, exist_ok=True)
  saved = workdir / 'config.json'
  mine = _portable(json.loads(config.to_json()), workdir)
  if saved.exists() and any(made for name in MADE for made in workdir.glob(name)):
    theirs = dict(_options(_portable(json.loads(saved.read_text()), workdir)))
    ours = dict(_options(mine))
    differing = [
      f'  {option}: {theirs.get(option)!r} there, {ours.get(option)!r} now'
      for option in sorted(theirs.keys() | ours.keys())
      if theirs.get(option) != ours.get(option) and not _is_free(option, ours)
    ]
    if differing:
      raise WorkdirError(
        f'{workdir} holds the run of another config; choose another --workdir, or repeat its '
        'config:\n' + '\n'.join(differing)
      )
  if write:
    _replace(saved, json.dumps(mine, indent=2).encode())
    _replace(workdir / 'NOTICE.txt', (NOTICE + '\n').encode())
  return workdir


def claim_data(
  workdir: epath.Path, data: dict[str, Any], write: bool = True, name: str = 'data.json'
) -> None:
  """Records the data that a run learns from, or checks them against the record.

  Args:
    workdir: folder of the run, claimed with its config.
    data: what identifies the data, as JSON.
    write: False on all hosts but one.
    name: file name of the record.

  Raises:
    WorkdirError: the run began with other data.
  """
  saved = workdir / name
  if saved.exists() and any(workdir.glob(MADE[0])):
    theirs = json.loads(saved.read_text())
    if theirs != data:
      raise WorkdirError(
        f'{workdir} began with other data: {json.dumps(theirs)} there, {json.dumps(data)} now. '
        'Choose another --workdir, or use the shards that it began with'
      )
  elif write:
    _replace(saved, json.dumps(data, indent=2).encode())


def _portable(config: dict[str, Any], workdir: epath.Path) -> dict[str, Any]:
  """Makes paths beside the workdir, or in its study, relative, since all may move together."""
  here = workdir.resolve()
  study = next(
    (folder for folder in here.parents if (folder / 'config.json').exists()), here.parent
  )
  data = config.get('data', {})
  for paths, options in (
    (data.get('shards', {}), data.get('shards', {})),
    (data, ('labels',)),
    (config.get('init', {}), config.get('init', {})),
  ):
    for option in options:
      given = paths.get(option)
      if given and '://' not in given and not given.startswith('../'):  # already relative
        whole = epath.Path(given).resolve()
        if whole.is_relative_to(study):
          paths[option] = os.path.relpath(whole, here)
  return config


def _replace(path: epath.Path, content: bytes) -> None:
  """Replaces a file at once, so that it is never half written."""
  unfinished = path.with_name(path.name + '.unfinished')
  unfinished.write_bytes(content)
  unfinished.replace(path)


def _is_free(option: str, config: dict[str, Any]) -> bool:
  """Whether an option may change between two starts.

  Shards other than those to train on are only evaluated. A study leaves its shards to its runs,
  whose workdirs check them again.
  """
  if option.startswith('data.shards.'):
    return 'order' in config or option != f'data.shards.{config["data.train"]}'
  return option.startswith(FREE)


def _options(config: Any, prefix: str = '') -> Iterator[tuple[str, Any]]:
  """('optimizer.learning_rate', 1e-4) and so on."""
  for name, value in config.items():
    if isinstance(value, dict):
      yield from _options(value, f'{prefix}{name}.')
    else:
      yield prefix + name, value


def log_sizes(workdir: epath.Path) -> dict[str, int]:
  """The length in bytes of each log file, to be saved with a checkpoint."""
  return {path.name: path.stat().length for path in _logs(workdir)}


def cut_back_logs(workdir: epath.Path, sizes: dict[str, int]) -> None:
  """Removes what was logged after a checkpoint, since it will be done and logged again."""
  for path in _logs(workdir):
    if path.name not in sizes:
      path.unlink()
    elif path.stat().length > sizes[path.name]:
      _replace(path, path.read_bytes()[: sizes[path.name]])


def _logs(workdir: epath.Path) -> list[epath.Path]:
  return [*workdir.glob('events.out.tfevents.*'), *workdir.glob('metrics.jsonl')]
