"""Folders in object storage, gs:// and s3://: worked on as copies on this machine's disk.

A bucket cannot rename, append or read at random places, as checkpoints, logs and shards require. So
what is read is copied here first (`fetch`), and a folder to write is copied here (`check_out`) and
sent back (`publish`) at each checkpoint. FOLDER/files.json, sent last, names the files that belong
together: if a machine is lost while it sends, the folder stays as it was the time before. On paths
on disk all of this does nothing.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from etils import epath

from nodulax.files import UNFINISHED
from nodulax.storage import bucket
from nodulax.storage.bucket import StorageError

SCHEMES = ('gs', 's3')
# Half-written files, and raw/ and cache/ of a study: large, and made again from the config's seeds.
NOT_PUBLISHED = ('raw', 'cache', UNFINISHED)


def is_remote(folder: epath.PathLike) -> bool:
  return os.fspath(folder).startswith(tuple(f'{scheme}://' for scheme in SCHEMES))


def fetch(folder: epath.PathLike, only: Sequence[str] = ()) -> epath.Path:
  """Returns a folder to read: itself if it is on disk, else a copy brought up to date.

  Args:
    folder: a path, or an address in object storage.
    only: the files and folders in it that are needed, or patterns of files; empty for all.

  Raises:
    StorageError: nothing is there, or it cannot be read.
  """
  if not is_remote(folder):
    return epath.Path(folder)
  copy = _copy(folder, 'read')
  if not _bring(_address(folder), copy, only):
    raise StorageError(f'{folder}: there is nothing here')
  return epath.Path(copy)


def fetch_file(file: epath.PathLike) -> epath.Path:
  """Returns a file to read: itself if it is on disk, else a fresh copy of the same name.

  Raises:
    StorageError: it cannot be read.
  """
  if not is_remote(file):
    return epath.Path(file)
  copy = _copy(file, 'read')
  copy.parent.mkdir(parents=True, exist_ok=True)
  arriving = copy.with_name(f'{UNFINISHED}{os.getpid()}-{copy.name}')
  system, path = bucket.connect(_address(file))
  bucket.attempt(_address(file), system.get_file, path, str(arriving))
  os.replace(arriving, copy)
  return epath.Path(copy)


@contextlib.contextmanager
def file_to_send(file: epath.PathLike) -> Iterator[pathlib.Path]:
  """Yields a file to write: itself if it is on disk, else one that is sent once it is written.

  Raises:
    StorageError: it cannot be sent.
  """
  if not is_remote(file):
    yield pathlib.Path(file)
    return
  address = _address(file)
  with tempfile.TemporaryDirectory() as folder:
    leaving = pathlib.Path(folder) / address.split('/')[-1]
    yield leaving
    system, path = bucket.connect(address)
    bucket.attempt(address, system.put_file, str(leaving), path)


def check_out(folder: epath.PathLike) -> epath.Path:
  """Returns a folder to work in: itself if it is on disk, else a copy that `publish` sends back.

  The copy equals object storage: what an earlier run on this machine did not send is lost.

  Raises:
    StorageError: it cannot be read or written, or another process here is using it.
  """
  if not is_remote(folder):
    return epath.Path(folder)
  copy = _copy(folder, 'work')
  copy.parent.mkdir(parents=True, exist_ok=True)
  lock = os.open(_beside(copy, '.lock'), os.O_CREAT | os.O_RDWR, 0o600)
  try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this process ends
  except BlockingIOError:
    os.close(lock)
    raise StorageError(f'{folder}: another process on this machine is using it') from None
  if not _bring(_address(folder), copy, ()):
    bucket.send(_address(folder), copy, [], {})  # fails at once if it may not write
    _write_record(copy, {})
  return epath.Path(copy)


def is_copy(folder: epath.PathLike) -> bool:
  """Whether a folder lies in one that `check_out` made."""
  return _checked_out(folder) is not None


def publish(folder: epath.PathLike) -> None:
  """Sends what changed in a folder's checked-out copy; does nothing for any other folder.

  Raises:
    StorageError: it cannot be written, after several tries; the copy stays.
  """
  copy = _checked_out(folder)
  if copy is None:
    return
  before = _read_record(copy)
  after = {
    path.relative_to(copy).as_posix(): _version(path)
    for path in sorted(copy.rglob('*'))
    if path.is_file() and not _is_left_out(path.relative_to(copy).parts)
  }
  changed = [name for name in after if before.get(name) != after[name]]
  gone = before.keys() - after.keys()
  if changed or gone:
    bucket.send(_address_of(copy), copy, changed, after, gone)
    _write_record(copy, after)


def _bring(address: str, copy: pathlib.Path, only: Sequence[str]) -> bool:
  """Updates `copy` from object storage, as far as `only` names it; returns whether there is any."""

  def needed(name: str) -> bool:
    return not only or any(fnmatchcase(name, p) or name.startswith(f'{p}/') for p in only)

  def present(name: str, version: str) -> bool:
    path = copy / name
    return (
      path.is_file()
      and version == known.get(name)
      and (listed is None or version == _version(path))
    )

  def bring_one(name: str) -> None:
    path = copy / name
    path.parent.mkdir(parents=True, exist_ok=True)
    arriving = path.with_name(f'{UNFINISHED}{os.getpid()}-{path.name}')
    system.get_file(f'{root}/{name}', str(arriving))
    if listed is not None:
      modified = int(listed[name].split('-')[1])
      os.utime(arriving, ns=(modified, modified))
    os.replace(arriving, path)

  system, root = bucket.connect(address)
  known = _read_record(copy)
  listed = bucket.attempt(address, bucket.read_manifest, system, root)
  there = listed if listed is not None else bucket.attempt(address, bucket.list_files, system, root)
  for name in there:
    if pathlib.PurePosixPath(name).is_absolute() or '..' in name.split('/'):
      raise StorageError(f'{address}/{bucket.MANIFEST}: names a file outside the folder: {name!r}')
  wanted = {name: version for name, version in there.items() if needed(name)}
  bucket.each(address, bring_one, [n for n, version in wanted.items() if not present(n, version)])
  for path in [path for path in copy.rglob('*') if path.is_file()]:
    name = path.relative_to(copy).as_posix()
    if needed(name) and name not in wanted and not _is_left_out(path.relative_to(copy).parts):
      path.unlink()
  folders = [path for path in (copy, *copy.rglob('*')) if path.is_dir()]
  for folder in sorted(folders, reverse=True):
    if not any(folder.iterdir()):  # an empty folder can look like a finished checkpoint
      folder.rmdir()
  kept = {name: version for name, version in known.items() if not needed(name)}
  _write_record(copy, {**kept, **wanted})
  return listed is not None or bool(there)


def _address(folder: epath.PathLike) -> str:
  return os.fspath(folder).rstrip('/')


def home() -> pathlib.Path:
  """The folder of what nodulax keeps between calls; all of it can be made or fetched again."""
  cache = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return pathlib.Path(cache).expanduser().absolute() / 'nodulax'


def _copy(folder: epath.PathLike, use: str) -> pathlib.Path:
  """The path of a folder's copy; only its owner can read it, as hospital images require."""
  (home() / use).mkdir(parents=True, exist_ok=True, mode=0o700)  # home() may be there already
  scheme, path = _address(folder).split('://')
  if '..' in path.split('/'):
    raise StorageError(f'{folder}: not an address')
  return home() / use / scheme / path


