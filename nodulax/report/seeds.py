"""What another training seed changes: the spread of models and of their differences.

DeLong's intervals and tests cover the choice of radiographs for one network. Only several
trainings with different seeds show whether a difference is due to the labels or to the run.
"""

import dataclasses
from typing import Any

import pandas as pd

from nodulax.report.accuracy import pairs_on, spread
from nodulax.report.results import Evaluation, Results
from nodulax.statistics import overlap, roc

SIGNIFICANT = 0.05


def seeds(results: Results) -> pd.DataFrame:
  """Returns AUC and Dice per model, set and seed, where a model was trained more than once."""
  rows = []
  for test_set in results.test_sets:
    for model in results.models:
      runs = [run for run in results.seeds_of(model, test_set) if run.has_both_classes]
      if len(runs) > 1:
        rows += [_row(run, model) for run in runs]
  return pd.DataFrame(rows)


def spreads(numbers: pd.DataFrame) -> pd.DataFrame:
  """Returns mean, standard deviation and range over the seeds per model and set.

  Args:
    numbers: as `seeds` returns.
  """
  rows = []
  for (test_set, model), runs in numbers.groupby(['set', 'model'], sort=False):
    row: dict[str, Any] = {'set': test_set, 'model': model, 'runs': len(runs)}
    for measure in ('auc', 'dice'):
      values = runs[measure]
      row |= {
        f'{measure}_mean': values.mean(),
        f'{measure}_sd': values.std(ddof=1),
        f'{measure}_lowest': values.min(),
        f'{measure}_highest': values.max(),
      }
    rows.append(row)
  return pd.DataFrame(rows)


def seed_pairs(results: Results) -> pd.DataFrame:
  """Compares every two models of one seed on a set, seed by seed, with DeLong's p.

  Empty if only one seed was trained. Holm's correction covers the pairs of one set and seed.
  """
  rows = []
  for test_set in results.test_sets:
    runs = [run for model in results.models for run in results.seeds_of(model, test_set)]
    for seed in sorted({run.seed for run in runs if run.seed is not None}):
      same = [run for run in runs if run.seed == seed]
      rows += [{**row, 'seed': seed} for row in pairs_on(_named(results, same))]
  table = pd.DataFrame(rows)
  if table.empty:
    return table
  several = table.groupby(['set', 'model_a', 'model_b'])['seed'].transform('size') > 1
  return table[several].drop(columns='published_p').reset_index(drop=True)


def agreement(numbers: pd.DataFrame) -> pd.DataFrame:
  """Returns a row for every two models on a set: their difference, and whether seeds agree.

  Args:
    numbers: as `seed_pairs` returns.
  """
  rows = []
  for (test_set, a, b), pair in numbers.groupby(['set', 'model_a', 'model_b'], sort=False):
    difference = pair['auc_difference']
    rows.append(
      {
        'set': test_set,
        'model_a': a,
        'model_b': b,
        'seeds': len(pair),
        'auc_difference_mean': difference.mean(),
        'auc_difference_sd': difference.std(ddof=1),
        'auc_difference_lowest': difference.min(),
        'auc_difference_highest': difference.max(),
        'a_ahead': int((difference > 0).sum()),
        'b_ahead': int((difference < 0).sum()),
        'significant': int((pair['p_holm'] < SIGNIFICANT).sum()),
        'p': pair['p'].tolist(),
        'p_holm': pair['p_holm'].tolist(),
      }
    )
  return pd.DataFrame(rows)


def _row(run: Evaluation, model: str) -> dict[str, Any]:
  cases = run.cases
  patients = cases['patient_id'].to_numpy(str)
  dice = overlap.mean_overlap(cases['dice'], patients)
  return {
    'set': run.test_set,
    'model': model,
    'seed': run.seed,
    'images': len(cases),
    'nodule': int(cases['label'].sum()),
    'normal': int((cases['label'] == 0).sum()),
    **spread('auc', roc.delong_interval(cases['label'], cases['probability'], patients)),
    **spread('dice', dice),
  }


def _named(results: Results, runs: list[Evaluation]) -> list[Evaluation]:
  """Names runs by their models, since a repeat's folder may have another name."""
  of_run = {id(repeat): model for model, repeats in results.repeats.items() for repeat in repeats}
  return [dataclasses.replace(run, model=of_run.get(id(run), run.model)) for run in runs]
