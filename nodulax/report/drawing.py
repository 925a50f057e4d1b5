"""What all figures share: how they look, their files, and panels by set.

The colours are distinct to the colour-blind, and lines also differ in their dashes.
"""

import base64
import dataclasses
import io
import math
import pathlib
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodulax.report import paper
from nodulax.report.results import Evaluation, Results
from nodulax.report.table import decimals

# Okabe and Ito's colours, the dark ones first, on white.
COLOURS = ('#0072B2', '#D55E00', '#007A5A', '#A34F83', '#7A5C00', '#2A7FA8', '#444444')
DASHES = ('-', '--', '-.', ':', (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
STYLE: dict[Any, Any] = {
  'font.size': 9,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.titlesize': 10,
  'axes.titleweight': 'bold',
  'axes.titlelocation': 'left',
  'legend.frameon': False,
  'legend.fontsize': 8,
  'figure.constrained_layout.use': True,
  'svg.hashsalt': 'nodulax',
  'text.parse_math': False,
  'path.simplify_threshold': 0.5,
}
PNG_DPI, PAGE_DPI = 200, 108


@dataclasses.dataclass(frozen=True)
class Picture:
  """A figure of the report.

  Attributes:
    key: stem of its file names, without its number, which depends on the other figures.
    title: shown above it.
    caption: how to read it.
    alternative: what it shows, in words, for those who cannot see it.
    width: in pixels, on a page.
    svg: the figure; None where it came as a PNG.
    png: the same for slides.
  """

  key: str
  title: str
  caption: str
  alternative: str
  width: int
  svg: bytes | None
  png: bytes

  @property
  def url(self) -> str:
    """The figure as a data URL."""
    kind, data = ('png', self.png) if self.svg is None else ('svg+xml', self.svg)
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'

  def write(self, folder: pathlib.Path) -> None:
    """Writes key.svg, where there is one, and key.png."""
    if self.svg is not None:
      (folder / f'{self.key}.svg').write_bytes(self.svg)
    (folder / f'{self.key}.png').write_bytes(self.png)


def finish(figure: Figure, key: str, title: str, caption: str, alternative: str) -> Picture:
  """Draws a figure into its files' bytes."""
  svg, png = io.BytesIO(), io.BytesIO()
  with mpl.rc_context(STYLE):
    figure.savefig(svg, format='svg', metadata={'Date': None})
    figure.set_layout_engine('none')  # keeps the layout, which takes as long as the drawing
    figure.savefig(png, format='png', dpi=PNG_DPI)
  width = round(figure.get_figwidth() * PAGE_DPI)
  return Picture(key, title, caption, alternative, width, svg.getvalue(), png.getvalue())


def panels(
  results: Results,
  panel: Callable[[Axes, Evaluation, int], bool],
  furnish: Callable[[Axes], None],
  size: tuple[float, float],
  *,
  shared_legend: bool = True,
) -> Figure:
  """Draws a lettered panel per set; `panel` returns whether it drew anything of a model."""
  letters = panel_letters(results.test_sets)
  columns = min(2, len(results.test_sets))
  rows = math.ceil(len(results.test_sets) / columns)
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(size[0] * columns, size[1] * rows))
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for test_set, axes in zip(results.test_sets, grid, strict=False):
      axes.set_title(f'{letters[test_set]}  {paper.set_name(test_set)}')
      drawn = [
        panel(axes, evaluation, results.models.index(evaluation.model))
        for evaluation in results.on(test_set)
      ]
      if any(drawn):
        furnish(axes)
      else:
        axes.text(0.5, 0.5, 'not estimable on this set', ha='center', transform=axes.transAxes)
    for axes in grid:  # unused panels
      axes.remove()
    if shared_legend:
      legend_above(figure)
  return figure


def grid(
  results: Results,
  panel: Callable[[Axes, Evaluation, int], bool],
  furnish: Callable[[Axes], None],
  size: tuple[float, float],
  ylabel: str,
  xlabel: str,
) -> Figure:
  """Draws a row of panels for each set and a column for each model.

  `panel` returns whether it drew anything; it is called in the order of sets and models.
  """
  rows, columns = len(results.test_sets), len(results.models)
  letters = panel_letters(results.test_sets)
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(size[0] * columns + 0.5, size[1] * rows + 0.6))
    axes_of = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey='row')
    for row, test_set in enumerate(results.test_sets):
      axes_of[row, 0].set_ylabel(
        f'{letters[test_set]}  {paper.set_name(test_set)}\n{ylabel}', fontsize=8
      )
      for column, model in enumerate(results.models):
        axes = axes_of[row, column]
        evaluation = results.evaluations.get((model, test_set))
        if evaluation is not None and panel(axes, evaluation, column):
          furnish(axes)
        else:
          words = 'not evaluated' if evaluation is None else 'not estimable'
          axes.text(0.5, 0.5, words, ha='center', transform=axes.transAxes, fontsize=8)
    for axes, model in zip(axes_of[0], results.models, strict=True):
      axes.set_title(heading(model), fontsize=7)
    for axes in axes_of[-1]:
      axes.set_xlabel(xlabel, fontsize=8)
  return figure


