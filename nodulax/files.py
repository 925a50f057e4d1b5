"""Files and folders that are whole or not there, whatever happens while they are written."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

# What is being written bears it until it is whole; what a kill left bears it for ever.
UNFINISHED = 'unfinished-'


@contextlib.contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Gives the file to write, beside `path`, which it becomes when it is whole."""
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
  """Gives a folder to write in, beside `path`, which it becomes when it is whole.

  Args:
    path: where nothing is yet, or an empty folder.
    replace: takes the place of what is there.

  Raises:
    OSError: `path` is there with content, and is not to be replaced.
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
  """Removes what killed processes left of a folder that `whole_folder` would write."""
  path = pathlib.Path(path)
  for folder in path.parent.glob(f'{UNFINISHED}{path.name}-*'):
    shutil.rmtree(folder, ignore_errors=True)
