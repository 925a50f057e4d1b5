"""The figures of a study: training seeds, and what was varied."""

import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from nodulax.report import paper
from nodulax.report.drawing import (
  STYLE,
  Picture,
  colour,
  dash,
  errors,
  finish,
  legend_above,
  panel_letters,
  panels,
)
from nodulax.report.questions import answers
from nodulax.report.results import Evaluation, Results
from nodulax.report.seeds import spreads
from nodulax.report.study_tables import VARIED, varied
from nodulax.report.sweeps import same_seeds
from nodulax.report.table import decimals, signed

_MARKERS = 'os^vDPX'  # a seed is not a model: it has a shape and no colour of its own
_SPREAD = 0.5  # of a model's place that its seeds share
_ASIDE = 4  # points from one model to the next at the same value of a sweep


def questions_figure(numbers: pd.DataFrame) -> Picture | None:
  """Draws the differences that answer the paper's questions; None if none is asked.

  Args:
    numbers: as `questions.questions` returns.
  """
  if numbers.empty:
    return None
  asked = list(dict.fromkeys(numbers['question']))
  sets = list(dict.fromkeys(numbers['set']))
  seeds = list(dict.fromkeys(numbers['seed']))
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(4.4 * len(asked) + 0.5, 1.1 + len(sets) * (0.25 + 0.2 * len(seeds))))
    grid = figure.subplots(1, len(asked), squeeze=False, sharex=True, sharey=True)[0]
    for axes, question in zip(grid, asked, strict=True):
      axes.set_title(question, fontsize=8)
      axes.axvline(0, color='#444444', lw=0.8, ls=':')
      for test_set, rows in numbers[numbers['question'] == question].groupby('set', sort=False):
        middle = -float(sets.index(str(test_set)))
        if len(rows) > 1:
          axes.plot([rows['auc_difference'].mean()] * 2, [middle - 0.4, middle + 0.4],
                    color='#444444', lw=2.5)  # fmt: skip
        for _, row in rows.iterrows():
          number = seeds.index(row['seed'])
          axes.errorbar(
            row['auc_difference'], middle + 0.3 - 0.6 * (number + 0.5) / len(seeds),
            xerr=errors(row.to_frame().T, 'auc_difference'), fmt=_MARKERS[number % len(_MARKERS)],
            ms=4, lw=1, color='#566172', label=f'seed {row["seed"]}',
          )  # fmt: skip
      axes.set_xlabel('← no      difference in AUC      yes →')
      axes.grid(axis='x', color='#dddddd')
    grid[0].set_yticks(-np.arange(len(sets)), [paper.set_name(name) for name in sets])
    grid[0].set_ylim(-len(sets) + 0.45, 0.55)
    legend_above(figure)
  words = [
    f'{row["question"]} On {paper.set_name(row["set"])}: mean difference '
    f'{signed(row["auc_difference_mean"])}, {row["answer"]}'
    for _, row in answers(numbers).iterrows()
  ]
  return finish(
    figure,
    'figure_questions',
    "The paper's two questions, seed by seed",
    'A mark is a seed, with its 95 % interval (over radiographs); right of the dotted '
    'line the answer is yes. The bar is the mean over the seeds. The spread of the marks is '
    'what another training run changes.',
    '; '.join(words) + '.',
  )


def seeds_figure(results: Results, numbers: pd.DataFrame) -> Picture | None:
  """Draws AUC of every seed of every model; None if no model was trained twice.

  Args:
    results: evaluations of all runs.
    numbers: as `seeds.seeds` returns.
  """
  if numbers.empty:
    return None
  by_pair = dict(iter(numbers.groupby(['model', 'set'])))

  def panel(axes: Axes, evaluation: Evaluation, number: int) -> bool:
    runs = by_pair.get((evaluation.model, evaluation.test_set))
    if runs is None:
      return False
    mean = runs['auc'].mean()
    half = _SPREAD / 2
    axes.plot([number - half, number + half], [mean, mean], color=colour(number), lw=2.5)
    places = number - half + _SPREAD * (np.arange(len(runs)) + 0.5) / len(runs)
    _points(axes, places, runs, 'auc', number)
    stated = paper.AUC.get((evaluation.model, evaluation.test_set))
    if stated is not None:
      axes.plot(number + half + 0.12, stated, 'D', ms=5, mfc='white', mec='black')
    return True

  def furnish(axes: Axes) -> None:
    names = [textwrap.fill(paper.model_name(model), 14) for model in results.models]
    axes.set_xticks(range(len(names)), names, fontsize=7)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.axhline(0.5, color='#888888', lw=0.8, ls=':')
    axes.set_ylim(top=1.0)
    axes.set_ylabel('AUC')
    axes.grid(axis='y', color='#dddddd')

  words = [
    f'{paper.model_name(row["model"])} on {paper.set_name(row["set"])} mean '
    f'{decimals(row["auc_mean"])}, {decimals(row["auc_lowest"])} to {decimals(row["auc_highest"])}'
    for _, row in spreads(numbers).iterrows()
  ]
  return finish(
    panels(results, panel, furnish, size=(4.2, 3.2), shared_legend=False),
    'figure_seeds',
    'AUC of every training seed',
    'A dot is a training run, with its 95 % interval (over radiographs); the bar is the '
    'mean over the runs. The spread of the dots of one model is what another training run changes. '
    'Diamonds: published by Kim et al., on their own radiographs.',
    'AUC by set, model and seed: ' + '; '.join(words) + '.',
  )


