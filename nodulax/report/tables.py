"""The tables of the report: which column holds what, and the notes below.

Each layout takes the numbers as `accuracy`, `curves` and the others give them.
"""

import math
from collections.abc import Callable

import pandas as pd

from nodulax.report import paper
from nodulax.report.accuracy import MEASURES
from nodulax.report.study_tables import (
  questions_table,
  seed_pairs_table,
  seeds_table,
  sweep_table,
  true_labels_table,
)
from nodulax.report.subgroups import TRAITS
from nodulax.report.table import FEW_NOTE, UNKNOWN, Table, count, decimals, estimate, p_value


def cohorts_table(numbers: pd.DataFrame) -> Table:
  shown = pd.DataFrame(
    {
      'Set': numbers['set'].map(paper.set_name),
      'Part': numbers['part'],
      'Nodule': numbers['nodule'].map(count),
      'Normal': numbers['normal'].map(count),
      'Patients': numbers['patients'].map(count),
      'Located': numbers['located'].map(count),
      'Nodule, published': numbers['published_nodule'].map(count),
      'Normal, published': numbers['published_normal'].map(count),
    }
  )
  note = 'Radiographs. Located: nodule radiographs on which the place of the nodules is known.'
  return Table('table_1_cohorts', 'Table 1. Cohorts', numbers, shown, note, grouped=True)


def exclusions_table(numbers: pd.DataFrame) -> Table:
  shown = pd.DataFrame(
    {
      'Set': numbers['set'].map(paper.set_name),
      'Step': numbers['step'],
      'Number': numbers['number'].map(count),
    }
  )
  title = 'Table 1, continued. From the tables to the cohort'
  return Table('table_1_exclusions', title, numbers, shown, grouped=True)


def characteristics_table(numbers: pd.DataFrame) -> Table:
  def share(name: str, other: str) -> list[str]:
    """'45% (12)', of those known."""
    return [
      f'{ours / (ours + theirs):.0%} ({ours:,})' if ours + theirs else UNKNOWN
      for ours, theirs in zip(numbers[name], numbers[other], strict=True)
    ]

  def quartiles(name: str) -> list[str]:
    """'61 (52–70)', the median and the quartiles."""
    three = numbers[[f'{name}_{part}' for part in ('median', 'first_quartile', 'third_quartile')]]
    return [
      UNKNOWN if math.isnan(median) else f'{median:.0f} ({low:.0f}–{high:.0f})'
      for median, low, high in three.itertuples(index=False)
    ]

  shown = pd.DataFrame(
    {
      'Set': numbers['set'].map(paper.set_name),
      'Class': numbers['class'],
      'Images': numbers['images'].map(count),
      'Patients': numbers['patients'].map(count),
      'Female': share('female', 'male'),
      'Sex unknown': numbers['sex_unknown'].map(count),
      'Age, years': quartiles('age'),
      'PA view': share('PA', 'AP'),
      'View unknown': numbers['view_unknown'].map(count),
      'Nodule, mm': quartiles('nodule_diameter_mm'),
    }
  )
  note = (
    'Age and diameter: median (quartiles) of those known; shares are of those known. Diameters are '
    'of the largest nodule, at the detector.'
  )
  title = 'Table 1, continued. The radiographs evaluated here'
  return Table('table_1_characteristics', title, numbers, shown, note, grouped=True)


