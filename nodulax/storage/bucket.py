"""Access to buckets for `folders`: many files at once, retries, and one error for all libraries."""

import json
import pathlib
import re
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fsspec

from nodulax.errors import missing_extra

MANIFEST = 'files.json'
PAUSES = (1, 10, 60)  # seconds before sending is tried again


class StorageError(OSError):
  """Object storage cannot be read or written; the message names the address and what to do."""


def send(
  address: str,
  copy: pathlib.Path,
  changed: Sequence[str],
  files: dict[str, str],
  gone: Iterable[str] = (),
) -> None:
  """Sends changed files, then the manifest, then removes what it no longer names."""
  system, root = connect(address)
  manifest = json.dumps(files, indent=0).encode()

  def send() -> None:
    each(address, lambda name: system.put_file(str(copy / name), f'{root}/{name}'), changed)
    attempt(address, system.pipe_file, f'{root}/{MANIFEST}', manifest)

  for pause in PAUSES:
    try:
      send()
      break
    except StorageError as error:
      if isinstance(error.__cause__, PermissionError):
        raise
      time.sleep(pause)
  else:
    send()
  for name in gone:
    attempt(address, _remove, system, f'{root}/{name}')


def _remove(system: Any, path: str) -> None:
  if system.exists(path):
    system.rm_file(path)


def each(address: str, work: Callable[[str], None], names: Sequence[str]) -> None:
  with ThreadPoolExecutor(8) as threads:
    attempt(address, lambda: list(threads.map(work, names)))


def attempt(address: str, work: Callable, *arguments: Any) -> Any:
  """Does `work`, and turns the errors of all libraries into one."""
  try:
    return work(*arguments)
  except StorageError:
    raise
  except Exception as error:
    reason = str(error).split('\n')[0] or type(error).__name__
    raise StorageError(f'{address}: object storage refuses: {reason}') from error


def connect(address: str) -> tuple[Any, str]:
  scheme = address.split(':')[0]
  try:
    system, root = fsspec.core.url_to_fs(address)
  except ImportError as error:
    extra = 'gcs' if scheme == 'gs' else scheme
    raise StorageError(missing_extra(f'{address}: {scheme}://', extra, error)) from error
  system.invalidate_cache()
  return system, root


def read_manifest(system: Any, root: str) -> dict[str, str] | None:
  """The files that belong to a published folder; None if nodulax did not publish it."""
  try:
    files = json.loads(system.cat_file(f'{root}/{MANIFEST}'))
  except FileNotFoundError:
    return None
  if not isinstance(files, dict) or not all(
    isinstance(version, str) and re.fullmatch(r'\d+-\d+', version) for version in files.values()
  ):
    raise ValueError(f'{MANIFEST} is damaged; remove it and the folder is read as it is')
  return files


def list_files(system: Any, root: str) -> dict[str, str]:
  """Every file of a folder, with the version of its content."""

  def version(entry: dict[str, Any]) -> str:
    return str(entry.get('ETag') or entry.get('etag') or entry.get('generation') or entry['size'])

  found = system.find(root, detail=True)
  return {name[len(root) + 1 :]: version(entry) for name, entry in found.items() if name != root}
