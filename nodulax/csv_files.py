"""Reads CSV files from anyone: hostile until checked; an error names the line."""

import csv
import math
import pathlib
import re
from collections.abc import Collection, Sequence

import numpy as np

from nodulax.errors import NodulaxError

MOST_BYTES = 1 << 30
_SHOWN = 60  # characters of a foreign cell that an error repeats


def is_plain(name: str) -> bool:
  """Whether a foreign name is safe in a page, a file name and a spreadsheet."""
  return name.isprintable() and len(name) <= 200 and not re.search(r'[/\\]|^[=+@]', name)


class CsvFile:
  """A CSV file, whose columns are checked as they are read.

  Args:
    path: the file, UTF-8, commas between cells, column names in the first line.
    required: columns that must be there.
    optional: columns that may be there; None allows any.
    error: the exception to raise.

  Raises:
    error: the file does not exist, is too large or not CSV, lacks a required column, has an
      unknown one, or a line has too few or too many cells.
  """

  def __init__(
    self,
    path: pathlib.Path,
    required: Collection[str],
    optional: Collection[str] | None = None,
    error: type[NodulaxError] = NodulaxError,
  ):
    self.path = path
    self._error = error
    numbered = self._read()
    header = [name.strip() for name in numbered[0][1]]
    if repeated := {name for name in header if header.count(name) > 1}:
      raise self._error(f'{path}: a column appears twice: {", ".join(sorted(repeated))}')
    if missing := [name for name in required if name not in header]:
      raise self._error(
        f'{path}: the column {", ".join(missing)} is missing; the first line must name the '
        f'columns, and reads {",".join(header)[:_SHOWN]!r}'
      )
    if optional is not None and (unknown := set(header) - {*required, *optional}):
      raise self._error(
        f'{path}: unknown columns: {", ".join(sorted(unknown))[:_SHOWN]}; allowed are '
        f'{", ".join([*required, *optional])}'
      )
    self.columns = tuple(header)
    self.lines = [line for line, _ in numbered[1:]]
    for line, cells in numbered[1:]:
      if len(cells) != len(header):
        raise self.fault(line, f'{len(cells)} cells for {len(header)} columns')
    self._cells = {
      name: [cells[index].strip() for _, cells in numbered[1:]] for index, name in enumerate(header)
    }

  def __len__(self) -> int:
    return len(self.lines)

  def text(self, column: str, *, empty: str | None = None) -> list[str]:
    """Returns the column, with `empty` for an empty cell and for all of a missing column.

    Raises:
      error: a cell is empty where `empty` is None.
    """
    if column not in self.columns:
      return [empty or ''] * len(self)
    cells = self._cells[column]
    if empty is None:
      for line, cell in zip(self.lines, cells, strict=True):
        if not cell:
          raise self.fault(line, f'{column} is empty; every line needs one')
    return [cell or empty or '' for cell in cells]

  def choice(self, column: str, allowed: Sequence[str], *, empty: str | None = None) -> list[str]:
    """Returns `text`, of which every cell must be among `allowed`."""
    values = self.text(column, empty=empty)
    for line, value in zip(self.lines, values, strict=True):
      if column in self.columns and value not in (*allowed, empty):
        raise self.fault(line, f'{column} is {value[:_SHOWN]!r}; it must be {" or ".join(allowed)}')
    return values

  def numbers(self, column: str, low: float, high: float, *, required: bool = False) -> np.ndarray:
    """Returns the column as f64[lines]; NaN where a cell is empty or the column is missing.

    Raises:
      error: a cell is not a number from `low` to `high`, or is empty although `required`.
    """
    numbers = np.full(len(self), np.nan)
    for index, cell in enumerate(self._cells.get(column, ())):
      if not cell and not required:
        continue
      try:
        numbers[index] = float(cell)
      except ValueError:
        numbers[index] = np.nan
      if not low <= numbers[index] <= high:
        wanted = 'a number' if math.isinf(high) else f'a number from {low:g} to {high:g}'
        raise self.fault(self.lines[index], f'{column} is {cell[:_SHOWN]!r}; it must be {wanted}')
    return numbers

  def fault(self, line: int, problem: str) -> NodulaxError:
    """Returns an error that names file and line."""
    return self._error(f'{self.path}, line {line}: {problem}')

  def _read(self) -> list[tuple[int, list[str]]]:
    """Returns the lines that are not blank, with their numbers."""
    try:
      if self.path.stat().st_size > MOST_BYTES:
        raise self._error(f'{self.path}: larger than {MOST_BYTES >> 30} GiB; is it a table?')
      with self.path.open(encoding='utf-8-sig', newline='') as file:
        reader = csv.reader(file, strict=True)
        numbered = [(reader.line_num, cells) for cells in reader if cells]
    except FileNotFoundError as error:
      raise self._error(f'{self.path}: there is no such file') from error
    except (csv.Error, UnicodeDecodeError) as error:
      raise self._error(f'{self.path}: not a CSV file in UTF-8: {error}') from error
    if not numbered:
      raise self._error(f'{self.path}: the file is empty')
    return numbered
