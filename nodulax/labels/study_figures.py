"""The figures of the study of wrong labels: dots are seeds, lines their means."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodulax.labels.planned import ALL_READ, AS_LABELLED, RIGHT

_Rows = list[dict[str, Any]]
_MEASURES = {'auc': 'AUC', 'dice': 'Dice', 'wrong': 'share of labels still wrong'}
_ORDERS = {
  'random': 'drawn at random',
  'loss': 'those with the largest loss',
  'wrong': 'those most likely wrong',
  'gain': 'those with the largest expected gain',
  'oracle': 'the wrong ones (unknown in practice)',
}


def draw_budget(rows: _Rows, path: pathlib.Path) -> None:
  """Draws wrong labels and AUC against radiographs read again, a line per way of choosing.

  The first panel has the share of labels that are still wrong, the others the AUC on a test set.
  """
  orders = [order for order in _values(rows, 'line') if order in _ORDERS]
  lines = {_ORDERS[order]: (AS_LABELLED, order) for order in orders}
  _draw_by_set(rows, lines, ALL_READ, 'radiographs read again', path, first='wrong')


def draw_losses(rows: _Rows, path: pathlib.Path) -> None:
  """Draws AUC against the share of wrong labels: a panel per test set, a line per loss."""
  losses = [loss for loss in _values(rows, 'line') if loss != RIGHT]
  lines = {loss.replace('_', ' '): (loss,) for loss in losses}
  _draw_by_set(rows, lines, RIGHT, 'share of wrong labels in each class', path)


def draw_noise(rows: _Rows, path: pathlib.Path) -> None:
  """Draws AUC and Dice against noise: a column per kind of noise, a line per test set."""
  kinds = [kind for kind in _values(rows, 'line') if kind != RIGHT]
  measures = ('auc', 'dice')
  figure, panels = _panels(kinds, len(measures))
  for row, measure in zip(panels, measures, strict=True):
    row[0].set_ylabel(_MEASURES[measure])
    for kind, axes in zip(kinds, row, strict=True):
      for name in _values(rows, 'set'):
        here = [figures for figures in rows if figures['set'] == name]
        _line(axes, here, measure, (RIGHT, kind), f'scored on {name}')
  for axes in panels[-1]:
    axes.set_xlabel('amount')
  _save(figure, path)


def _draw_by_set(
  rows: _Rows,
  lines: Mapping[str, tuple[str, ...]],
  level: str,
  xlabel: str,
  path: pathlib.Path,
  first: str | None = None,
) -> None:
  """Draws AUC against the amount: a panel per test set, a line for each of `lines`.

  A panel before them has the measure `first`, which is the same for all test sets.
  """
  sets = _values(rows, 'set')
  drawn = [(first, sets[0])] if first else []
  drawn += [('auc', name) for name in sets]
  titles = ['training labels' if measure == first else name for measure, name in drawn]
  figure, panels = _panels(titles, 1, share=first is None)
  for (measure, name), axes in zip(drawn, panels[0], strict=True):
    here = [row for row in rows if row['set'] == name]
    _level(axes, here, measure, level)
    for label, of_line in lines.items():
      _line(axes, here, measure, of_line, label)
    axes.set(xlabel=xlabel, ylabel=_MEASURES[measure])
  _save(figure, path)


def _values(rows: _Rows, key: str) -> list[str]:
  """Returns the distinct values of a column, in order of appearance."""
  return list(dict.fromkeys(row[key] for row in rows))


def _panels(titles: list[str], rows: int, *, share: bool = True) -> tuple[Figure, np.ndarray]:
  """Returns a figure with a column of panels for each title, and its axes[rows, titles].

  Args:
    titles: title of each column.
    rows: number of rows.
    share: whether the panels of a row have one vertical axis.
  """
  width = 4.2 if rows == 1 else 2.6
  figure = Figure(figsize=(width * len(titles), 0.9 + 2.6 * rows), layout='constrained')
  panels = figure.subplots(rows, len(titles), squeeze=False, sharey='row' if share else False)
  for title, axes in zip(titles, panels[0], strict=True):
    axes.set_title(title, fontsize='medium')
  return figure, panels


def _level(axes: Axes, rows: _Rows, measure: str, line: str) -> None:
  """Draws a horizontal line at the mean of trainings that have no amount."""
  values = [row[measure] for row in rows if row['line'] == line and row[measure] is not None]
  if values:
    axes.axhline(float(np.mean(values)), color='0.6', linestyle=':', label=line)


def _line(axes: Axes, rows: _Rows, measure: str, lines: tuple[str, ...], label: str) -> None:
  """Draws the mean of the seeds against the amount, and a dot for each seed."""
  drawn = [row for row in rows if row['line'] in lines and row[measure] is not None]
  amounts = sorted({row['amount'] for row in drawn})
  if not amounts:
    return
  means = [np.mean([row[measure] for row in drawn if row['amount'] == x]) for x in amounts]
  (line,) = axes.plot(amounts, means, marker='o', markersize=4, label=label)
  axes.plot(
    [row['amount'] for row in drawn],
    [row[measure] for row in drawn],
    '.',
    color=line.get_color(),
    alpha=0.4,
  )


def _save(figure: Figure, path: pathlib.Path) -> None:
  handles, labels = figure.axes[0].get_legend_handles_labels()
  figure.legend(handles, labels, loc='outside lower center', ncols=4, fontsize='small')
  figure.savefig(path, format='png', dpi=150)
