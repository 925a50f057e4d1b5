"""Results by nodule size, conspicuity and zone, and by sex, age and view."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from nodulax.report.accuracy import measure
from nodulax.report.results import UNKNOWN, Evaluation, Results

# Traits of nodules; each group is compared with all normal radiographs of the set.
NODULE_TRAITS = {'nodule_diameter_mm': 'Nodule size', 'conspicuity': 'Conspicuity', 'zone': 'Zone'}
PATIENT_TRAITS = {'sex': 'Sex', 'age': 'Age', 'view': 'View'}
TRAITS = NODULE_TRAITS | PATIENT_TRAITS

# Fleischner Society: a mass is larger than 30 mm.
SIZES = (
  (0, 10, 'up to 10 mm'),
  (10, 20, '10 to 20 mm'),
  (20, 30, '20 to 30 mm'),
  (30, np.inf, 'above 30 mm'),
)
AGES = (
  (0, 40, 'below 40 years'),
  (40, 60, '40 to 59 years'),
  (60, 80, '60 to 79 years'),
  (80, np.inf, '80 years and above'),
)
# From the top down, then the places where nodules hide.
ZONES = ('apex', 'upper', 'middle', 'lower', 'hilum', 'behind_heart', 'below_diaphragm')

# From the hardest to see, in JSRT's words and other usual ones; numbers sort by themselves.
CONSPICUITY = (
  *('extremely subtle', 'very subtle', 'subtle', 'faint', 'low', 'moderate', 'medium', 'high'),
  *('relatively obvious', 'obvious', 'very obvious'),
)


def subgroups(results: Results) -> pd.DataFrame:
  """Returns a row per set, group and model, without traits that a set does not record."""
  rows = []
  for test_set in results.test_sets:
    for trait in TRAITS:
      of_trait = [row for evaluation in results.on(test_set) for row in _rows(evaluation, trait)]
      rows += sorted(of_trait, key=lambda row: place(row['trait'], row['group']))
  return pd.DataFrame(rows)


def _rows(evaluation: Evaluation, trait: str) -> Iterator[dict[str, Any]]:
  cases = evaluation.cases
  nodule = cases['label'] == 1
  of_nodules = trait in NODULE_TRAITS
  groups = group_names(cases[trait])[nodule if of_nodules else slice(None)]
  if set(groups) <= {UNKNOWN}:
    return
  for name in groups.unique():
    members = cases.loc[groups.index[groups == name]]
    yield {
      'set': evaluation.test_set,
      'trait': trait,
      'group': name,
      'model': evaluation.model,
      **measure(members, evaluation.threshold, cases[~nodule] if of_nodules else None),
    }


def group_names(values: pd.Series) -> pd.Series:
  """Returns the group of each radiograph."""
  bounds = {'nodule_diameter_mm': SIZES, 'age': AGES}.get(str(values.name))
  if bounds is None:
    return values
  names = np.select(
    # A nodule of exactly 30 mm is not a mass, but a patient of exactly 60 is in the older group.
    [
      (values > low) & (values <= high) if bounds is SIZES else (values >= low) & (values < high)
      for low, high, _ in bounds
    ],
    [name for _, _, name in bounds],
    UNKNOWN,
  )
  return pd.Series(names, index=values.index)


def group_name(trait: str, group: str) -> str:
  """Names a group together with its trait: 'conspicuity 1', 'age unknown'."""
  words = group.replace('_', ' ')
  spelled_out = group != UNKNOWN and trait not in ('conspicuity', 'view')
  return words if spelled_out else f'{TRAITS[trait].lower()} {words}'


def place(trait: str, group: str) -> tuple[Any, ...]:
  """Sorts the groups of a trait: conspicuity from the hardest to the easiest, unknown last."""
  known = {
    'nodule_diameter_mm': [name for *_, name in SIZES],
    'age': [name for *_, name in AGES],
    'zone': list(ZONES),
    'conspicuity': list(CONSPICUITY),
  }.get(trait, [])
  plain = group.replace('_', ' ').lower() if trait == 'conspicuity' else group
  natural = [int(part) if part.isdigit() else 0 for part in re.split(r'(\d+)', group)]
  return (
    group == UNKNOWN,
    known.index(plain) if plain in known else len(known),
    natural,
    group,
  )
