"""The contents of a source's tables about its radiographs, before any image is opened."""

import contextlib
import csv
import dataclasses
import itertools
import math
import os
import pathlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from nodulax.errors import NodulaxError
from nodulax.radiograph.reading import MAX_BYTES, RadiographError
from nodulax.radiograph.record import OLDEST

Label = Literal['nodule', 'normal']

Box = tuple[float, float, float, float]
"""(x_min, y_min, x_max, y_max) in pixels of the stored image, half-open."""


_SEPARATORS = {',': 'commas', ';': 'semicolons', '\t': 'tabs'}


class SourceError(NodulaxError):
  """A source cannot be used at all; the message names the file or key and the remedy."""


class Misfit(Exception):
  """One row or annotation is invalid; the message says what to do."""

  def __init__(self, kind: str, remedy: str):
    super().__init__(remedy)
    self.kind = kind


@dataclasses.dataclass(frozen=True)
class Fault:
  """One thing that is wrong with a source.

  Attributes:
    kind: the kind of fault, in the same words for every fault of its kind.
    where: the row or image, in words without a patient's identifier.
    remedy: what exactly is wrong there, and what to do.
    others: the images that this one resembles.
  """

  kind: str
  where: str
  remedy: str
  others: tuple[str, ...] = ()

  def __str__(self) -> str:
    return f'{self.where}: {self.remedy}'

  def to_json(self) -> dict[str, str]:
    """The fault as a JSON object."""
    return {'kind': self.kind, 'where': self.where, 'remedy': self.remedy}


@dataclasses.dataclass(frozen=True)
class Record:
  """One radiograph as its source's tables describe it.

  Attributes:
    key: the image's name in the tables. It may hold identifiers, and for a hospital's source it is
      never printed or stored.
    name: what every output calls the image; it holds no identifiers.
    path: path of the image; None if it is missing.
    patient: the raw patient identifier; never printed or stored.
    label: label of the whole image.
    boxes: boxes of the located nodules; without a mask file, the mask is an ellipse in each box.
    mask: path of the mask file, which overrides the ellipses; None if there is none.
    sex, age, view, spacing_mm: from the tables; what these leave out comes from the file.
    spacing_size: (width, height) of the image that `spacing_mm` belongs to; None: the stored one.
    boxes_size: (width, height) of the image that `boxes` belong to; None: the stored one. They
      are scaled to a copy of another size.
    diameter_mm: diameter of the largest nodule.
    zone, conspicuity: the source's own words.
    part: the published split that the image belongs to; '' if there is none.
  """

  key: str
  name: str
  path: str | None
  patient: str
  label: Label
  boxes: tuple[Box, ...] = ()
  mask: str | None = None
  sex: str = 'unknown'
  age: float = math.nan
  view: str = 'unknown'
  spacing_mm: tuple[float, float] | None = None
  spacing_size: tuple[int, int] | None = None
  boxes_size: tuple[int, int] | None = None
  diameter_mm: float = math.nan
  zone: str = 'unknown'
  conspicuity: str = 'unknown'
  part: str = ''

  @property
  def located(self) -> bool:
    """Whether the locations of its nodules are known; a normal image has none."""
    return self.label == 'normal' or bool(self.boxes) or self.mask is not None


@dataclasses.dataclass
class Table:
  """The contents of a source's tables.

  Attributes:
    read: counts of what was read, such as 'images'.
    names: what outputs call each image, by its name in the tables.
    records: the radiographs that the study's rules admit.
    excluded: how many rows or images each rule excluded.
    faults: faults of the tables; a faulty row makes no record.
    files: the file behind a name that does not itself identify the file. File names may hold
      identifiers, so they are shown only on the terminal and never stored.
  """

  read: dict[str, int] = dataclasses.field(default_factory=dict)
  names: dict[str, str] = dataclasses.field(default_factory=dict)
  records: list[Record] = dataclasses.field(default_factory=list)
  excluded: dict[str, int] = dataclasses.field(default_factory=dict)
  faults: list[Fault] = dataclasses.field(default_factory=list)
  files: dict[str, str] = dataclasses.field(default_factory=dict)

  def with_files(self, text: str) -> str:
    """Adds its file to each name in a text for the terminal."""

    def with_file(name: re.Match[str]) -> str:
      return f'{name[0]} ({self.files[name[0]]})' if name[0] in self.files else name[0]

    return re.sub(r'\w+ \d+', with_file, text)

  def exclude(self, rule: str) -> None:
    """Counts an image that a rule excludes."""
    self.excluded[rule] = self.excluded.get(rule, 0) + 1


