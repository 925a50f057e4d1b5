"""How each model was trained: loss and tune AUC by step, from metrics.jsonl of its run."""

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from nodulax.report import paper
from nodulax.report.drawing import STYLE, Picture, colour, finish, heading, legend_above
from nodulax.report.errors import ReportError
from nodulax.report.results import Evaluation, Results
from nodulax.report.table import decimals

MOST_BYTES = 64 << 20  # of a metrics.jsonl
MOST = 1e12  # a step or a value; nothing larger is drawn
MEASURES = ('loss', 'tune_loss', 'tune_auc')


def training_curves(results: Results) -> pd.DataFrame:
  """Returns a row per model, seed, step and measure; empty if no run kept its metrics.jsonl.

  Raises:
    ReportError: a metrics.jsonl is too large, or holds something other than numbers.
  """
  rows = []
  for model in results.models:
    runs = {run.run: run for name in results.test_sets for run in results.seeds_of(model, name)}
    for number, run in enumerate(runs.values()):
      about = {'model': model, 'seed': run.seed, 'first': number == 0}
      rows += [about | point for point in _points(run)]
  return pd.DataFrame(rows, columns=['model', 'seed', 'first', 'step', 'measure', 'value'])


def _points(run: Evaluation) -> Iterator[dict[str, Any]]:
  """Yields the points of one run; the classification loss if the network has several."""
  path = None if run.folder is None else run.folder.parents[1] / 'metrics.jsonl'
  if path is None or not path.is_file():
    return
  for line in _lines(path):
    found = {name: line.get(name) for name in MEASURES}
    found['loss'] = line.get('classification_loss', found['loss'])
    for measure, value in found.items():
      if isinstance(value, int | float) and abs(value) <= MOST:
        yield {'step': line['step'], 'measure': measure, 'value': float(value)}


def _lines(path: pathlib.Path) -> Iterator[dict[str, Any]]:
  if path.stat().st_size > MOST_BYTES:
    raise ReportError(
      f'{path} is larger than {MOST_BYTES >> 20} MiB; it cannot be a log of metrics'
    )
  lines = path.read_text('utf-8', errors='replace').split('\n')
  for number, line in enumerate(lines[:-1], 1):  # after the last newline: a line being written
    try:
      values = json.loads(line)
    except (ValueError, RecursionError):
      values = None
    step = values.get('step') if isinstance(values, dict) else None
    if not isinstance(values, dict) or not isinstance(step, int) or not 0 <= step <= MOST:
      raise ReportError(
        f'{path}, line {number}: not a JSON object with a step; restore the file or move it away'
      )
    yield values


def training_figure(numbers: pd.DataFrame) -> Picture | None:
  """Draws loss above tune AUC, a column per model; None if nothing was kept.

  Args:
    numbers: as `training_curves` returns.
  """
  if numbers.empty:
    return None
  models = list(dict.fromkeys(numbers['model']))
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(2.1 * len(models) + 0.6, 4.2))
    grid = figure.subplots(2, len(models), squeeze=False, sharex='col', sharey='row')
    for column, model in enumerate(models):
      of_model = numbers[numbers['model'] == model]
      for (_, first), run in of_model.groupby(['seed', 'first'], dropna=False, sort=False):
        for axes, measure, style in (
          (grid[0, column], 'loss', {'color': '#9aa3b0', 'lw': 0.8, 'label': 'training'}),
          (grid[0, column], 'tune_loss', {'color': colour(1), 'lw': 1.4, 'label': 'tune split'}),
          (grid[1, column], 'tune_auc', {'color': colour(0), 'lw': 1.4, 'marker': '.'}),
        ):
          points = run[run['measure'] == measure]
          style = style if first else {**style, 'alpha': 0.3, 'marker': None, 'label': None}
          axes.plot(points['step'], points['value'], **style)
      grid[0, column].set_title(heading(model), fontsize=7)
      grid[1, column].set_xlabel('Training step', fontsize=8)
      grid[1, column].axhline(0.5, color='#888888', lw=0.8, ls=':')
    grid[0, 0].set_ylabel('Loss')
    grid[1, 0].set_ylabel('AUC, tune split')
    legend_above(figure)
  words = [
    f'{paper.model_name(str(model))} {decimals(of_model["value"].max())}'
    for model, of_model in numbers[numbers['measure'] == 'tune_auc'].groupby('model', sort=False)
  ]
  return finish(
    figure,
    'figure_training',
    'Training curves',
    'Above: the classification loss of the training batches and of the tune split. Below: AUC on '
    'the tune split, a dot for each epoch; the checkpoint was chosen there. Faint: other seeds.',
    f'Loss and tune AUC by training step; highest tune AUC: {"; ".join(words)}.',
  )
