"""The paper's two questions, asked of every training seed on the sets that nobody learned from."""

import math
from typing import Any

import pandas as pd

from nodulax.report import paper
from nodulax.report.accuracy import pairs_on
from nodulax.report.results import Results
from nodulax.report.seeds import SIGNIFICANT


def questions(results: Results) -> pd.DataFrame:
  """A row a question, external set and seed: the one model's AUC minus the other's, DeLong's p.

  Empty without the models that a question is about. P is raw: these are two questions that were
  asked beforehand, not the best of many pairs.
  """
  rows: list[dict[str, Any]] = []
  for (model_a, model_b), question in paper.QUESTIONS.items():
    for test_set in filter(paper.is_external, results.test_sets):
      of_b = {run.seed: run for run in results.seeds_of(model_b, test_set)}
      of_a = (run for run in results.seeds_of(model_a, test_set) if run.seed in of_b)
      for run in sorted(of_a, key=lambda run: (run.seed is None, run.seed)):
        told = {'question': question, 'seed': run.seed, 'model_a': model_a, 'model_b': model_b}
        rows += [row | told for row in pairs_on([run, of_b[run.seed]])]
  return pd.DataFrame(rows).drop(columns=['p_holm', 'published_p'], errors='ignore')


def answers(numbers: pd.DataFrame) -> pd.DataFrame:
  """A row a question and set: mean and spread of the difference over the seeds, and the answer.

  One seed has no spread.

  Args:
    numbers: as `questions` gives.
  """
  over = pd.DataFrame(
    {
      'question': question,
      'set': test_set,
      'seeds': len(rows),
      'auc_difference_mean': rows['auc_difference'].mean(),
      'auc_difference_sd': rows['auc_difference'].std(ddof=1),
      'auc_difference_lowest': rows['auc_difference'].min(),
      'auc_difference_highest': rows['auc_difference'].max(),
      'dice_difference_mean': rows['dice_difference'].mean(),
      'answer': _answer(rows),
    }
    for (question, test_set), rows in numbers.groupby(['question', 'set'], sort=False)
  )
  spread = [name for name in over if name.startswith('auc_difference')]
  over.loc[over['seeds'] == 1, spread] = math.nan
  return over


def _answer(rows: pd.DataFrame) -> str:
  """'yes in 2 of 3 seeds (P < 0.05 in 1), no in 1 (in 0)'; nothing from one seed alone."""
  if len(rows) == 1:
    return 'one seed: no claim'
  parts = []
  for word, side in (('yes', rows[rows['auc_difference'] > 0]),
                     ('no', rows[rows['auc_difference'] <= 0])):  # fmt: skip
    if len(side):
      clear = int((side['p'] < SIGNIFICANT).sum())
      parts.append(f'{word} in {len(side)} of {len(rows)} seeds, P < {SIGNIFICANT} in {clear}')
  return '; '.join(parts)