def sweep_figure(results: Results, numbers: pd.DataFrame) -> Picture | None:
  """Draws AUC and Dice of one sweep, a column per set; None if the sweep was not made.

  Args:
    results: evaluations of all runs; gives models their colours.
    numbers: as `sweeps.sweep` returns.
  """
  if numbers.empty:
    return None
  name = numbers['sweep'].iloc[0]
  measures = [measure for measure in ('auc', 'dice') if numbers[measure].notna().any()]
  about = {
    'label_noise': 'Models that learned from labels of which this share was flipped at random, '
    'everything else the same. ',
    'training_images': 'Models that learned from this many radiographs, everything else the same. ',
  }[name]
  return finish(
    _sweep(results, numbers, measures),
    f'figure_{name}',
    f'Results by {VARIED[name].lower()}',
    about + 'A dot is a training run, with its 95 % interval (over radiographs). Lines '
    'join the means of the seeds that were trained at every value; hollow dots are the other seeds '
    'and show what another training run changes. Upper row: AUC, where the dotted line is chance'
    + ('; lower row: Dice on located nodules.' if len(measures) > 1 else '.'),
    f'Results by {VARIED[name].lower()}. ' + _trend(name, numbers),
  )


def _sweep(results: Results, numbers: pd.DataFrame, measures: list[str]) -> Figure:
  """Draws a row of panels for each measure, a column for each set."""
  name = numbers['sweep'].iloc[0]
  sets = list(dict.fromkeys(numbers['set']))
  models = list(dict.fromkeys([*results.models, *numbers['model']]))
  letters = panel_letters(sets)
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(max(2.2 * len(sets), 5) + 0.4, 2.2 * len(measures) + 0.6))
    grid = figure.subplots(len(measures), len(sets), squeeze=False, sharex=True, sharey='row')
    for axes, test_set in zip(grid[0], sets, strict=True):
      axes.set_title(f'{letters[test_set]}  {paper.set_name(test_set)}')
    for measure, row in zip(measures, grid, strict=True):
      row[0].set_ylabel({'auc': 'AUC', 'dice': 'Dice'}[measure])
      for axes, test_set in zip(row, sets, strict=True):
        _sweep_panel(figure, axes, numbers[numbers['set'] == test_set], measure, models)
    values = sorted(set(numbers['value']))
    for axes in grid[-1]:
      if name == 'training_images':
        axes.set_xscale('log')
      axes.set_xticks(values, [varied(name, value).replace(' %', '') for value in values])
      axes.minorticks_off()
      axes.tick_params(axis='x', labelsize=8)
      axes.set_xlabel(VARIED[name] + (', %' if name == 'label_noise' else ''))
    legend_above(figure)
  return figure


def _sweep_panel(
  figure: Figure, axes: Axes, numbers: pd.DataFrame, measure: str, models: list[str]
) -> None:
  """Draws a line and dots for each model; models at the same value are drawn side by side."""
  shown = list(dict.fromkeys(numbers['model']))
  for model, runs in numbers.groupby('model', sort=False):
    number = models.index(model)
    points = _ASIDE * (shown.index(model) - (len(shown) - 1) / 2)
    place = axes.transData + ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)
    same = runs['seed'].isin(same_seeds(runs))
    means = runs[same].groupby('value')[measure].mean()
    axes.plot(means.index, means, color=colour(number), ls=dash(number), lw=1.5, transform=place,
              label=paper.full_name(str(model)))  # fmt: skip
    for seeds, fill in ((runs[same], colour(number)), (runs[~same], 'white')):
      _points(axes, seeds['value'], seeds, measure, number, mfc=fill, transform=place)
  # Shifted artists do not extend the limits of the axes.
  reach = numbers[[measure, f'{measure}_low', f'{measure}_high']].to_numpy(float)
  ends = np.column_stack([np.repeat(numbers['value'].to_numpy(float), 3), reach.ravel()])
  ends = ends[np.isfinite(ends).all(axis=1)]
  if len(ends):
    axes.update_datalim(ends)
  if measure == 'auc':
    axes.axhline(0.5, color='#888888', lw=0.8, ls=':')
  axes.grid(axis='y', color='#dddddd')
  axes.autoscale_view()


def _points(
  axes: Axes,
  places: np.ndarray | pd.Series,
  runs: pd.DataFrame,
  measure: str,
  number: int,
  **style: Any,
) -> None:
  """Draws a dot per run, with its interval."""
  axes.errorbar(places, runs[measure], yerr=errors(runs, measure), fmt='o', ms=4, lw=0.8,
                color=colour(number), **style)  # fmt: skip


def _trend(name: str, numbers: pd.DataFrame) -> str:
  """Describes each model's mean AUC at the ends of a sweep."""
  words = []
  for (test_set, model), runs in numbers.groupby(['set', 'model'], sort=False):
    means = runs[runs['seed'].isin(same_seeds(runs))].groupby('value')['auc'].mean()
    ends = ', '.join(
      f'{decimals(means[value])} at {varied(name, value)}'
      for value in dict.fromkeys((means.index[0], means.index[-1]))
    )
    words.append(f'{paper.model_name(str(model))} on {paper.set_name(str(test_set))}: AUC {ends}')
  return '; '.join(words) + '.'
