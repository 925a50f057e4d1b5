"""The tables of the cohorts, and of the radiographs that were tested."""

import math

import pandas as pd

from nodulax.report import paper
from nodulax.report.table import UNKNOWN, Table, count


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
  note = 'Radiographs. Located: nodule radiographs whose nodules have a known location.'
  return Table('table_cohorts', 'Cohorts', numbers, shown, note, grouped=True)


def exclusions_table(numbers: pd.DataFrame) -> Table:
  shown = pd.DataFrame(
    {
      'Set': numbers['set'].map(paper.set_name),
      'Step': numbers['step'],
      'Number': numbers['number'].map(count),
    }
  )
  title = 'Images read and excluded'
  return Table('table_exclusions', title, numbers, shown, grouped=True)


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
    'Age and diameter: median (quartiles). Unknown values are left out. Diameters are of the '
    'largest nodule, at the detector.'
  )
  title = 'The radiographs evaluated here'
  return Table('table_characteristics', title, numbers, shown, note, grouped=True)
