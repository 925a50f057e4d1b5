"""Reads CSV files that anyone may have written: hostile until checked; a fault has its line."""

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
  """The cells of a CSV file, and its columns as what they should be.

  Args:
    path: of the file; UTF-8, commas between cells, the first line names the columns.
    required: columns that must be there.
    optional: columns that may be there; None allows any.
    error: what a fault is raised as.

  Raises:
    error: there is no such file, it is too large or no CSV, a required column is missing, an
      unknown one is there, or a line has too few or too many cells.
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
    """The column, with `empty` for an empty cell; of a column that is not there, so many `empty`.

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
    """`text`, where every cell must be among `allowed`."""
    values = self.text(column, empty=empty)
    for line, value in zip(self.lines, values, strict=True):
      if column in self.columns and value not in (*allowed, empty):
        raise self.fault(line, f'{column} is {value[:_SHOWN]!r}; it must be {" or ".join(allowed)}')
    return values

  def numbers(self, column: str, low: float, high: float, *, required: bool = False) -> np.ndarray:
    """The column as f64[lines]; NaN where a cell is empty or the column is not there.

    Raises:
      error: a cell is no number from `low` to `high`, or is empty where `required`.
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
    """An error that says where it is."""
    return self._error(f'{self.path}, line {line}: {problem}')

  def _read(self) -> list[tuple[int, list[str]]]:
    """The lines that are not blank, with their numbers."""
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
