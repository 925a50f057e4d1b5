"""Writes files and folders whole or not at all, whatever happens meanwhile."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

# Prefix of what is being written; it stays on what a killed process leaves.
UNFINISHED = 'unfinished-'


@contextlib.contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields a file to write, beside `path`, and renames it to `path` when it is whole."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  unfinished = path.with_name(UNFINISHED + path.name)
  try:
    yield unfinished
    unfinished.replace(path)
  finally:
    unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: str | os.PathLike, *, replace: bool = False) -> Iterator[pathlib.Path]:
  """Yields a folder to write in, beside `path`, and renames it to `path` when it is whole.

  Args:
    path: path that does not exist, or of an empty folder.
    replace: whether to replace what is there.

  Raises:
    OSError: `path` has content, and is not to be replaced.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  # A name of its own, because several processes may do the same work.
  unfinished = pathlib.Path(tempfile.mkdtemp(prefix=f'{UNFINISHED}{path.name}-', dir=path.parent))
  try:
    yield unfinished
    unfinished.chmod(0o755)
    if replace and path.exists():
      shutil.rmtree(path)
    os.replace(unfinished, path)
  finally:
    shutil.rmtree(unfinished, ignore_errors=True)


def remove_leftovers(path: str | os.PathLike) -> None:
  """Removes what killed processes left while `whole_folder` wrote `path`."""
  path = pathlib.Path(path)
  for folder in path.parent.glob(f'{UNFINISHED}{path.name}-*'):
    shutil.rmtree(folder, ignore_errors=True)
