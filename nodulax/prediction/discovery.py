"""Finds the files to read, from files, folders, glob patterns and lists."""

import csv
import glob
import itertools
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence

from absl import logging

from nodulax.errors import OptionError
from nodulax.radiograph.dicom import is_dicom
from nodulax.radiograph.reading import FORMATS, beginning_of, begins_as_radiograph

# In folders, files with these suffixes are taken whatever they hold.
SUFFIXES = ('.bmp', '.dcm', '.dicom', '.jpeg', '.jpg', '.mha', '.png', '.tif', '.tiff')
# What `predict` writes first into its output: a folder with all of these is an output.
OUTPUT = ('journal.jsonl', 'NOTICE.txt')
# SOP classes without a picture, which folders from an archive hold (PS3.4 B.5): a directory, a
# presentation state, a waveform, raw data, a registration, a segmentation, a report or key objects,
# a document, radiotherapy except its images, and what does not concern patients.
_NO_IMAGES = re.compile(
  rb'1\.2\.840\.10008\.(1\.3\.10$|5\.1\.4\.(3[89]|4[345])\.'
  rb'|5\.1\.4\.1\.1\.(9\.|11\.|30$|66(\.|$)|67$|68\.|88\.|104\.|481\.[3-9]))'
)
# The SOP class in the file's meta information, or else in the data set, explicit and implicit.
_SOP_CLASS = re.compile(
  rb'(?:\x02\0\x02\0UI..|\x08\0\x16\0UI..|\x08\0\x16\0.\0\0\0)([0-9.]+)', re.DOTALL
)
_SEPARATORS = ',;\t'


def radiographs_in(
  paths: Sequence[str], listed: Sequence[str] = (), *, numbered: bool = False
) -> dict[str, pathlib.Path]:
  """The files to read, by their names in the output.

  A file keeps its name; one from a folder, a glob pattern or a list is named by its path from the
  innermost folder that holds them all. Equal names are numbered. In folders, also those behind
  links, everything that looks like a radiograph is taken, except masks that a manifest.csv names,
  DICOM objects without an image, and the output of an earlier prediction. Files that do not exist
  are included, so that reading reports them; one path never stops the others.

  Args:
    paths: files, folders and glob patterns.
    listed: more files and folders.
    numbered: call them 000001, 000002 and so on in this order, so that no file name, which might
      name a patient, reaches the output.

  Raises:
    FileNotFoundError: there is no radiograph.
  """
  found: list[tuple[str, pathlib.Path]] = []
  for text in paths:
    path = pathlib.Path(text)
    if os.path.isdir(path):
      for file in _in_folder(path):
        found.append((path.name if file == path else file.relative_to(path).as_posix(), file))
    elif not os.path.isfile(path) and glob.has_magic(text) and (matching := _matching(text)):
      found += _by_path(matching)
    else:
      found.append((path.name or text, path))
  if listed:
    lines = map(pathlib.Path, listed)
    found += _by_path(
      [file for line in lines for file in (_in_folder(line) if os.path.isdir(line) else [line])]
    )
  if not any(os.path.isfile(path) for _, path in found):  # False too where a name is too long
    shown = ', '.join([*paths, *listed][:3])
    raise FileNotFoundError(f'{shown}: there is no {FORMATS} file; correct the path')
  if numbered:
    return {f'{number:06d}': path for number, (_, path) in enumerate(found, 1)}
  return _uniquely_named(found)


def _by_path(files: Sequence[pathlib.Path]) -> list[tuple[str, pathlib.Path]]:
  """Files with their paths from the innermost folder that holds them all."""
  # Without '..', so that no name leads out of the output.
  whole = [pathlib.Path(os.path.abspath(file)) for file in files]
  common = os.path.commonpath([file.parent for file in whole])
  return [
    (name.relative_to(common).as_posix(), file) for name, file in zip(whole, files, strict=True)
  ]


def _uniquely_named(files: Iterable[tuple[str, pathlib.Path]]) -> dict[str, pathlib.Path]:
  named: dict[str, pathlib.Path] = {}
  for name, path in files:
    # File names that are not text in this system's encoding could not be written to a table.
    name = name.encode('utf-8', 'backslashreplace').decode()
    unique, number = name, 2
    while unique in named:
      unique, number = f'{name} ({number})', number + 1
    named[unique] = path
  return named


