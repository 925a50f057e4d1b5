"""The figures of the study of wrong labels: dots are seeds, lines their means."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodulax.labels.planned import ALL_READ, AS_LABELLED, RIGHT

_Rows = list[dict[str, Any]]
_MEASURES = {'auc': 'AUC', 'dice': 'Dice'}
_ORDERS = {
  'random': 'any',
  'loss': 'those with the largest loss',
  'wrong': 'those most likely wrong',
  'gain': 'those with the largest expected gain',
  'oracle': 'the wrong ones (unknown in practice)',
}


def draw_budget(rows: _Rows, path: pathlib.Path) -> None:
  """Draws AUC against radiographs read again: a panel per test set, a line per way of choosing."""
  orders = [order for order in _values(rows, 'line') if order in _ORDERS]
  lines = {_ORDERS[order]: (AS_LABELLED, order) for order in orders}
  _draw_by_set(rows, lines, ALL_READ, 'radiographs read again', path)


def draw_losses(rows: _Rows, path: pathlib.Path) -> None:
  """Draws AUC against the share of wrong labels: a panel per test set, a line per loss."""
  losses = [loss for loss in _values(rows, 'line') if loss != RIGHT]
  lines = {loss.replace('_', ' '): (loss,) for loss in losses}
  _draw_by_set(rows, lines, RIGHT, 'share of wrong labels in each class', path)


def draw_noise(rows: _Rows, path: pathlib.Path) -> None:
  """Draws AUC and Dice against noise: a column per kind of noise, a line per test set."""
  kinds = [kind for kind in _values(rows, 'line') if kind != RIGHT]
  figure, panels = _panels(kinds, len(_MEASURES))
  for row, (measure, title) in zip(panels, _MEASURES.items(), strict=True):
    row[0].set_ylabel(title)
    for kind, axes in zip(kinds, row, strict=True):
      for name in _values(rows, 'set'):
        here = [figures for figures in rows if figures['set'] == name]
        _line(axes, here, measure, (RIGHT, kind), f'scored on {name}')
  for axes in panels[-1]:
    axes.set_xlabel('amount')
  _save(figure, path)


def _draw_by_set(
  rows: _Rows, lines: Mapping[str, tuple[str, ...]], level: str, xlabel: str, path: pathlib.Path
) -> None:
  """Draws AUC against the amount: a panel per test set, a line for each of `lines`."""
  sets = _values(rows, 'set')
  figure, panels = _panels(sets, 1)
  for name, axes in zip(sets, panels[0], strict=True):
    here = [row for row in rows if row['set'] == name]
    _level(axes, here, level)
    for label, drawn in lines.items():
      _line(axes, here, 'auc', drawn, label)
    axes.set(xlabel=xlabel, ylabel='AUC')
  _save(figure, path)


def _values(rows: _Rows, key: str) -> list[str]:
  """Returns the distinct values of a column, in order of appearance."""
  return list(dict.fromkeys(row[key] for row in rows))


def _panels(titles: list[str], rows: int) -> tuple[Figure, np.ndarray]:
  """Returns a figure with a column of panels for each title, and its axes[rows, titles]."""
  width = 4.2 if rows == 1 else 2.6
  figure = Figure(figsize=(width * len(titles), 0.9 + 2.6 * rows), layout='constrained')
  panels = figure.subplots(rows, len(titles), squeeze=False, sharey='row')
  for title, axes in zip(titles, panels[0], strict=True):
    axes.set_title(title, fontsize='medium')
  return figure, panels


def _level(axes: Axes, rows: _Rows, line: str) -> None:
  """Draws a horizontal line at the mean AUC of trainings that have no amount."""
  values = [row['auc'] for row in rows if row['line'] == line and row['auc'] is not None]
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
