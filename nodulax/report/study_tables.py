"""The tables of a study: training seeds, what was varied, and true labels."""

import math

import pandas as pd

from nodulax.report import paper
from nodulax.report.questions import answers
from nodulax.report.seeds import SIGNIFICANT, agreement, spreads
from nodulax.report.table import (
  FEW_NOTE,
  UNKNOWN,
  Table,
  count,
  decimals,
  estimate,
  p_value,
  signed,
)

VARIED = {'label_noise': 'Label noise', 'training_images': 'Training radiographs'}


def questions_table(numbers: pd.DataFrame) -> Table:
  """Tabulates per question and set each seed's difference and p, the spread, and the answer."""
  over = answers(numbers)
  names = ['question', 'set']
  each = numbers.assign(
    shown=[
      f'{signed(row["auc_difference"])}, P {p_value(row["p"])}' for _, row in numbers.iterrows()
    ],
    seed=numbers['seed'].map(lambda seed: 'unknown' if pd.isna(seed) else f'{seed:g}'),
  )
  by_seed = each.pivot(index=names, columns='seed', values='shown').fillna(UNKNOWN)
  by_seed = by_seed.reindex(pd.MultiIndex.from_frame(over[names]))[each['seed'].unique()]
  shown = pd.DataFrame(
    {
      'Question': over['question'],
      'Tested on': over['set'].map(paper.set_name),
      'Seed by seed': over['answer'],
      **{f'Seed {seed}': by_seed[seed].to_numpy() for seed in by_seed},
      'Mean': over['auc_difference_mean'].map(signed),
      '95 % interval': [_interval(row) for _, row in over.iterrows()],
      'P': over['mean_p'].map(p_value),
      'Range': _range(over, 'auc_difference'),
      'Standard deviation': _decimals(over['auc_difference_sd']),
      'Dice, mean': over['dice_difference_mean'].map(lambda value: signed(value, 2)),
    }
  )
  sides = '; '.join(
    f'{question} {paper.model_name(a)} minus {paper.model_name(b)}'
    for (a, b), question in paper.QUESTIONS.items()
    if question in set(over['question'])
  )
  note = (
    f'Differences in AUC (and, at the end, in Dice): {sides}. Each seed trained both models anew; '
    'P is of the paired test on the same radiographs (DeLong, Obuchowski where '
    'patients have several images), which covers the choice of radiographs. Range and standard '
    'deviation are over the seeds and show what another training run changes. Interval and P of '
    'the mean cover both (Obuchowski and Rockette, Communications in Statistics 1995;24:285, with '
    'seeds in place of readers). P is raw: two questions, asked beforehand.'
  )
  title = "The paper's two questions, seed by seed"
  return Table('table_questions', title, numbers, shown, note, grouped=True)


def seeds_table(numbers: pd.DataFrame) -> Table:
  """Tabulates per model and set each seed's AUC, and mean and range over the seeds."""
  over = spreads(numbers)
  names = ['set', 'model']
  each = numbers.assign(shown=[estimate(row, 'auc') for _, row in numbers.iterrows()])
  by_seed = each.pivot(index=names, columns='seed', values='shown').fillna(UNKNOWN)
  by_seed = by_seed.reindex(pd.MultiIndex.from_frame(over[names]))
  shown = pd.DataFrame(
    {
      'Set': over['set'].map(paper.set_name),
      'Model': over['model'].map(paper.model_name),
      **{f'AUC, seed {seed}': by_seed[seed].to_numpy() for seed in by_seed},
      'AUC, mean': _decimals(over['auc_mean']),
      'Range': _range(over, 'auc'),
      'Standard deviation': _decimals(over['auc_sd']),
      'Dice, mean': over['dice_mean'].map(decimals),
      'Dice, range': _range(over, 'dice', 2),
    }
  )
  note = (
    'The same model trained again with other random numbers. In brackets the 95 % interval of each '
    'run, which covers the choice of radiographs; mean, range and standard deviation are over the '
    'runs and show what another training run changes. ' + FEW_NOTE
  )
  title = 'Spread between training seeds'
  return Table('table_seeds', title, numbers, shown, note, grouped=True)


def seed_pairs_table(numbers: pd.DataFrame) -> Table:
  """Tabulates every two models on a set: each seed's p, and whether the seeds agree."""
  over = agreement(numbers)
  shown = pd.DataFrame(
    {
      'Set': over['set'].map(paper.set_name),
      'Model A': over['model_a'].map(paper.model_name),
      'Model B': over['model_b'].map(paper.model_name),
      'AUC, A minus B, mean': _decimals(over['auc_difference_mean']),
      'Range over seeds': _range(over, 'auc_difference'),
      'Higher AUC': [_higher(row) for _, row in over.iterrows()],
      'P, each seed': over['p'].map(lambda values: ', '.join(map(p_value, values))),
      'P, Holm, each seed': over['p_holm'].map(lambda values: ', '.join(map(p_value, values))),
      f'P, Holm < {SIGNIFICANT}': [
        f'{row["significant"]} of {row["seeds"]} seeds' for _, row in over.iterrows()
      ],
    }
  )
  note = (
    'Models of one seed against each other on the same radiographs (DeLong, Obuchowski where '
    "patients have several images), in the order of the seeds; Holm's correction covers the pairs "
    'of one set and seed. A difference whose sign or significance changes from seed to seed is not '
    'due to the labels; no claim rests on one seed.'
  )
  title = 'Models against each other, seed by seed'
  return Table('table_seed_comparisons', title, numbers, shown, note)