def _checked_out(folder: epath.PathLike) -> pathlib.Path | None:
  if is_remote(folder):
    return None
  path, work = pathlib.Path(folder).absolute(), home() / 'work'
  if not path.is_relative_to(work):
    return None
  inside = (path, *path.parents)
  return next((copy for copy in inside if _beside(copy, '.lock').exists()), None)


def _address_of(copy: pathlib.Path) -> str:
  scheme, *path = copy.relative_to(home() / 'work').parts
  return f'{scheme}://{"/".join(path)}'


def _beside(copy: pathlib.Path, suffix: str) -> pathlib.Path:
  return copy.with_name(copy.name + suffix)


def _read_record(copy: pathlib.Path) -> dict[str, str]:
  """The versions of the files that `copy` shares with object storage."""
  record = _beside(copy, '.files.json')
  return json.loads(record.read_text()) if record.exists() else {}


def _write_record(copy: pathlib.Path, files: dict[str, str]) -> None:
  record = _beside(copy, '.files.json')
  record.parent.mkdir(parents=True, exist_ok=True)
  arriving = record.with_name(f'{UNFINISHED}{os.getpid()}-{record.name}')
  arriving.write_text(json.dumps(files))
  os.replace(arriving, record)


def _version(path: pathlib.Path) -> str:
  state = path.stat()
  return f'{state.st_size}-{state.st_mtime_ns}'


def _is_left_out(parts: Sequence[str]) -> bool:
  return parts[0] in NOT_PUBLISHED or any(part.startswith(UNFINISHED) for part in parts)