def read_csv(
  path: pathlib.Path,
  required: Sequence[str],
  optional: Sequence[str] = (),
  *,
  faults: list[Fault],
  image: str = '',
) -> Iterator[tuple[int, dict[str, str]]]:
  """Reads a table, all of whose columns must be known.

  Its cells are separated by commas, semicolons or tabs, as spreadsheets write them. Trailing
  separators, which spreadsheets leave, are ignored.

  Args:
    path: path of the table.
    required: columns that the table must have.
    optional: columns that the table may have.
    faults: gets one for each row whose number of cells differs from the header's.
    image: the column that names the image of such a row, if names may be shown.

  Yields:
    (line number in the file, {column: cell without surrounding blanks}) of every other row.

  Raises:
    SourceError: the file is missing, empty, not UTF-8 text or not a CSV table, or it lacks a
      column, has an unknown one, or has one twice.
  """
  if not path.is_file():
    raise SourceError(f'{path.name}: there is no such file in the folder given as --manual_dir')
  # Spreadsheets put a byte order mark before UTF-8.
  with path.open(encoding='utf-8-sig', newline='') as file:
    try:
      first = file.readline()
      separator = _separator(first, {*required, *optional})
      rows = csv.reader(itertools.chain([first], file), delimiter=separator, strict=True)
      header = _without_empty_end(column.strip() for column in next(rows, []))
      _check_columns(path.name, header, required, optional)
      for row in rows:
        cells = _without_empty_end(cell.strip() for cell in row)
        named = dict(itertools.zip_longest(header, cells[: len(header)], fillvalue=''))
        line = f'{path.name} line {rows.line_num}'
        if len(cells) > len(header) or (cells and len(row) < len(header)):
          faults.append(
            Fault(
              'row malformed',
              named.get(image) or line,
              f'{line}: {len(row)} cells under {len(header)} columns; '
              f'put cells that contain {_SEPARATORS[separator]} in double quotes',
            )
          )
        elif cells:
          yield rows.line_num, named
    except UnicodeDecodeError as error:
      raise SourceError(f'{path.name}: not UTF-8 text; save the table as UTF-8 CSV') from error
    except csv.Error as error:
      raise SourceError(f'{path.name}, line {rows.line_num}: not a CSV table: {error}') from error


def _separator(header: str, known: Collection[str]) -> str:
  """The separator of a header's cells: the one that gives the most known columns."""

  def count(separator: str) -> int:
    return len({cell.strip(' \t\r\n"') for cell in header.split(separator)} & set(known))

  return max(_SEPARATORS, key=count)


def _without_empty_end(cells: Iterable[str]) -> list[str]:
  kept = list(cells)
  while kept and not kept[-1]:
    kept.pop()
  return kept


def _check_columns(
  name: str, header: Sequence[str], required: Sequence[str], optional: Sequence[str]
) -> None:
  known = [*required, *optional]
  # Without a header the first line is a patient's data, which a message must not repeat.
  if not set(header) & set(known):
    raise SourceError(
      f'{name}: the first line names none of the columns; it must name {", ".join(required)}'
    )
  problems = {
    'lacks the columns': [column for column in required if column not in header],
    'has unknown columns': [column for column in header if column not in known],
    'has columns twice': sorted({column for column in header if header.count(column) > 1}),
  }
  found = [f'{problem} {", ".join(map(repr, of))}' for problem, of in problems.items() if of]
  if found:
    raise SourceError(
      f'{name}: the table {" and ".join(found)}; its columns may be {", ".join(known)}'
    )


