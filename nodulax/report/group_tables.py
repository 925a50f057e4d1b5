"""The tables of results by group, of nodules and of patients."""

from collections.abc import Mapping

import pandas as pd

from nodulax.report import paper
from nodulax.report.subgroups import NODULE_TRAITS, PATIENT_TRAITS, TRAITS
from nodulax.report.table import FEW_NOTE, UNKNOWN, Table, count, estimate


def nodule_groups_table(numbers: pd.DataFrame) -> Table | None:
  """Tabulates sensitivity by traits of nodules, a column per model."""
  note = (
    'Sensitivity (95 % interval) at the frozen threshold. Sizes are of the largest nodule, in mm '
    "at the detector; conspicuity and zone are in the source's own words. Groups were not chosen "
    'for their results, and nothing is corrected for their number. AUC (each group against all '
    'normal radiographs of its set) and Dice are in the CSV file.'
  )
  counts = {'Nodule': 'nodule'}
  return _groups_table(numbers, NODULE_TRAITS, 'sensitivity', 'nodule', counts, note)


def patient_groups_table(numbers: pd.DataFrame) -> Table | None:
  """Tabulates AUC by traits of patients, a column per model."""
  note = (
    'AUC (95 % interval). Groups were not chosen by their results, and nothing is corrected for '
    'their number. Sensitivity, specificity and Dice are in the CSV file. ' + FEW_NOTE
  )
  counts = {'Nodule': 'nodule', 'Normal': 'normal'}
  return _groups_table(numbers, PATIENT_TRAITS, 'auc', 'patient', counts, note)


def _groups_table(
  numbers: pd.DataFrame,
  traits: Mapping[str, str],
  measure: str,
  whose: str,
  counts: Mapping[str, str],
  note: str,
) -> Table | None:
  """Returns a row per set and group; None if the sets record none of the traits."""
  numbers = numbers[numbers['trait'].isin(traits)]
  if numbers.empty:
    return None
  keys = ['set', 'trait', 'group']
  groups = numbers.groupby(keys, sort=False)
  shown = pd.DataFrame(
    [
      {
        'Set': paper.set_name(test_set),
        'By': TRAITS[trait],
        'Group': group.replace('_', ' '),
        # A model that was tested on fewer radiographs has its own counts in the CSV file.
        **{head: count(rows[name].max()) for head, name in counts.items()},
        **{paper.model_name(row['model']): estimate(row, measure) for _, row in rows.iterrows()},
      }
      for (test_set, trait, group), rows in groups
    ]
  ).fillna(UNKNOWN)
  names = {'sensitivity': 'Sensitivity', 'auc': 'AUC'}
  title = f'{names[measure]} by {", ".join(words.lower() for words in traits.values())}'
  return Table(f'table_{whose}_groups', title, numbers, shown, note)
