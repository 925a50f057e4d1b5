"""Figures over all sets at once: AUC at a glance, probabilities, results by group."""

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
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
  legend_above,
)
from nodulax.report.results import Results
from nodulax.report.subgroups import NODULE_TRAITS, PATIENT_TRAITS, TRAITS

NORMAL_COLOUR, NODULE_COLOUR = '#6A8FB5', '#C0392B'


def summary(numbers: pd.DataFrame) -> Picture:
  """AUC with interval of every model on every set, the published ones beside."""
  sets, models = list(dict.fromkeys(numbers['set'])), list(dict.fromkeys(numbers['model']))
  step = 0.8 / len(models)
  published = numbers['published_auc'].notna().any()
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(8, 1.1 + 0.26 * len(sets) * (len(models) + 1)))
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
      axes.plot([], [], 'o', color=colour(number), label=paper.model_name(model))
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
    'figure_0_summary',
    'AUC at a glance',
    'Area under the ROC curve with its 95 % interval. The dotted line is chance.'
    + (' Diamonds: published by Kim et al., on their own radiographs.' if published else ''),
    'AUC by set and model. ' + described(numbers),
  )


def distributions(results: Results) -> Picture:
  """Figure 2: the probabilities given to normal and to nodule radiographs."""
  rows, columns = len(results.test_sets), len(results.models)
  bins = np.linspace(0, 1, 26)
  words = []
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(2.3 * columns + 0.6, 1.7 * rows + 0.6))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey='row')
    for row, test_set in enumerate(results.test_sets):
      for column, model in enumerate(results.models):
        axes = grid[row, column]
        if row == 0:
          axes.set_title(paper.model_name(model).replace(', ', ',\n'), fontsize=9)
        if column == 0:
          axes.set_ylabel(f'{paper.set_name(test_set)}\nshare of class', fontsize=8)
        evaluation = results.evaluations.get((model, test_set))
        if evaluation is None:
          axes.text(0.5, 0.5, 'not evaluated', ha='center', transform=axes.transAxes)
          continue
        medians = []
        for label, name, colour in ((0, 'normal', NORMAL_COLOUR), (1, 'nodule', NODULE_COLOUR)):
          part = evaluation.cases.loc[evaluation.cases['label'] == label, 'probability']
          if part.empty:
            continue
          share = np.histogram(part, bins)[0] / part.size
          axes.stairs(share, bins, fill=True, color=colour, alpha=0.35)
          axes.stairs(share, bins, color=colour, label=name, ls='-' if label else '--')
          medians.append(f'{name} {part.median():.2f}')
        axes.axvline(evaluation.threshold, color='black', lw=0.8, ls=':')
        words.append(
          f'{paper.model_name(model)} on {paper.set_name(test_set)}: {", ".join(medians)}'
        )
    for axes in grid[-1]:
      axes.set_xlabel('Probability')
    legend_above(figure)
  return finish(
    figure,
    'figure_2_probabilities',
    'Figure 2. Probabilities of normal and nodule radiographs',
    'Share of the radiographs of each class by the probability that a model gives them. Dotted: '
    'the frozen threshold.',
    'Histograms; median probabilities: ' + '; '.join(words) + '.',
  )


def forest(numbers: pd.DataFrame, of_nodules: bool) -> Picture | None:
  """Sensitivity by traits of nodules, or AUC by traits of patients; None where none is known."""
  traits = NODULE_TRAITS if of_nodules else PATIENT_TRAITS
  measure = 'sensitivity' if of_nodules else 'auc'
  if numbers.empty:
    return None
  shown = numbers[numbers['trait'].isin(traits) & numbers[measure].notna()]
  if shown.empty:
    return None
  sets, models = list(dict.fromkeys(shown['set'])), list(dict.fromkeys(shown['model']))
  trait_order = list(traits)
  groups = sorted(
    dict.fromkeys(zip(shown['trait'], shown['group'], strict=True)),
    key=lambda pair: trait_order.index(pair[0]),
  )
  heights, height = {}, 0.0
  for index, (trait, group) in enumerate(groups):
    height -= 1.6 if index and trait != groups[index - 1][0] else 1.0
    heights[trait, group] = height
  step = 0.8 / len(models)
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(1.9 + 2.0 * len(sets), 1.2 - 0.09 * height * max(len(models), 3)))
    grid = figure.subplots(1, len(sets), squeeze=False, sharey=True)[0]
    for axes, test_set in zip(grid, sets, strict=True):
      for number, model in enumerate(models):
        rows = shown[(shown['set'] == test_set) & (shown['model'] == model)]
        at = [heights[pair] for pair in zip(rows['trait'], rows['group'], strict=True)]
        middle = np.array(at) - (number - (len(models) - 1) / 2) * step
        axes.errorbar(rows[measure], middle, xerr=errors(rows, measure), fmt='o', ms=3, lw=1,
                      color=colour(number))  # fmt: skip
      axes.set_title(paper.set_name(test_set))
      axes.set_xlim(-0.02, 1.02) if of_nodules else axes.set_xlim(right=1.02)
      axes.set_xlabel(f'{"Sensitivity" if of_nodules else "AUC"}, 95 % interval')
      axes.grid(axis='x', color='#dddddd')
    grid[0].set_yticks(
      list(heights.values()),
      [
        f'{TRAITS[trait]}: {group.replace("_", " ")}'
        if group == 'unknown' or trait in ('conspicuity', 'view')
        else group.replace('_', ' ')
        for trait, group in groups
      ],
    )
    handles = [Line2D([], [], marker='o', ms=4, color=colour(n)) for n in range(len(models))]
    figure.legend(handles, [paper.model_name(model) for model in models],
                  loc='outside upper left', ncols=2)  # fmt: skip
  names = ', '.join(traits[trait].lower() for trait in traits if trait in set(shown['trait']))
  kind = 'Sensitivity' if of_nodules else 'AUC'
  return finish(
    figure,
    'figure_7_nodules' if of_nodules else 'figure_8_patients',
    f'Figure {7 if of_nodules else 8}. {kind} by {names}',
    f'{kind} with 95 % intervals. '
    + ('At the frozen threshold. ' if of_nodules else '')
    + 'Wide intervals come from small groups: the table below counts them.',
    f'{kind} by {names}, for each set and model; the numbers are in the table below.',
  )
