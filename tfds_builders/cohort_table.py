"""The cohort table: what was read, what each rule excluded, and what is in which split."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath
from rich.console import Console
from rich.table import Table as TextTable

from tfds_builders.cohort import Cohort
from tfds_builders.records import Record
from tfds_builders.schema import NOTICE

# The counts of a split, and their names for people.
COLUMNS = {
  'nodule': 'nodule',
  'normal': 'normal',
  'patients': 'patients',
  'nodule_patients': 'patients: nodule',
  'located': 'located',
}

# How many images that were left out for one reason are printed by name.
_NAMED = 10


@dataclasses.dataclass(frozen=True)
class Paper:
  """What Kim et al. state about a source: (nodule, normal) images by row of the cohort table."""

  images: dict[str, tuple[int, int]]
  remark: str


def cohort_json(cohort: Cohort, source: str, paper: Paper) -> dict[str, Any]:
  """The cohort table as a JSON object."""
  return {
    'source': source,
    'read': cohort.table.read,
    'excluded': cohort.excluded,
    'cohort': _counts(cohort.records),
    'splits': {split: _counts(records) for split, records in cohort.splits.items()},
    'paper': {
      row: {'nodule': nodule, 'normal': normal} for row, (nodule, normal) in paper.images.items()
    },
    'paper_remark': paper.remark,
    'left_out': by_reason(cohort),
    'notice': NOTICE,
  }


def print_cohort(cohort: Cohort, source: str, paper: Paper, console: Console) -> None:
  """Prints the cohort table."""
  numbers = cohort_json(cohort, source, paper)
  title = f'{source}: from the tables to the cohort'
  read = TextTable(title=title, title_justify='left', min_width=len(title), show_header=False)
  read.add_column('')
  read.add_column('', justify='right')
  for noun, count in cohort.table.read.items():
    read.add_row(f'{noun} read', f'{count:,}')
  for rule, count in cohort.excluded.items():
    read.add_row(f'excluded: {rule}', f'-{count:,}')
  console.print(read)
  table = TextTable(title=f'{source}: the cohort', title_justify='left')
  table.add_column('')
  for column in (*COLUMNS.values(), 'paper:\nnodule', 'paper:\nnormal'):
    table.add_column(column.replace(': ', ':\n'), justify='right')
  for row, counts in {'cohort': numbers['cohort'], **numbers['splits']}.items():
    ours = [f'{counts[column]:,}' for column in COLUMNS]
    stated = [f'{count:,}' for count in paper.images.get(row, ())]
    table.add_row(row, *ours, *stated)
  console.print(table)
  console.print(paper.remark)
  for reason, images in by_reason(cohort).items():
    more = f' and {len(images) - _NAMED:,} more' if len(images) > _NAMED else ''
    line = cohort.table.with_files(f'left out, {reason}: {", ".join(images[:_NAMED])}{more}')
    # File names may contain brackets, which rich would read as markup.
    console.print(line, soft_wrap=True, markup=False, highlight=False)
  console.print(NOTICE)


def by_reason(cohort: Cohort) -> dict[str, list[str]]:
  """The images that were left out, by the reason."""
  reasons: dict[str, list[str]] = {}
  for image, reason in cohort.left_out:
    reasons.setdefault(reason, []).append(image)
  return reasons


def write_cohort(
  cohort: Cohort,
  source: str,
  paper: Paper,
  folder: epath.Path,
  *,
  simulated: bool,
  reading: Mapping[str, int],
) -> None:
  """Writes the cohort table beside the shards.

  Args:
    simulated: whether the shards hold simulated radiographs.
    reading: counts of the second reading whose labels the shards have; empty if there is none.
  """
  numbers = {**cohort_json(cohort, source, paper), 'simulated': simulated}
  if reading:
    numbers['reading'] = dict(reading)
  text = json.dumps(numbers, indent=2)
  (folder / 'cohort.json').write_text(text + '\n')
  (folder / 'NOTICE.txt').write_text(NOTICE + '\n')


def _counts(records: Sequence[Record]) -> dict[str, int]:
  nodules = [record for record in records if record.label == 'nodule']
  return {
    'nodule': len(nodules),
    'normal': len(records) - len(nodules),
    'patients': len({record.patient for record in records}),
    'nodule_patients': len({record.patient for record in nodules}),
    'located': sum(record.located for record in nodules),
  }
