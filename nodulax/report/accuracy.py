"""Measures models and compares them in pairs: one row per model and set, or per pair."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from nodulax.report import paper
from nodulax.report.results import Evaluation, Results
from nodulax.statistics import comparisons, overlap, roc
from nodulax.statistics.estimate import Estimate

NOT_ESTIMABLE = Estimate(math.nan, math.nan, math.nan)
MEASURES = ('auc', 'sensitivity', 'specificity', 'dice')


def measure(
  cases: pd.DataFrame, threshold: float, normals: pd.DataFrame | None = None
) -> dict[str, float]:
  """Measures AUC, sensitivity, specificity and Dice of some radiographs, with 95 % intervals.

  Args:
    cases: rows of predictions.csv.
    threshold: the probability from which a radiograph is called abnormal; NaN for none.
    normals: other radiographs with which `cases` are compared, only in the AUC.

  Returns:
    For each of MEASURES its value, `_low` and `_high`, NaN if not estimable; and the counts.
  """
  compared = cases if normals is None else pd.concat([cases, normals])
  labels, patients = compared['label'].to_numpy(), compared['patient_id'].to_numpy(str)
  auc = NOT_ESTIMABLE
  if 0 < labels.sum() < labels.size:
    auc = roc.delong_interval(labels, compared['probability'], patients)
  dice = overlap.mean_overlap(cases['dice'], cases['patient_id'].to_numpy(str))
  sensitivity, specificity = call_rates(cases, threshold)
  return {
    'images': labels.size,
    'nodule': int(labels.sum()),
    'normal': int((1 - labels).sum()),
    'patients': np.unique(patients).size,
    **spread('auc', auc),
    'threshold': threshold,
    **spread('sensitivity', sensitivity),
    **spread('specificity', specificity),
    **spread('dice', dice),
    'dice_images': dice.images,
  }


def call_rates(cases: pd.DataFrame, threshold: float) -> tuple[Estimate, Estimate]:
  """Returns sensitivity and specificity; NaN without radiographs of the class or a threshold."""
  if math.isnan(threshold) or cases.empty:
    return NOT_ESTIMABLE, NOT_ESTIMABLE
  # `operating_point` needs both classes; an image of the missing one does not change the other's.
  missing = [label for label in (0, 1) if label not in cases['label'].to_numpy()]
  point = roc.operating_point(
    np.append(cases['label'], missing).astype(int),
    np.append(cases['probability'], np.zeros(len(missing))),
    threshold,
    np.append(cases['patient_id'].to_numpy(str), ['nobody'] * len(missing)),
  )
  return (
    NOT_ESTIMABLE if 1 in missing else point.sensitivity,
    NOT_ESTIMABLE if 0 in missing else point.specificity,
  )


def spread(name: str, estimate: Estimate) -> dict[str, float]:
  """Returns an estimate as three columns of a table."""
  return {name: estimate.value, f'{name}_low': estimate.low, f'{name}_high': estimate.high}


def performance(results: Results) -> pd.DataFrame:
  """Returns Table 2: a row per model and set, with the published numbers if there are any."""
  return pd.DataFrame(
    {
      'set': evaluation.test_set,
      'model': evaluation.model,
      **measure(evaluation.cases, evaluation.threshold),
      'seen': evaluation.metrics.get('seen', '') == evaluation.metrics.get('dataset'),
      'published_auc': paper.AUC.get((evaluation.model, evaluation.test_set), math.nan),
      'published_dice': paper.DICE.get((evaluation.model, evaluation.test_set), ''),
    }
    for evaluation in results
  )


def operating_points(results: Results) -> pd.DataFrame:
  """Returns sensitivity, specificity and predictive values per model, set and frozen threshold."""
  rows = []
  for evaluation in results:
    cases = evaluation.cases
    for chosen_by, threshold in evaluation.thresholds.items():
      sensitivity, specificity = call_rates(cases, threshold)
      positive = negative = NOT_ESTIMABLE
      if evaluation.has_both_classes:
        values = roc.predictive_values(
          cases['label'], cases['probability'], threshold, cases['patient_id'].to_numpy(str)
        )
        positive = values.positive or NOT_ESTIMABLE
        negative = values.negative or NOT_ESTIMABLE
      rows.append(
        {
          'set': evaluation.test_set,
          'model': evaluation.model,
          'chosen_by': chosen_by,
          'threshold': threshold,
          'prevalence': cases['label'].mean(),
          **spread('sensitivity', sensitivity),
          **spread('specificity', specificity),
          **spread('positive_predictive_value', positive),
          **spread('negative_predictive_value', negative),
        }
      )
  return pd.DataFrame(rows)


def pairs(results: Results) -> pd.DataFrame:
  """Compares every two models on the radiographs of a set that both have read.

  Differences are the first model's AUC minus the second's. Holm's correction covers the pairs of
  a set.
  """
  return pd.DataFrame(
    [row for test_set in results.test_sets for row in pairs_on(results.on(test_set))],
    columns=[
      *('set', 'model_a', 'model_b', 'images', 'nodule', 'normal', 'auc_a', 'auc_b'),
      *('auc_difference', 'auc_difference_low', 'auc_difference_high', 'z', 'p', 'p_holm'),
      *('dice_difference', 'dice_difference_low', 'dice_difference_high', 'dice_images'),
      'published_p',
    ],
  )


def pairs_on(evaluations: list[Evaluation]) -> Iterator[dict[str, Any]]:
  """The rows of `pairs` for models on one set."""
  tested = [_pair(first, second) for first, second in itertools.combinations(evaluations, 2)]
  rows = [row for row in tested if row is not None]
  for row, p_holm in zip(rows, comparisons.holm([row['p'] for row in rows]), strict=True):
    yield row | {'p_holm': p_holm}


def _pair(first: Evaluation, second: Evaluation) -> dict[str, Any] | None:
  """A row of `pairs` without Holm's p; None if both have read only one class."""
  common = first.cases.index.intersection(second.cases.index)
  a, b = first.cases.loc[common], second.cases.loc[common]
  labels, patients = a['label'], a['patient_id'].to_numpy(str)
  if labels.nunique() < 2:
    return None
  test = roc.delong_test(labels, a['probability'], b['probability'], patients)
  dice = overlap.mean_overlap(a['dice'] - b['dice'], patients)
  return {
    'set': first.test_set,
    'model_a': first.model,
    'model_b': second.model,
    'images': len(common),
    'nodule': int(labels.sum()),
    'normal': int((1 - labels).sum()),
    'auc_a': test.auc_a,
    'auc_b': test.auc_b,
    **spread('auc_difference', Estimate(test.difference, *test.interval)),
    'z': test.z,
    'p': test.p_value,
    **spread('dice_difference', dice),
    'dice_images': dice.images,
    'published_p': paper.P_VALUE.get((first.model, second.model, first.test_set), ''),
  }
