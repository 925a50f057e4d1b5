"""The tables of the report: their columns, and the notes below.

Each layout takes the numbers as `accuracy`, `curves` and the others give them.
"""

from collections.abc import Callable

import pandas as pd

from nodulax.report import paper
from nodulax.report.accuracy import MEASURES
from nodulax.report.cohort_tables import characteristics_table, cohorts_table, exclusions_table
from nodulax.report.group_tables import nodule_groups_table, patient_groups_table
from nodulax.report.label_tables import audit_table, corrected_table, noise_rates_table
from nodulax.report.study_tables import (
  questions_table,
  seed_pairs_table,
  seeds_table,
  sweep_table,
  true_labels_table,
)
from nodulax.report.table import FEW_NOTE, UNKNOWN, Table, count, decimals, estimate, p_value


def performance_table(numbers: pd.DataFrame) -> Table:
  """Tabulates like the paper's Table 2: a column per model, a block of rows per set."""
  names = {'auc': 'AUC', 'sensitivity': 'Sensitivity', 'specificity': 'Specificity', 'dice': 'Dice'}
  rows = []
  for test_set, block in numbers.groupby('set', sort=False):
    by_model = {row['model']: row for _, row in block.iterrows()}
    lines = {
      names[name]: _line(by_model, lambda row, name=name: estimate(row, name)) for name in MEASURES
    }
    stated = {
      'AUC, published': _line(by_model, lambda row: decimals(row['published_auc'])),
      'Dice, published': _line(by_model, lambda row: row['published_dice'] or UNKNOWN),
    }
    lines |= {name: line for name, line in stated.items() if set(line.values()) != {UNKNOWN}}
    order = ('AUC', 'AUC, published', 'Sensitivity', 'Specificity', 'Dice', 'Dice, published')
    rows += [
      {'Set': paper.set_name(str(test_set)), 'Measure': name, **lines[name]}
      for name in order
      if name in lines
    ]
  columns = [paper.model_name(model) for model in dict.fromkeys(numbers['model'])]
  shown = pd.DataFrame(rows, columns=['Set', 'Measure', *columns]).fillna(UNKNOWN)
  note = (
    'Value (95 % interval). AUC: DeLong, Obuchowski where patients have several images; '
    'sensitivity and specificity at the threshold frozen on the tune split: Clopper-Pearson, or a '
    'bootstrap over patients; Dice over located nodule radiographs: bootstrap over patients. '
    'Published: Kim et al., on their own radiographs; comparable only on the same sets. '
    '–: not measured or not estimable. ' + FEW_NOTE
  )
  for test_set, block in numbers[numbers['seen']].groupby('set', sort=False):
    models = ' and '.join(map(paper.model_name, block['model']))
    note += (
      f' {models} started from weights trained on radiographs of the set that '
      f'{paper.set_name(str(test_set))} is part of: these figures may be too high.'
    )
  return Table('table_performance', 'Performance', numbers, shown, note, grouped=True)


def operating_points_table(numbers: pd.DataFrame) -> Table:
  shown = pd.DataFrame(
    {
      'Set': numbers['set'].map(paper.set_name),
      'Model': numbers['model'].map(paper.model_name),
      'Threshold by': numbers['chosen_by'],
      'Threshold': numbers['threshold'].map(lambda value: decimals(value, 3)),
      'Sensitivity': [estimate(row, 'sensitivity') for _, row in numbers.iterrows()],
      'Specificity': [estimate(row, 'specificity') for _, row in numbers.iterrows()],
      'PPV': [estimate(row, 'positive_predictive_value') for _, row in numbers.iterrows()],
      'NPV': [estimate(row, 'negative_predictive_value') for _, row in numbers.iterrows()],
      'With a nodule': numbers['prevalence'].map(lambda share: f'{share:.0%}'),
    }
  )
  note = (
    "Thresholds were frozen on the tune split: by Youden's index, or as the lowest at which 90 % "
    'of its normal radiographs are called normal (evaluations of earlier versions have no such '
    'threshold). PPV, NPV: positive and negative predictive value, which hold only at the share '
    'of nodules in the set. 95 % intervals: Clopper-Pearson, or a bootstrap over patients.'
  )
  title = 'Frozen thresholds and predictive values'
  return Table('table_operating_points', title, numbers, shown, note, grouped=True)


def pairs_table(numbers: pd.DataFrame) -> Table:
  shown = pd.DataFrame(
    {
      'Set': numbers['set'].map(paper.set_name),
      'Model A': numbers['model_a'].map(paper.model_name),
      'Model B': numbers['model_b'].map(paper.model_name),
      'Radiographs': numbers['images'].map(count),
      'AUC, A minus B': [estimate(row, 'auc_difference', 3) for _, row in numbers.iterrows()],
      'P': numbers['p'].map(p_value),
      'P, Holm': numbers['p_holm'].map(p_value),
      'P, published': numbers['published_p'].map(lambda stated: stated or UNKNOWN),
      'Dice, A minus B': [estimate(row, 'dice_difference') for _, row in numbers.iterrows()],
    }
  ).pipe(_without_unused, 'P, published')
  note = (
    'Paired tests on the radiographs that both models have read: DeLong, Obuchowski where patients '
    "have several images. Holm's correction covers the pairs of one set. For Dice only the "
    'interval is given (bootstrap over patients). Published: Kim et al., on their own radiographs. '
    + FEW_NOTE
  )
  title = 'Models against each other'
  return Table('table_pairs', title, numbers, shown, note)


