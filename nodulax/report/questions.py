"""The paper's two questions, for every training seed on the sets that no model learned from."""

import functools
import math
from typing import Any

import numpy as np
import pandas as pd

from nodulax.report import paper
from nodulax.report.accuracy import pairs_on
from nodulax.report.results import Evaluation, Results
from nodulax.report.seeds import SIGNIFICANT
from nodulax.report.table import p_value, signed
from nodulax.statistics import roc


def questions(results: Results) -> pd.DataFrame:
  """Returns a row per question, external set and seed: difference in AUC, DeLong's p.

  The columns that begin with `mean_` are over all seeds of a question and set, with an interval
  that covers radiographs and seeds (`roc.seeds_test`); NaN for one seed. Empty without the models
  of a question. P is raw, because the two questions were asked beforehand, not chosen from many.
  """
  rows: list[dict[str, Any]] = []
  for (model_a, model_b), question in paper.QUESTIONS.items():
    for test_set in filter(paper.is_external, results.test_sets):
      of_b = {run.seed: run for run in results.seeds_of(model_b, test_set)}
      of_a = (run for run in results.seeds_of(model_a, test_set) if run.seed in of_b)
      runs = sorted(of_a, key=lambda run: (run.seed is None, run.seed))
      pairs = [(run, of_b[run.seed]) for run in runs]
      together = _together(pairs)
      for run, other in pairs:
        asked = {'question': question, 'seed': run.seed, 'model_a': model_a, 'model_b': model_b}
        rows += [row | asked | together for row in pairs_on([run, other])]
  return pd.DataFrame(rows).drop(columns=['p_holm', 'published_p'], errors='ignore')


def _together(pairs: list[tuple[Evaluation, Evaluation]]) -> dict[str, float]:
  """Returns the mean difference over the seeds with its interval and p."""
  names = ('mean_difference', 'mean_difference_low', 'mean_difference_high', 'mean_p')
  unknown = dict.fromkeys(names, math.nan)
  if len(pairs) < 2:
    return unknown
  common = functools.reduce(
    lambda index, run: index.intersection(run.cases.index),
    (run for pair in pairs for run in pair),
    pairs[0][0].cases.index,
  )
  cases = pairs[0][0].cases.loc[common]
  if cases['label'].nunique() < 2:
    return unknown
  scores = np.array([[run.cases.loc[common, 'probability'] for run in pair] for pair in pairs])
  test = roc.seeds_test(
    cases['label'], scores[:, 0], scores[:, 1], cases['patient_id'].to_numpy(str)
  )
  return dict(zip(names, (test.difference, *test.interval, test.p_value), strict=True))


def answers(numbers: pd.DataFrame) -> pd.DataFrame:
  """Returns per question and set the mean and spread of the difference, and the answer.

  One seed has no spread.

  Args:
    numbers: as `questions` returns.
  """
  over = pd.DataFrame(
    {
      'question': question,
      'set': test_set,
      'model_a': rows['model_a'].iloc[0],
      'model_b': rows['model_b'].iloc[0],
      'seeds': len(rows),
      'auc_difference_mean': rows['auc_difference'].mean(),
      'auc_difference_sd': rows['auc_difference'].std(ddof=1),
      'auc_difference_lowest': rows['auc_difference'].min(),
      'auc_difference_highest': rows['auc_difference'].max(),
      'dice_difference_mean': rows['dice_difference'].mean(),
      **rows[['mean_difference', 'mean_difference_low', 'mean_difference_high', 'mean_p']].iloc[0],
      'answer': _answer(rows),
    }
    for (question, test_set), rows in numbers.groupby(['question', 'set'], sort=False)
  )
  spread = [name for name in over if name.startswith('auc_difference')]
  over.loc[over['seeds'] == 1, spread] = math.nan
  return over


def sentences(numbers: pd.DataFrame) -> list[tuple[str, str, str]]:
  """Returns each question, its answer in a few words, and the effect with interval and seeds.

  Args:
    numbers: as `questions` returns; a question without rows has no sentence.
  """
  if numbers.empty:
    return []
  over = answers(numbers)
  return [
    (str(question), _verdict(rows), _effect(rows, numbers[numbers['question'] == question]))
    for question, rows in over.groupby('question', sort=False)
  ]


def _verdict(over: pd.DataFrame) -> str:
  """'Yes on GMC; not shown on VinBig.'"""
  words: dict[str, list[str]] = {}
  for _, row in over.iterrows():
    words.setdefault(_word(row), []).append(paper.set_name(row['set']))
  verdict = '; '.join(f'{word} on {" and ".join(sets)}' for word, sets in words.items())
  one = ': one training seed is not enough' if (over['seeds'] == 1).all() else ''
  return f'{verdict[0].upper()}{verdict[1:]}{one}.'


def _word(row: pd.Series) -> str:
  if row['seeds'] == 1:
    return 'open'
  if not row['mean_p'] < SIGNIFICANT:
    return 'not shown'
  return 'yes' if row['mean_difference'] > 0 else 'no, the opposite'


def _effect(over: pd.DataFrame, numbers: pd.DataFrame) -> str:
  """'Model 2 minus Model 1, AUC: +0.106 (95 % interval ...) on GMC, ...; mean of 3 seeds.'"""
  first = over.iloc[0]
  parts = []
  for _, row in over.iterrows():
    where = paper.set_name(row['set'])
    if row['seeds'] == 1:
      (one,) = (of for _, of in numbers[numbers['set'] == row['set']].iterrows())
      name, p = 'auc_difference', one['p']
    else:
      one, name, p = row, 'mean_difference', row['mean_p']
    bounds = f'{signed(one[f"{name}_low"])} to {signed(one[f"{name}_high"])}'
    compared = '< 0.001' if p < 0.001 else f'= {p_value(p)}'
    shown = f'95 % interval {bounds}, P {compared}'
    if math.isnan(one[f'{name}_low']):
      shown = 'no interval'
    parts.append(f'{signed(one[name])} ({shown}) on {where}')
  seeds = sorted(set(over['seeds']))
  of_seeds = {(1,): 'one training seed'}.get(
    tuple(seeds), f'mean of {" or ".join(str(count) for count in seeds)} training seeds'
  )
  difference = f'{paper.model_name(first["model_a"])} minus {paper.model_name(first["model_b"])}'
  return f'{difference}, AUC: {" and ".join(parts)}; {of_seeds}.'


def _answer(rows: pd.DataFrame) -> str:
  """'higher in 2 of 3 seeds, P < 0.05 in 1; not in 1 ...'; no claim from one seed."""
  if len(rows) == 1:
    return 'one seed: no claim'
  parts = []
  for word, side in (('higher', rows[rows['auc_difference'] > 0]),
                     ('not higher', rows[rows['auc_difference'] <= 0])):  # fmt: skip
    if len(side):
      clear = int((side['p'] < SIGNIFICANT).sum())
      parts.append(f'{word} in {len(side)} of {len(rows)} seeds, P < {SIGNIFICANT} in {clear}')
  return '; '.join(parts)