def read_list(path: str | os.PathLike) -> list[str]:
  """The files and folders that a list names, one per line; blank lines are skipped.

  Raises:
    OSError: the list cannot be read.
    ValueError: it is not text, or names no file.
  """
  try:
    lines = pathlib.Path(path).read_text(encoding='utf-8-sig').splitlines()
  except UnicodeDecodeError as error:
    raise OptionError(f'{path}: not a list in UTF-8; write one path per line') from error
  named = [line.strip() for line in lines if line.strip()]
  if not named:
    raise OptionError(f'{path}: the list names no file; write one path per line')
  return named


def _matching(pattern: str) -> list[pathlib.Path]:
  """The radiographs that a glob pattern matches, in order."""
  paths = map(pathlib.Path, glob.glob(pattern, recursive=True))
  files = sorted(path for path in paths if not path.is_dir())
  folders = {folder for path in files for folder in path.absolute().parents}
  written = {folder for folder in folders if all((folder / name).exists() for name in OUTPUT)}
  masks = {mask for folder in folders for mask in _masks(folder)}
  kept = [
    path
    for path in files
    if not written & set(path.absolute().parents) and _comparable(path) not in masks
  ]
  return _radiographs(pattern, kept)


def _in_folder(folder: pathlib.Path) -> list[pathlib.Path]:
  """The radiographs below a folder, in order, or the folder itself if there are none."""
  return _radiographs(str(folder), sorted(_walk(folder))) or [folder]


def _walk(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """Every file below a folder, links followed, and each folder that cannot be opened."""
  unreadable: list[pathlib.Path] = []
  seen: set[tuple[int, int]] = set()
  masks: set[str] = set()
  skipped = hidden = 0

  def note(error: OSError) -> None:
    unreadable.append(pathlib.Path(error.filename))

  for here, below, names in os.walk(folder, followlinks=True, onerror=note):
    where = pathlib.Path(here)
    status = where.stat()
    led_back = (status.st_dev, status.st_ino) in seen  # by a link
    seen.add((status.st_dev, status.st_ino))
    is_output = set(OUTPUT) <= set(names)
    if is_output:
      logging.warning('%s: skipped: an earlier prediction wrote it', here)
    if led_back or is_output:
      below.clear()
      continue
    if 'manifest.csv' in names:
      masks |= _masks(where)
    shown = [name for name in below if not name.startswith('.')]
    hidden += len(below) - len(shown)
    below[:] = shown
    for name in names:
      if masks and _comparable(where / name) in masks:
        skipped += 1
      else:
        yield where / name
  yield from unreadable
  if skipped:
    logging.warning('%s: skipped %s masks that manifest.csv names', folder, f'{skipped:,}')
  if hidden:
    logging.warning('%s: skipped %s hidden folders', folder, f'{hidden:,}')


def _masks(folder: pathlib.Path) -> set[str]:
  """The files that the column `mask` of a folder's manifest.csv names, and `image` does not."""
  try:
    with (folder / 'manifest.csv').open(newline='', encoding='utf-8-sig') as file:
      header = file.readline()
      separator = max(_SEPARATORS, key=header.count)
      rows = csv.DictReader(itertools.chain([header], file), delimiter=separator)
      named = [((row.get('image') or '').strip(), (row.get('mask') or '').strip()) for row in rows]
  except (OSError, ValueError, csv.Error):  # another program's manifest, or none
    return set()

  def files(texts: Iterable[str]) -> set[str]:
    return {_comparable(folder / text.replace('\\', '/')) for text in texts if text}

  return files(mask for _, mask in named) - files(image for image, _ in named)


def _comparable(path: pathlib.Path) -> str:
  """A key that is the same however a path is written, also in capitals as on Windows."""
  return os.path.realpath(path).casefold()


def _radiographs(where: str, paths: Sequence[pathlib.Path]) -> list[pathlib.Path]:
  """The radiographs among `paths`; warns how many other files `where` has."""
  # No pipes, which would block. The folders are those that cannot be opened.
  files = [
    path
    for path in paths
    if not path.name.startswith('.') and (path.is_file() or path.is_dir() or not path.exists())
  ]
  images = [path for path in files if _is_radiograph(path)]
  if len(images) < len(files):
    skipped = f'{len(files) - len(images):,} of {len(files):,} files'
    logging.warning('%s: skipped %s: no %s image', where, skipped, FORMATS)
  return images


def _is_radiograph(path: pathlib.Path) -> bool:
  """Whether a file is meant to be a radiograph, by its name or its first bytes."""
  try:
    beginning = beginning_of(path)
  except OSError:
    return True  # so that it is listed as a file that cannot be read
  if is_dicom(beginning) and (sop_class := _SOP_CLASS.search(beginning)):
    return not _NO_IMAGES.match(sop_class[1])
  return path.suffix.lower() in SUFFIXES or begins_as_radiograph(beginning)