def performance_table(numbers: pd.DataFrame) -> Table:
  """Table 2 in the paper's form: a column a model, a block of rows a set."""
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
    'Published: Kim et al., on their own radiographs; comparable only where the sets are the same '
    'ones. –: not measured or not estimable. ' + FEW_NOTE
  )
  for test_set, block in numbers[numbers['seen']].groupby('set', sort=False):
    models = ' and '.join(map(paper.model_name, block['model']))
    note += (
      f' {models} started from weights that were trained on radiographs of the set that '
      f'{paper.set_name(str(test_set))} is a part of: the figures there may be too high.'
    )
  return Table('table_2_performance', 'Table 2. Performance', numbers, shown, note, grouped=True)


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
    'Paired tests on the radiographs that both models have seen: DeLong, Obuchowski where patients '
    "have several images. Holm's correction is over the pairs of one set. Of Dice the interval "
    'alone is given (bootstrap over patients). Published: Kim et al., on their own radiographs. '
    + FEW_NOTE
  )
  title = 'Table 2, continued. Models against each other'
  return Table('table_2_comparisons', title, numbers, shown, note)


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
    'Sensitivity, by nodule, at so many false positives an image, and its mean (95 % bootstrap '
    'interval over patients). A finding hits where its centre lies in the nodule. JAFROC: how '
    "often a nodule outranks a normal radiograph's worst false positive. " + FEW_NOTE
  )
  title = 'Table 4. Free-response ROC: sensitivity for nodules'
  return Table('table_4_localisation', title, numbers, shown, note)


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
    'split. A set with other prevalence than the training set cannot be calibrated as it is.'
  )
  return Table('table_5_calibration', 'Table 5. Calibration', numbers, shown, note)


def subgroups_table(numbers: pd.DataFrame) -> Table:
  shown = pd.DataFrame(
    {
      'Set': numbers['set'].map(paper.set_name),
      'By': numbers['trait'].map(TRAITS),
      'Group': numbers['group'].map(lambda group: group.replace('_', ' ')),
      'Model': numbers['model'].map(paper.model_name),
      'Nodule': numbers['nodule'].map(count),
      'Normal': numbers['normal'].map(count),
      **{
        title: [estimate(row, name) for _, row in numbers.iterrows()]
        for name, title in zip(MEASURES, ('AUC', 'Sensitivity', 'Specificity', 'Dice'), strict=True)
      },
    }
  )
  note = (
    'Nodule size, conspicuity and zone belong to nodules: each group stands against all normal '
    'radiographs of the set. Sizes are of the largest nodule, in mm at the detector; conspicuity '
    "and zone are in the source's own words. Groups were not chosen for their results, and nothing "
    'is corrected for their number. ' + FEW_NOTE
  )
  return Table('table_6_subgroups', 'Table 6. Results by group', numbers, shown, note)


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
    'A model is against a label where it is as sure of the other class as it is on average of '
    'radiographs of that class (confident learning: Northcutt, Jiang and Chuang, Journal of '
    'Artificial Intelligence Research 2021;70:1373). Ranked by how many are, then by how far. '
    'A suspect is a reason to look, not an error: hard cases rank high too.'
  )
  known = numbers.dropna(subset='true_label')
  if len(known):
    wrong = int((known['label'] != known['true_label']).sum())
    note += f' Where the true label is known, {wrong:,} of {len(known):,} suspects are wrong.'
  title = 'Table 7. Label-noise suspects'
  return Table('table_7_label_suspects', title, numbers, shown, note, first=120)


def checklists_table(numbers: pd.DataFrame) -> Table:
  heads = ('Guideline', 'Item', 'Section', 'Asks for', 'Filled in', 'Answer')
  shown = numbers.set_axis(heads, axis=1)
  return Table('table_8_checklists', 'Table 8. CLAIM 2024 and TRIPOD+AI', numbers, shown)


def _without_unused(shown: pd.DataFrame, *columns: str) -> pd.DataFrame:
  """The table less those of `columns` in which nothing stands."""
  return shown.drop(columns=[name for name in columns if (shown[name] == UNKNOWN).all()])


def _line(by_model: dict, show: Callable[..., str]) -> dict[str, str]:
  """A row of Table 2: a cell for each model that was tested on the set."""
  return {paper.model_name(model): show(row) for model, row in by_model.items()}


LAYOUTS = {
  'cohorts': cohorts_table,
  'exclusions': exclusions_table,
  'characteristics': characteristics_table,
  'performance': performance_table,
  'pairs': pairs_table,
  'questions': questions_table,
  'seeds': seeds_table,
  'seed_pairs': seed_pairs_table,
  'label_noise': sweep_table,
  'training_images': sweep_table,
  'true_labels': true_labels_table,
  'localisation': localisation_table,
  'calibration': calibration_table,
  'subgroups': subgroups_table,
  'suspects': suspects_table,
}
