"""Figures over all sets at once: AUC at a glance, probabilities, results by group."""

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nodulax.report import paper
from nodulax.report.drawing import (
  STYLE,
  Picture,
  colour,
  described,
  errors,
  finish,
  grid,
  legend_above,
)
from nodulax.report.results import Evaluation, Results
from nodulax.report.subgroups import NODULE_TRAITS, PATIENT_TRAITS, TRAITS, group_name, place

NORMAL_COLOUR, NODULE_COLOUR = '#6A8FB5', '#C0392B'
FEWEST = 10  # radiographs of a class; a group with fewer is listed and not drawn


def summary(numbers: pd.DataFrame) -> Picture:
  """Draws AUC with interval of every model on every set, and the published ones."""
  sets, models = list(dict.fromkeys(numbers['set'])), list(dict.fromkeys(numbers['model']))
  step = 0.8 / len(models)
  published = numbers['published_auc'].notna().any()
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(8, 1.1 + 0.2 * len(sets) * (len(models) + 1)))
    axes = figure.subplots()
    for _, row in numbers.iterrows():
      if math.isnan(row['auc']):
        continue
      number = models.index(row['model'])
      height = -sets.index(row['set']) - (number - (len(models) - 1) / 2) * step
      error = [[row['auc'] - row['auc_low']], [row['auc_high'] - row['auc']]]
      known = not math.isnan(row['auc_low'])
      axes.errorbar(
        row['auc'], height, xerr=error if known else None, fmt='o', ms=5, capsize=2,
        color=colour(number),
      )  # fmt: skip
      if not math.isnan(row['published_auc']):
        axes.plot(row['published_auc'], height, 'D', ms=5, mfc='white', mec='black')
    for number, model in enumerate(models):
      axes.plot([], [], 'o', color=colour(number), label=paper.full_name(model))
    if published:
      axes.plot([], [], 'D', ms=5, mfc='white', mec='black', label='published (Kim et al.)')
    axes.axvline(0.5, color='#888888', lw=0.8, ls=':')
    axes.set_yticks(-np.arange(len(sets)), [paper.set_name(name) for name in sets])
    axes.set_ylim(-len(sets) + 0.45, 0.55)
    axes.set_xlim(right=1.0)
    axes.set_xlabel('AUC with 95 % interval')
    axes.grid(axis='x', color='#dddddd')
    legend_above(figure)
  return finish(
    figure,
    'figure_summary',
    'AUC of every model on every set',
    'Area under the ROC curve with its 95 % interval. The dotted line is chance.'
    + (' Diamonds: published by Kim et al., on their own radiographs.' if published else ''),
    'AUC by set and model. ' + described(numbers),
  )


def distributions(results: Results) -> Picture:
  """Draws the probabilities given to normal and to nodule radiographs."""
  bins = np.linspace(0, 1, 26)
  words = []

  def panel(axes: Axes, evaluation: Evaluation, number: int) -> bool:
    medians = []
    for label, name, tint in ((0, 'normal', NORMAL_COLOUR), (1, 'nodule', NODULE_COLOUR)):
      part = evaluation.cases.loc[evaluation.cases['label'] == label, 'probability']
      if part.empty:
        continue
      share = np.histogram(part, bins)[0] / part.size
      axes.stairs(share, bins, fill=True, color=tint, alpha=0.35)
      axes.stairs(share, bins, color=tint, label=name, ls='-' if label else '--')
      medians.append(f'{name} {part.median():.2f}')
    axes.axvline(evaluation.threshold, color='black', lw=0.8, ls=':')
    where = f'{paper.model_name(evaluation.model)} on {paper.set_name(evaluation.test_set)}'
    words.append(f'{where}: {", ".join(medians)}')
    return True

  def furnish(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1])

  figure = grid(results, panel, furnish, (2.0, 1.4), 'Share of class', 'Probability')
  with mpl.rc_context(STYLE):
    legend_above(figure)
  return finish(
    figure,
    'figure_probabilities',
    'Probabilities of normal and nodule radiographs',
    'Share of the radiographs of each class by the probability that a model gives them. Dotted: '
    'the threshold frozen on the tune split.',
    'Histograms; median probabilities: ' + '; '.join(words) + '.',
  )


