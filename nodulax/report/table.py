"""A table: its files, and how numbers are shown."""

import dataclasses
import math
import pathlib
import re

import pandas as pd

FEW = 25  # radiographs of a class below which an interval is too narrow
FEW_NOTE = f'† From fewer than {FEW} radiographs of a class: the interval is too narrow.'
# The counts of radiographs behind the interval of each measure.
_COUNTS = {
  'auc': ('nodule', 'normal'),
  'auc_difference': ('nodule', 'normal'),
  'dice': ('dice_images',),
  'dice_difference': ('dice_images',),
  'mean_sensitivity': ('located',),
  'jafroc': ('located', 'normal'),
}
UNKNOWN = '–'
# '0.91', '<0.001', '0.91 (0.88–0.93)', '0.86–0.90', '−0.02 to 0.03', '45% (12)'.
_NUMBER = re.compile(r'[<−+]?\d[\d.,]*( ?%)?( \(| to [−+]?\d[\d.,]*$|–\d|†|, P |$)')
_LATEX = {'–': '--', '†': r'\textsuperscript{\dag}', '<': '$<$', '−': '$-$'}


@dataclasses.dataclass(frozen=True)
class Table:
  """A table of the report.

  Attributes:
    key: stem of its files.
    title: shown above it.
    numbers: every number in full, one row each; becomes CSV and JSON.
    shown: the same for people; becomes HTML and LaTeX.
    note: shown below it.
    grouped: whether rows with the same first cell belong together, and must not be sorted apart.
    first: how many rows the page shows; the files have all.
  """

  key: str
  title: str
  numbers: pd.DataFrame
  shown: pd.DataFrame
  note: str = ''
  grouped: bool = False
  first: int = 1000

  @property
  def left_out(self) -> int:
    """How many rows the page does not show."""
    return max(0, len(self.shown) - self.first)

  @property
  def numeric(self) -> list[bool]:
    """Which columns hold numbers, with a few words at most, to be aligned at the right."""

    def mostly(cells: pd.Series) -> bool:
      known = cells[cells != UNKNOWN]
      return len(known) > 0 and known.map(is_number).mean() > 0.5

    return [mostly(self.shown[column]) for column in self.shown]

  def groups(self) -> list[tuple[str, int, list[list[str]]]]:
    """The rows by their first cell: that cell, how many rows it spans, and their other cells."""
    groups: list[tuple[str, int, list[list[str]]]] = []
    for first, *rest in self.shown[: self.first].itertuples(index=False):
      if self.grouped and groups and groups[-1][0] == first:
        groups[-1] = (first, groups[-1][1] + 1, [*groups[-1][2], rest])
      else:
        groups.append((first, 1, [rest]))
    return groups

  def write(self, folder: pathlib.Path) -> None:
    """Writes key.csv and key.tex."""
    self.numbers.to_csv(folder / f'{self.key}.csv', index=False)
    shown = self.shown.copy()
    if self.grouped:
      shown.iloc[:, 0] = shown.iloc[:, 0].mask(shown.iloc[:, 0].eq(shown.iloc[:, 0].shift()), '')
    widths = [shown[column].str.len().max() for column in shown]
    formats = [
      'r' if numeric else 'p{6cm}' if width > 40 else 'l'
      for numeric, width in zip(self.numeric, widths, strict=True)
    ]
    latex = shown.to_latex(
      index=False,
      escape=True,
      longtable=True,
      caption=self.title.partition('. ')[2],
      column_format=''.join(formats),
    )
    for character, command in _LATEX.items():
      latex = latex.replace(character, command)
    note = ''.join(f'% {line}\n' for line in ('Needs booktabs and longtable.', self.note) if line)
    (folder / f'{self.key}.tex').write_text(note + latex, 'utf-8')


def is_number(cell: str) -> bool:
  """Whether a cell holds a number, with or without its interval, and must not be broken."""
  return _NUMBER.match(cell) is not None


def estimate(row: pd.Series, name: str, digits: int = 2) -> str:
  """'0.91 (0.88–0.93)', marked where the interval comes from few radiographs."""
  value, low, high = (row[name + suffix] for suffix in ('', '_low', '_high'))
  if math.isnan(value):
    return UNKNOWN
  if math.isnan(low) or math.isnan(high):
    return f'{decimals(value, digits)} (–)'
  few = any(row[count] < FEW for count in _COUNTS.get(name, ()))
  interval = f'{decimals(low, digits)}–{decimals(high, digits)}'
  if low < 0:
    interval = f'{decimals(low, digits)} to {decimals(high, digits)}'
  return f'{decimals(value, digits)} ({interval}){"†" if few else ""}'


def decimals(value: float, digits: int = 2) -> str:
  """Formats a number with this many decimals and a true minus sign; zero has no sign."""
  return UNKNOWN if math.isnan(value) else f'{value:z.{digits}f}'.replace('-', '−')


def signed(value: float, digits: int = 3) -> str:
  """Formats a difference: '+0.031' or '−0.004'."""
  return f'+{decimals(value, digits)}' if value > 0 else decimals(value, digits)


def p_value(value: float) -> str:
  if math.isnan(value):
    return UNKNOWN
  return '<0.001' if value < 0.001 else f'{value:.3f}' if value < 0.1 else f'{value:.2f}'


def count(value: float) -> str:
  return UNKNOWN if math.isnan(value) else f'{value:,.0f}'
