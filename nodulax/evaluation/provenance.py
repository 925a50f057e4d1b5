"""Records which code, config and data an evaluation comes from."""

import hashlib
import importlib.metadata
import json
import pathlib
from typing import Any

from etils import epath

_BLOCK = 1 << 20  # bytes


def provenance(run: epath.PathLike, shards: epath.Path, split: str) -> dict[str, Any]:
  """Returns what a reviewer needs to identify the code, config and data behind a number.

  Args:
    run: the workdir of the training run.
    shards: the folder of the shard set.
    split: the split that was evaluated.

  Returns:
    JSON: `code_version`; `config`, the run's without its data folders, None if missing;
    `data_sha256`, the hash of the split's files; `simulated`, whether the radiographs are from a
    virtual hospital.
  """
  return {
    'code_version': code_version(),
    'config': _config(epath.Path(run) / 'config.json'),
    'data_sha256': _sha256(sorted(shards.glob(f'*-{split}.array_record-*'))),
    'simulated': bool(cohort(shards).get('simulated')),
  }


def cohort(shards: epath.Path) -> dict[str, Any]:
  """Returns the builder's cohort table, {} if there is none.

  Excluded images are counted but not named: a hospital's file names may name patients.
  """
  path = shards / 'cohort.json'
  if not path.exists():
    return {}
  table = json.loads(path.read_text())
  left_out = {reason: len(images) for reason, images in table.get('left_out', {}).items()}
  return {**table, 'left_out': left_out}


def code_version() -> str:
  """Returns the version and a fingerprint of the source, which changes with any edit."""
  package = pathlib.Path(__file__).parents[1]
  fingerprint = _sha256([epath.Path(path) for path in sorted(package.rglob('*.py'))])[:12]
  try:
    version = importlib.metadata.version('nodulax')
  except importlib.metadata.PackageNotFoundError:
    version = 'not installed'
  return f'{version}, source {fingerprint}'


def _config(path: epath.Path) -> dict[str, Any] | None:
  if not path.exists():
    return None
  config = json.loads(path.read_text())
  # A path can hold a patient's or a user's name, so only its last part is recorded.
  config['init'] = {
    name: pathlib.PurePath(value).name if isinstance(value, str) else value
    for name, value in config['init'].items()
  }
  config['data'] = {
    name: value
    for name, value in config['data'].items()
    if name not in ('shards', 'cache_dir', 'labels')
  }
  return config


def _sha256(paths: list[epath.Path]) -> str:
  digest = hashlib.sha256()
  for path in paths:
    with path.open('rb') as file:
      while block := file.read(_BLOCK):
        digest.update(block)
  return digest.hexdigest()