def localisation_table(numbers: pd.DataFrame) -> Table:
  rates = [name for name in numbers if name.startswith('sensitivity_at_')]
  fractions = {'0.125': '1/8', '0.25': '1/4', '0.5': '1/2'}
  heads = [name.removeprefix('sensitivity_at_') for name in rates]
  shown = pd.DataFrame(
    {
      'Set': numbers['set'].map(paper.set_name),
      'Model': numbers['model'].map(paper.model_name),
      'Nodules': numbers['nodules'].map(count),
      **{
        f'at {fractions.get(head, head)}': numbers[name].map(decimals)
        for name, head in zip(rates, heads, strict=True)
      },
      'Mean sensitivity': [estimate(row, 'mean_sensitivity') for _, row in numbers.iterrows()],
      'JAFROC': [estimate(row, 'jafroc') for _, row in numbers.iterrows()],
    }
  )
  note = (
    'Sensitivity by nodule at this many false positives per image, and its mean (95 % bootstrap '
    'interval over patients). A finding is a hit if its centre lies in the nodule. JAFROC: how '
    "often a nodule outranks a normal radiograph's worst false positive. " + FEW_NOTE
  )
  title = 'Free-response ROC: sensitivity for nodules'
  return Table('table_localisation', title, numbers, shown, note)


def calibration_table(numbers: pd.DataFrame) -> Table:
  def column(name: str) -> pd.Series:
    return numbers[name].map(lambda value: decimals(value, 3))

  shown = pd.DataFrame(
    {
      'Set': numbers['set'].map(paper.set_name),
      'Model': numbers['model'].map(paper.model_name),
      'Share of nodule': column('observed'),
      'Mean probability': column('predicted'),
      'Calibration error': column('calibration_error'),
      'Brier score': column('brier'),
      'Reliability': column('reliability'),
      'Resolution': column('resolution'),
      'Temperature': numbers['temperature'].map(decimals),
      'Error at temperature': column('calibration_error_at_temperature'),
    }
  ).pipe(_without_unused, 'Temperature', 'Error at temperature')
  note = (
    'Expected calibration error over ten bins of probability; lower is better, as for the Brier '
    'score and its reliability; higher is better for resolution. Temperature: fitted on the tune '
    'split. A model is not calibrated on a set of another prevalence than its training set.'
  )
  return Table('table_calibration', 'Calibration', numbers, shown, note)


def suspects_table(numbers: pd.DataFrame) -> Table:
  shown = pd.DataFrame(
    {
      'Rank': numbers['rank'].map(count),
      'Set': numbers['set'].map(paper.set_name),
      'Image': numbers['image_id'],
      'Label': numbers['label'].map({1: 'nodule', 0: 'normal'}),
      'True label': numbers['true_label'].map({1: 'nodule', 0: 'normal'}).fillna(UNKNOWN),
      'Models against': [
        f'{row["models_against"]} of {row["models"]}' for _, row in numbers.iterrows()
      ],
      'Mean probability': numbers['mean_probability'].map(lambda value: decimals(value, 3)),
      'Margin': numbers['margin'].map(lambda value: decimals(value, 3)),
    }
  ).pipe(_without_unused, 'True label')
  note = (
    'A model contradicts a label if it is as sure of the other class as it is on average for '
    'radiographs of that class (confident learning: Northcutt, Jiang and Chuang, Journal of '
    'Artificial Intelligence Research 2021;70:1373). Ranked by how many do, then by how far. '
    'A suspect is a reason to look, not an error: hard cases rank high too.'
  )
  known = numbers.dropna(subset='true_label')
  if len(known):
    wrong = int((known['label'] != known['true_label']).sum())
    note += f' Where the true label is known, {wrong:,} of {len(known):,} suspects are wrong.'
  title = 'Doubtful labels'
  return Table('table_suspects', title, numbers, shown, note, first=30)


def checklists_table(numbers: pd.DataFrame) -> Table:
  heads = ('Guideline', 'Item', 'Section', 'Asks for', 'Filled in', 'Answer')
  shown = numbers.set_axis(heads, axis=1)
  return Table('table_checklists', 'CLAIM 2024 and TRIPOD+AI', numbers, shown)


def _without_unused(shown: pd.DataFrame, *columns: str) -> pd.DataFrame:
  """Returns the table without those of `columns` that are empty."""
  return shown.drop(columns=[name for name in columns if (shown[name] == UNKNOWN).all()])


def _line(by_model: dict, show: Callable[..., str]) -> dict[str, str]:
  """Returns a row of the table of performance: a cell for each model that was tested on the set."""
  return {paper.model_name(model): show(row) for model, row in by_model.items()}


LAYOUTS: dict[str, Callable[[pd.DataFrame], Table | None]] = {
  'cohorts': cohorts_table,
  'exclusions': exclusions_table,
  'characteristics': characteristics_table,
  'performance': performance_table,
  'operating_points': operating_points_table,
  'pairs': pairs_table,
  'questions': questions_table,
  'seeds': seeds_table,
  'seed_pairs': seed_pairs_table,
  'label_noise': sweep_table,
  'training_images': sweep_table,
  'true_labels': true_labels_table,
  'localisation': localisation_table,
  'calibration': calibration_table,
  'nodule_groups': nodule_groups_table,
  'patient_groups': patient_groups_table,
  'suspects': suspects_table,
  'audit': audit_table,
  'noise_rates': noise_rates_table,
  'corrected': corrected_table,
}