def forest(numbers: pd.DataFrame, of_nodules: bool) -> Picture | None:
  """Draws sensitivity by traits of nodules, or AUC by traits of patients; None if none is known.

  Groups that are too small for a useful interval are listed in the caption instead.

  Args:
    numbers: as `subgroups.subgroups` returns.
    of_nodules: True for traits of nodules, False for traits of patients.
  """
  traits, measure = (NODULE_TRAITS, 'sensitivity') if of_nodules else (PATIENT_TRAITS, 'auc')
  if numbers.empty:
    return None
  known = numbers[numbers['trait'].isin(traits) & numbers[measure].notna()]
  small = known['nodule'] < FEWEST
  if not of_nodules:
    small |= known['normal'] < FEWEST
  small |= known[f'{measure}_low'].isna()
  shown = known[~small]
  if shown.empty:
    return None
  names = ', '.join(traits[trait].lower() for trait in traits if trait in set(shown['trait']))
  kind = 'Sensitivity' if of_nodules else 'AUC'
  return finish(
    _forest(shown, measure, f'{kind}, 95 % interval'),
    'figure_nodules' if of_nodules else 'figure_patients',
    f'{kind} by {names}',
    f'{kind} with 95 % intervals{", at the frozen threshold" if of_nodules else ""}.'
    + _listed(known[small], of_nodules),
    f'{kind} by {names}, for each set and model; the numbers are in the appendix.',
  )


def _forest(shown: pd.DataFrame, measure: str, label: str) -> Figure:
  """Draws a panel per set, a line of text per group, a dot with interval per model."""
  sets, models = list(dict.fromkeys(shown['set'])), list(dict.fromkeys(shown['model']))
  heights = _heights(shown)
  step = 0.8 / len(models)
  with mpl.rc_context(STYLE):
    lowest = min(heights.values())
    figure = Figure(figsize=(1.9 + 1.6 * len(sets), 1.2 - 0.085 * lowest * max(len(models), 3)))
    panels = figure.subplots(1, len(sets), squeeze=False, sharey=True, sharex=True)[0]
    for axes, test_set in zip(panels, sets, strict=True):
      for number, model in enumerate(models):
        rows = shown[(shown['set'] == test_set) & (shown['model'] == model)]
        at = [heights[pair] for pair in zip(rows['trait'], rows['group'], strict=True)]
        middle = np.array(at) - (number - (len(models) - 1) / 2) * step
        axes.errorbar(rows[measure], middle, xerr=errors(rows, measure), fmt='o', ms=3, lw=1,
                      color=colour(number))  # fmt: skip
      axes.set_title(paper.set_name(test_set))
      axes.set_xlabel(label, fontsize=8)
      axes.grid(axis='x', color='#dddddd')
      if measure == 'auc':
        axes.axvline(0.5, color='#888888', lw=0.8, ls=':')
    panels[0].set_xlim(right=1.02)  # last, because it ends autoscaling
    panels[0].set_yticks(
      list(heights.values()), [group_name(trait, group) for trait, group in heights]
    )
    handles = [Line2D([], [], marker='o', ms=4, color=colour(n)) for n in range(len(models))]
    figure.legend(handles, [paper.full_name(model) for model in models],
                  loc='outside upper left', ncols=2)  # fmt: skip
  return figure


def _heights(shown: pd.DataFrame) -> dict[tuple[str, str], float]:
  """Places each group of each trait, from the top down, with a gap between traits."""
  order = list(TRAITS)
  pairs = list(dict.fromkeys(zip(shown['trait'], shown['group'], strict=True)))
  pairs.sort(key=lambda pair: (order.index(pair[0]), *place(*pair)))
  heights, height = {}, 0.0
  for index, (trait, group) in enumerate(pairs):
    height -= 1.6 if index and trait != pairs[index - 1][0] else 1.0
    heights[trait, group] = height
  return heights


def _listed(small: pd.DataFrame, of_nodules: bool) -> str:
  """Lists the groups that are not drawn, with their counts, in a sentence."""
  if small.empty:
    return ''
  parts = []
  for (trait, group), rows in small.groupby(['trait', 'group'], sort=False):
    of_sets = []
    for test_set, of_set in rows.groupby('set', sort=False):
      counts = f'{of_set["nodule"].max()}'
      if not of_nodules:
        counts += f' and {of_set["normal"].max()}'
      of_sets.append(f'{paper.set_name(str(test_set))} {counts}')
    parts.append(f'{group_name(str(trait), str(group))} ({", ".join(of_sets)})')
  return (
    f' Not drawn, because fewer than {FEWEST} radiographs of a class give no useful interval '
    f'(number with a nodule{"" if of_nodules else " and without"}): {"; ".join(parts)}.'
  )