def sweep_table(numbers: pd.DataFrame) -> Table:
  """Tabulates one sweep, a row per set, model, value and seed."""
  name = numbers['sweep'].iloc[0]
  shown = pd.DataFrame(
    {
      'Set': numbers['set'].map(paper.set_name),
      'Model': numbers['model'].map(paper.model_name),
      VARIED[name]: numbers['value'].map(lambda value: varied(name, value)),
      'Seed': numbers['seed'].map(str),
      'Nodule': numbers['nodule'].map(count),
      'Normal': numbers['normal'].map(count),
      'AUC': [estimate(row, 'auc') for _, row in numbers.iterrows()],
      'Dice': [estimate(row, 'dice') for _, row in numbers.iterrows()],
    }
  )
  about = {
    'label_noise': 'Share of the training labels that were flipped, everything else the same; the '
    'sets on which the models are tested keep their labels.',
    'training_images': 'How many radiographs a model learned from, everything else the same.',
  }[name]
  note = (
    f'{about} A row per training run; in brackets 95 % intervals: of AUC by DeLong (Obuchowski '
    'where patients have several images), of Dice by a bootstrap over patients. They do not '
    'cover what another seed changes: look at the trend, not at neighbouring values. ' + FEW_NOTE
  )
  return Table(f'table_{name}', f'Results by {VARIED[name].lower()}', numbers, shown, note)


def true_labels_table(numbers: pd.DataFrame) -> Table:
  """Tabulates two rows per model and set: under the labels as given, and under the true ones."""
  true = [name for name in numbers if name.endswith('_true')]
  names = {name: name.removesuffix('_true') for name in true}
  as_is = numbers.drop(columns=list(names.values())).rename(columns=names)
  rows = pd.concat([numbers.assign(labels='as given'), as_is.assign(labels='true')])
  rows = rows.sort_index(kind='stable')
  shown = pd.DataFrame(
    {
      'Set': rows['set'].map(paper.set_name),
      'Model': rows['model'].map(paper.model_name),
      'Labels': rows['labels'],
      'Nodule': rows['nodule'].map(count),
      'Normal': rows['normal'].map(count),
      'AUC': [estimate(row, 'auc') for _, row in rows.iterrows()],
      'Sensitivity': [estimate(row, 'sensitivity') for _, row in rows.iterrows()],
      'Specificity': [estimate(row, 'specificity') for _, row in rows.iterrows()],
    }
  )
  wrong = '; '.join(
    f'{paper.set_name(str(test_set))}: {of_set["wrongly_nodule"].iloc[0]:,} of '
    f'{of_set["images"].iloc[0]:,} radiographs are wrongly labelled nodule and '
    f'{of_set["wrongly_normal"].iloc[0]:,} wrongly normal'
    for test_set, of_set in numbers.groupby('set', sort=False)
  )
  note = (
    f'{wrong}. Radiographs and scores are the same in both rows; only the labels differ. A model '
    'that does better under the true labels is better than its figures as given. ' + FEW_NOTE
  )
  title = 'Labels as given and true labels'
  return Table('table_true_labels', title, numbers, shown, note, grouped=True)


def varied(name: str, value: float) -> str:
  """Formats a value of a sweep: '20 %' or '1,200'."""
  return f'{100 * value:g} %' if name == 'label_noise' else f'{value:,.0f}'


def _interval(row: pd.Series) -> str:
  """Formats the interval of the mean difference."""
  if math.isnan(row['mean_difference_low']):
    return UNKNOWN
  return f'{signed(row["mean_difference_low"])} to {signed(row["mean_difference_high"])}'


def _decimals(values: pd.Series) -> pd.Series:
  return values.map(lambda value: decimals(value, 3))


def _range(over: pd.DataFrame, name: str, digits: int = 3) -> list[str]:
  """'0.861–0.902', or '−0.012 to 0.034'."""
  pairs = zip(over[f'{name}_lowest'], over[f'{name}_highest'], strict=True)
  return [
    UNKNOWN
    if math.isnan(low)
    else f'{decimals(low, digits)}{" to " if low < 0 else "–"}{decimals(high, digits)}'
    for low, high in pairs
  ]


def _higher(row: pd.Series) -> str:
  """'B in 3 of 3 seeds'."""
  side, times = max((('A', row['a_ahead']), ('B', row['b_ahead'])), key=lambda pair: pair[1])
  return f'{side} in {times} of {row["seeds"]} seeds' if times else 'neither'
