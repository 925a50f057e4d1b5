"""The first screen: the best model of each set, and how certain that is."""

import pandas as pd

from nodulax.report import paper
from nodulax.report.results import Results
from nodulax.report.seeds import SIGNIFICANT, agreement, spreads
from nodulax.report.table import Table, decimals, estimate, p_value, signed


def one_run(results: Results, tables: dict[str, Table]) -> str:
  """Says which training runs the tables and figures of the models show."""
  if not results.repeats:
    return (
      'Each model was trained once. Another training seed would give other numbers, and '
      'intervals and P values do not cover that: a small difference between two models may be due '
      'to the training run.'
    )
  first = {results.of(model)[0].seed for model in results.repeats}
  which = f'seed {first.pop()}' if len(first) == 1 else 'the first seed'
  where = tables['seeds'].title.partition('. ')[0] if 'seeds' in tables else 'numbers.json'
  return (
    f'Unless stated otherwise, tables and figures show one training run of each model '
    f'({which}). The others are in {where}; a claim about the models must include them.'
  )


def highlights(tables: dict[str, Table]) -> list[dict[str, str]]:
  """Returns the highest AUC of each set, by mean over seeds, and if the next is clearly lower."""
  over_seeds = spreads(tables['seeds'].numbers) if 'seeds' in tables else pd.DataFrame()
  cards = []
  for test_set, block in tables['performance'].numbers.groupby('set', sort=False):
    means = {row['model']: row['auc'] for _, row in block.iterrows()}
    spread = {}
    if len(over_seeds):
      of_set = over_seeds[over_seeds['set'] == test_set]
      spread = {row['model']: row for _, row in of_set.iterrows()}
      means |= {model: row['auc_mean'] for model, row in spread.items()}
    known = [model for model in means if means[model] >= 0]
    ranked = sorted(known, key=lambda model: means[model], reverse=True)
    card = {
      'set': paper.set_name(str(test_set)),
      'auc': 'no AUC',
      'interval': '',
      'model': 'not estimable here',
      'remark': f'{block["images"].max():,} radiographs, {block["nodule"].max():,} with a nodule.',
    }
    if ranked:
      best = ranked[0]
      row = block[block['model'] == best].iloc[0]
      card |= {'model': paper.model_name(best), **_shown(row, spread.get(best))}
    if len(ranked) > 1:
      card['remark'] += _compared(tables, str(test_set), ranked[0], ranked[1])
    cards.append(card)
  return cards


def _shown(row: pd.Series, runs: pd.Series | None) -> dict[str, str]:
  """Returns the AUC of one run with its interval, or the mean of several with their range."""
  if runs is None:
    value, _, interval = estimate(row, 'auc').partition(' ')
    return {'auc': f'AUC {value}', 'interval': interval}
  reach = f'{decimals(runs["auc_lowest"])}–{decimals(runs["auc_highest"])}'
  return {
    'auc': f'AUC {decimals(runs["auc_mean"])}',
    'interval': f'(mean of {runs["runs"]} seeds, {reach})',
  }


def _compared(tables: dict[str, Table], test_set: str, best: str, second: str) -> str:
  """Compares the best model with the next; 'ahead' only where the difference is significant."""

  def pair(table: pd.DataFrame) -> pd.Series | None:
    rows = table[
      (table['set'] == test_set) & table[['model_a', 'model_b']].isin([best, second]).all(axis=1)
    ]
    return None if rows.empty else rows.iloc[0]

  name = paper.model_name(second)
  of_seeds = pair(agreement(tables['seed_pairs'].numbers)) if 'seed_pairs' in tables else None
  if of_seeds is not None:
    sign = 1 if of_seeds['model_a'] == best else -1
    mean = signed(sign * of_seeds['auc_difference_mean'])
    seeds, clear = of_seeds['seeds'], of_seeds['significant']
    higher = of_seeds['a_ahead' if sign > 0 else 'b_ahead']
    if clear == seeds == higher:
      return f' Ahead of {name} in all {seeds} seeds, by {mean} on average.'
    return (
      f' Not clearly different from {name}: {mean} on average, P < {SIGNIFICANT} (Holm) in {clear} '
      f'of {seeds} seeds.'
    )
  of_run = pair(tables['pairs'].numbers) if 'pairs' in tables else None
  if of_run is None:
    return ''
  sign = 1 if of_run['model_a'] == best else -1
  by = sign * of_run['auc_difference']
  difference = signed(by)
  sure = f'P {p_value(of_run["p_holm"])} (Holm), one training run each.'
  if of_run['p_holm'] < SIGNIFICANT:
    # Ranked by the mean over seeds, or on radiographs that the next has not read, it can be behind.
    return f' {"Ahead of" if by > 0 else "Behind"} {name}: {difference}, {sure}'
  return f' No significant difference from {name}: {difference}, {sure}'
