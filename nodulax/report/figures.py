"""The curves of each set: ROC, free-response ROC, calibration, decision."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from nodulax.report import paper
from nodulax.report.curves import Curves
from nodulax.report.drawing import (
  Picture,
  colour,
  dash,
  described,
  finish,
  grid,
  line_with_band,
  panels,
)
from nodulax.report.results import Evaluation, Results
from nodulax.report.table import estimate

_OTHERS = '#b8bec7'  # colour of the curves of the other models in a model's panel


def roc_curves(
  results: Results, curves: dict[tuple[str, str], Curves], numbers: pd.DataFrame
) -> Picture:
  """Draws the ROC curve of each model on each set, with the other models' in grey."""
  by_pair = {(row['model'], row['set']): row for _, row in numbers.iterrows()}

  def panel(axes: Axes, evaluation: Evaluation, number: int) -> bool:
    band = curves[evaluation.model, evaluation.test_set].roc
    if band is None:
      return False
    for other in results.on(evaluation.test_set):
      behind = curves[other.model, other.test_set].roc
      if behind is not None and other is not evaluation:
        axes.plot(behind.rates, behind.sensitivity, color=_OTHERS, lw=0.7)
    line_with_band(axes, band.rates, band.sensitivity, band.low, band.high, number)
    row = by_pair[evaluation.model, evaluation.test_set]
    if not math.isnan(row['sensitivity']):
      axes.plot(1 - row['specificity'], row['sensitivity'], 'o', ms=5, mec='white',
                color=colour(number))  # fmt: skip
    axes.text(0.98, 0.04, f'AUC {estimate(row, "auc")}', ha='right', fontsize=7,
              transform=axes.transAxes)  # fmt: skip
    return True

  def furnish(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color='#888888', lw=0.8, ls=':')
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axes.set_aspect('equal')

  return finish(
    grid(results, panel, furnish, (2.0, 2.0), 'Sensitivity', '1 − specificity'),
    'figure_roc',
    'ROC curves',
    'Sensitivity against false-positive rate: a row for each set, a column for each model, the '
    'other models in grey. Bands: pointwise 95 % intervals, bootstrap over patients. Dots: the '
    'threshold frozen on the tune split. Dotted: chance.',
    'ROC curves by set. ' + described(numbers),
  )


def froc_curves(results: Results, curves: dict[tuple[str, str], Curves]) -> Picture | None:
  """Draws sensitivity by nodule against false positives per image; None if none is located."""
  words = []

  def panel(axes: Axes, evaluation: Evaluation, number: int) -> bool:
    band = curves[evaluation.model, evaluation.test_set].froc
    if band is None:
      return False
    for other in results.on(evaluation.test_set):
      behind = curves[other.model, other.test_set].froc
      if behind is not None and other is not evaluation:
        axes.plot(behind.rates, behind.sensitivity, color=_OTHERS, lw=0.7)
    line_with_band(axes, band.rates, band.sensitivity, band.low, band.high, number)
    at_one = float(np.interp(1, band.rates, band.sensitivity))
    name = paper.model_name(evaluation.model)
    words.append(f'{name} on {paper.set_name(evaluation.test_set)} {at_one:.2f}')
    return True

  def furnish(axes: Axes) -> None:
    axes.set_xscale('log', base=2)
    axes.set_xticks([1 / 8, 1 / 2, 2, 8], ['1/8', '1/2', '2', '8'])
    axes.set(ylim=(-0.02, 1.02), yticks=[0, 0.5, 1])

  figure = grid(
    results, panel, furnish, (2.0, 1.7), 'Sensitivity, by nodule', 'False positives per image'
  )
  if not words:
    return None
  return finish(
    figure,
    'figure_froc',
    'Free-response ROC curves',
    'Share of the nodules found against false positives per image, over normal and nodule '
    'radiographs with known truth; the other models in grey. Bands: pointwise 95 % intervals, '
    'bootstrap over patients.',
    'Free-response ROC curves; sensitivity at one false positive an image: '
    + '; '.join(words) + '.',
  )  # fmt: skip


def reliability(
  results: Results, curves: dict[tuple[str, str], Curves], numbers: pd.DataFrame
) -> Picture:
  """Draws the observed share of nodule radiographs against probability."""

  def panel(axes: Axes, evaluation: Evaluation, number: int) -> bool:
    curve = curves[evaluation.model, evaluation.test_set].reliability
    errors = [curve.observed - curve.low, curve.high - curve.observed]
    axes.errorbar(
      curve.predicted, curve.observed, yerr=errors, marker='o', ms=3, lw=1.2, elinewidth=0.6,
      color=colour(number),
    )  # fmt: skip
    return True

  def furnish(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color='#888888', lw=0.8, ls=':')
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axes.set_aspect('equal')

  words = [
    f'{paper.model_name(row["model"])} on {paper.set_name(row["set"])} '
    f'{row["calibration_error"]:.2f}'
    for _, row in numbers.iterrows()
  ]
  return finish(
    grid(results, panel, furnish, (2.0, 2.0), 'Share with a nodule', 'Mean probability'),
    'figure_calibration',
    'Calibration',
    'Share of radiographs with a nodule against mean probability, in ten bins; bars are 95 % '
    'intervals (Clopper-Pearson). The dotted line is perfect calibration.',
    'Reliability curves; expected calibration error: ' + '; '.join(words) + '.',
  )


def decision_curves(
  results: Results, curves: dict[tuple[str, str], Curves], prevalence: float | None
) -> Picture:
  """Draws net benefit by threshold probability."""

  def panel(axes: Axes, evaluation: Evaluation, number: int) -> bool:
    curve = curves[evaluation.model, evaluation.test_set].decision
    if curve is None:
      return False
    if not axes.lines:
      axes.plot(curve.thresholds, curve.treat_all, color='#888888', lw=1, label='recall everyone')
      axes.axhline(0, color='#444444', lw=1, ls=':', label='recall no one')
      # What a perfect model gains; recalling everyone may gain nothing at any threshold.
      top = evaluation.cases['label'].mean() if prevalence is None else prevalence
      axes.set_ylim(-0.15 * top, 1.1 * top)
    axes.plot(
      curve.thresholds, curve.model, color=colour(number), ls=dash(number), lw=1.5,
      label=paper.full_name(evaluation.model),
    )  # fmt: skip
    return True

  def furnish(axes: Axes) -> None:
    axes.set(xlabel='Threshold probability', ylabel='Net benefit', xlim=(0, 1))

  of = 'that of each set' if prevalence is None else f'{prevalence:g}'
  return finish(
    panels(results, panel, furnish, size=(4.2, 3.0)),
    'figure_decision',
    'Decision curves',
    'Net benefit per image if every radiograph at or above the threshold probability is recalled: '
    f"true positives minus false positives times the threshold's odds. Prevalence: {of}. Where "
    'normal radiographs were drawn to match the nodules, give the prevalence of your clinic '
    '(--prevalence).',
    'Decision curves by set: net benefit of each model against recalling everyone and no one; the '
    'numbers are in numbers.json.',
  )
