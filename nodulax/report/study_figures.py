"""The figures of a study: training seeds, and what was varied."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
from nodulax.report.results import Evaluation, Results
from nodulax.report.seeds import spreads
from nodulax.report.study_tables import VARIED, varied
from nodulax.report.table import decimals

_SPREAD = 0.5  # of a model's place that its seeds share


def seeds_figure(results: Results, numbers: pd.DataFrame) -> Picture | None:
  """AUC of every seed of every model; None where no model was trained twice.

  Args:
    results: of all runs.
    numbers: as `seeds.seeds` gives.
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
    names = [paper.model_name(model).replace(', ', ',\n') for model in results.models]
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
    'figure_s1_seeds',
    'Figure S1. AUC of every training seed',
    'A dot a training run, with its 95 % interval (the radiographs drawn); the bar is the mean '
    'over the runs. How far the dots of one model lie apart is what another training changes. '
    'Diamonds: published by Kim et al., on their own radiographs.',
    'AUC by set, model and seed: ' + '; '.join(words) + '.',
  )


def sweep_figure(results: Results, numbers: pd.DataFrame) -> Picture | None:
  """AUC and Dice of one sweep, a column a set; None where the sweep was not made.

  Args:
    results: of all runs; gives models their colours.
    numbers: as `sweeps.sweep` gives.
  """
  if numbers.empty:
    return None
  name = numbers['sweep'].iloc[0]
  measures = [measure for measure in ('auc', 'dice') if numbers[measure].notna().any()]
  sets = list(dict.fromkeys(numbers['set']))
  models = list(dict.fromkeys([*results.models, *numbers['model']]))
  letters = panel_letters(sets)
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(max(2.5 * len(sets), 5) + 0.4, 2.4 * len(measures) + 0.6))
    grid = figure.subplots(len(measures), len(sets), squeeze=False, sharex=True, sharey='row')
    for axes, test_set in zip(grid[0], sets, strict=True):
      axes.set_title(f'{letters[test_set]}  {paper.set_name(test_set)}')
    for measure, row in zip(measures, grid, strict=True):
      row[0].set_ylabel({'auc': 'AUC', 'dice': 'Dice'}[measure])
      for axes, test_set in zip(row, sets, strict=True):
        of_set = numbers[numbers['set'] == test_set]
        for model, runs in of_set.groupby('model', sort=False):
          number = models.index(model)
          means = runs.groupby('value')[measure].mean()
          axes.plot(means.index, means, color=colour(number), ls=dash(number), lw=1.5,
                    label=paper.model_name(str(model)))  # fmt: skip
          _points(axes, runs['value'], runs, measure, number)
        if measure == 'auc':
          axes.axhline(0.5, color='#888888', lw=0.8, ls=':')
        axes.grid(axis='y', color='#dddddd')
    values = sorted(set(numbers['value']))
    for axes in grid[-1]:
      if name == 'training_images':
        axes.set_xscale('log')
      axes.set_xticks(values, [varied(name, value).replace(' %', '') for value in values])
      axes.minorticks_off()
      axes.tick_params(axis='x', labelsize=8)
      axes.set_xlabel(VARIED[name] + (', %' if name == 'label_noise' else ''))
    legend_above(figure)
  number = 2 + list(VARIED).index(name)
  return finish(
    figure,
    f'figure_s{number}_{name}',
    f'Figure S{number}. Results by {VARIED[name].lower()}',
    {
      'label_noise': 'Models that learned from labels of which this share was flipped at random, '
      'everything else the same. ',
      'training_images': 'Models that learned from so many radiographs, everything else the same. ',
    }[name]
    + 'A dot a training run, with its 95 % interval; lines join the means. Upper row: AUC, where '
    'the dotted line is chance'
    + ('; lower row: Dice on located nodules.' if len(measures) > 1 else '.'),
    f'Results by {VARIED[name].lower()}. ' + _trend(name, numbers),
  )


def _points(
  axes: Axes, places: np.ndarray | pd.Series, runs: pd.DataFrame, measure: str, number: int
) -> None:
  """A dot a run, with its interval."""
  axes.errorbar(places, runs[measure], yerr=errors(runs, measure), fmt='o', ms=4, lw=0.8,
                color=colour(number))  # fmt: skip


def _trend(name: str, numbers: pd.DataFrame) -> str:
  """Each model's mean AUC at the ends of a sweep, in words."""
  words = []
  for (test_set, model), runs in numbers.groupby(['set', 'model'], sort=False):
    means = runs.groupby('value')['auc'].mean()
    ends = ', '.join(
      f'{decimals(means[value])} at {varied(name, value)}' for value in (means.index[0],
                                                                         means.index[-1])
    )  # fmt: skip
    words.append(f'{paper.model_name(str(model))} on {paper.set_name(str(test_set))}: AUC {ends}')
  return '; '.join(words) + '.'