def heading(model: str) -> str:
  """Returns a model's name on several lines, to go above a panel."""
  name, *trained_on = paper.full_name(model).split(': ', 1)
  return '\n'.join([textwrap.fill(name, 24), *(textwrap.fill(text, 30) for text in trained_on)])


def legend_above(figure: Figure, columns: int = 2) -> None:
  """Draws one legend for all panels, each entry once."""
  handles = {
    label: handle
    for axes in figure.axes
    for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
  }
  if handles:
    figure.legend(handles.values(), handles.keys(), loc='outside upper left', ncols=columns)


def line_with_band(
  axes: Axes,
  rates: np.ndarray,
  middle: np.ndarray,
  low: np.ndarray,
  high: np.ndarray,
  number: int,
) -> None:
  """Draws a model's curve f64[r] with its interval."""
  axes.fill_between(rates, low, high, color=colour(number), alpha=0.18, lw=0)
  axes.plot(rates, middle, color=colour(number), lw=1.5)


def errors(rows: pd.DataFrame, measure: str) -> np.ndarray:
  """Returns how far intervals reach below and above a measure: f64[2, rows], NaN for none."""
  reach = [rows[measure] - rows[f'{measure}_low'], rows[f'{measure}_high'] - rows[measure]]
  return np.clip(np.array(reach, dtype=np.float64), 0, None)


def colour(number: int) -> str:
  """Returns the colour of a model, by its number."""
  return COLOURS[number % len(COLOURS)]


def dash(number: int) -> str | tuple:
  """Returns the dashes of a model's line, by its number."""
  return DASHES[(number + number // len(COLOURS)) % len(DASHES)]


def described(numbers: pd.DataFrame) -> str:
  """Describes the AUC of every model on every set.

  Args:
    numbers: as `accuracy.performance` returns.
  """
  sets = []
  for test_set, block in numbers.groupby('set', sort=False):
    aucs = [
      f'{paper.model_name(row["model"])} {decimals(row["auc"])}' for _, row in block.iterrows()
    ]
    sets.append(f'{paper.set_name(str(test_set))}: {", ".join(aucs)}')
  return '; '.join(sets) + '.'


def panel_letters(test_sets: Iterable[str]) -> dict[str, str]:
  """Returns a letter for each set; a set with true labels shares that of the set as labelled."""
  letters: dict[str, str] = {}
  for test_set in test_sets:
    base = test_set.removesuffix(paper.TRUE)
    if base in letters and base != test_set:
      letters[test_set] = f'{letters[base]}′'
    else:
      index = sum('′' not in letter for letter in letters.values())
      letters[test_set] = chr(ord('A') + index) if index < 26 else str(index + 1)
  return letters