def parse_age(text: str) -> float:
  """Years; NaN if unknown, as are ages beyond 120.

  Raises:
    ValueError: not a number, or negative.
  """
  age = parse_number(text)
  return math.nan if age > OLDEST else age


def parse_number(text: str) -> float:
  """A number; NaN if `text` is empty.

  Raises:
    ValueError: not a number, not finite, or negative.
  """
  if not text:
    return math.nan
  number = decimal(text)
  if not 0 <= number < math.inf:
    raise ValueError
  return number


def decimal(text: str) -> float:
  """The number in `text`, with a decimal point or a decimal comma; else a ValueError."""
  return float(text.replace(',', '.') if re.fullmatch(r'[+-]?\d+,\d+', text) else text)


def four_numbers(row: Mapping[str, str], columns: Sequence[str]) -> Box:
  """The finite numbers in four columns of a row; else a ValueError."""
  with contextlib.suppress(ValueError):
    first, second, third, fourth = numbers = [float(row[column]) for column in columns]
    if all(map(math.isfinite, numbers)):
      return first, second, third, fourth
  raise ValueError('needs four finite numbers')


def parse_length(text: str) -> float:
  """Millimetres, of a pixel or a nodule; NaN if `text` is empty.

  Raises:
    ValueError: not a number, or not from 0.001 to 1000.
  """
  length = parse_number(text)
  if not math.isnan(length) and not 1e-3 <= length <= 1e3:
    raise ValueError(f'{text} is not from 0.001 to 1000 mm')
  return length


def parse_sex(text: str) -> str:
  """'female' for F, 'male' for M, 'unknown' if empty; ValueError for anything else."""
  return _meaning(text, {'F': 'female', 'FEMALE': 'female', 'M': 'male', 'MALE': 'male'})


def parse_view(text: str) -> str:
  """'PA' or 'AP', 'unknown' if empty; ValueError for anything else."""
  return _meaning(text, {'PA': 'PA', 'AP': 'AP'})


def _meaning(text: str, meanings: dict[str, str]) -> str:
  if not text:
    return 'unknown'
  if not isinstance(text, str) or text.upper() not in meanings:  # JSON may hold any type
    raise ValueError
  return meanings[text.upper()]


def files_in(folders: Collection[pathlib.Path]) -> dict[str, str]:
  """The files directly in any of the folders, by name; absent folders hold none.

  Names from tables are looked up here and not joined to a folder, so no name can lead out of it.
  """
  found = {}
  for folder in folders:
    if folder.is_dir():
      with os.scandir(folder) as entries:
        found.update({entry.name: entry.path for entry in entries if entry.is_file()})
  return found


def read_text(path: str | os.PathLike[str], name: str) -> str:
  """The text of a small file that a user wrote; `name` is for messages.

  Raises:
    SourceError: the file is missing, or not text in UTF-8.
  """
  try:
    return pathlib.Path(path).expanduser().read_text('utf-8-sig')
  except OSError as error:
    raise SourceError(f'{name}: {error.strerror}: {path}') from error
  except UnicodeDecodeError as error:
    raise SourceError(f'{name}: not text in UTF-8; save it as UTF-8') from error


def read_file(path: str, name: str) -> bytes:
  """The bytes of a radiograph's or a mask's file; `name` is for messages.

  Raises:
    RadiographError: the file is missing, unreadable or larger than any radiograph.
  """
  file = pathlib.Path(path)
  try:
    if file.stat().st_size > MAX_BYTES:
      raise RadiographError(f'{name}: the file is larger than any radiograph; exclude it')
    return file.read_bytes()
  except OSError as error:
    raise RadiographError(
      f'{name}: {error.strerror}; copy the file again or make it readable'
    ) from None
