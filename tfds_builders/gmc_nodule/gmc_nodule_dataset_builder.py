"""A hospital's own radiographs, such as those of Gil Medical Center in the study."""

import collections
import dataclasses
import functools
import os
import pathlib
import re
from collections.abc import Callable
from typing import Any, Literal

from tfds_builders import base
from tfds_builders.cohort import Normals, Splitting
from tfds_builders.cohort_table import Paper
from tfds_builders.records import (
  Box,
  Fault,
  Record,
  Table,
  decimal,
  parse_age,
  parse_length,
  parse_sex,
  parse_view,
  read_csv,
)

_REQUIRED = ('image', 'patient_id', 'label')
_OPTIONAL = (
  'mask', 'boxes', 'sex', 'age', 'view', 'pixel_spacing_mm', 'nodule_diameter_mm', 'zone',
  'conspicuity',
)  # fmt: skip
# What people write in a cell whose value they do not know.
_NOT_KNOWN = ('na', 'n/a', 'nan', 'none', 'null', 'unknown', '-', '?')
_LABELS = {
  **dict.fromkeys(('nodule', 'yes', 'true', '1', 'positive'), 'nodule'),
  **dict.fromkeys(('normal', 'no', 'false', '0', 'negative'), 'normal'),
}
# Short numbers, which cannot identify a patient.
_NUMBERS = re.compile(r'[-+]?\d{1,4}([ ;.,]+[-+]?\d{1,4}){0,40}')
Listings = dict[pathlib.Path, dict[str, str]]


@dataclasses.dataclass(eq=False)
class Options(base.Options):
  """Options of the hospital builder."""

  split: Literal['test', 'random'] = base.option(
    'test', 'test: everything is one test split; random: train, tune and test, by patient'
  )


class Builder(base.RadiographBuilder):
  """Radiographs of one hospital, with pixel masks or boxes of the nodules."""

  RELEASE_NOTES = {'1.0.0': 'First release.'}
  BUILDER_CONFIGS = [
    Options(name='external', description='Everything is test data, as in the paper.'),
    Options(
      name='hospital', split='random', description='Your own data, to train, tune and test on.'
    ),
  ]
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  One folder with the images (DICOM, PNG, JPEG, TIFF, BMP or .mha) and manifest.csv, a table with
  the columns
    image, patient_id, label ('nodule' or 'normal')
  and, where known,
    mask, boxes, sex, age, view, pixel_spacing_mm, nodule_diameter_mm, zone, conspicuity.
  tfds_builders/gmc_nodule/README.md describes each column.
  """
  EXAMPLE = '--config=hospital --seed=1'
  PAPER = Paper(
    images={'cohort': (246, 440)},
    remark='The paper tests on 686 radiographs of Gil Medical Center; they are not public.',
  )

  @classmethod
  def rules(cls, options: Options) -> tuple[Normals, Splitting]:
    return 'all', options.split

  @classmethod
  def read_table(cls, folder: pathlib.Path, options: Options) -> Table:
    table = Table({'images': 0})
    names: dict[str, str] = {}
    listings: Listings = {}
    manifest = folder / 'manifest.csv'
    for line, row in read_csv(manifest, _REQUIRED, _OPTIONAL, faults=table.faults):
      table.read['images'] += 1
      key, name = row['image'], f'manifest.csv line {line}'
      # One path may be written in several ways: 0.png, ./0.png, .\\0.png.
      path = os.path.normpath(key.replace('\\', '/'))
      first = table.names[key] = names.setdefault(path, name)
      if first != name:
        table.faults.append(
          Fault('image twice', first, f'line {line} repeats it; remove one of the lines')
        )
        continue
      record, faults = _read_row(folder, name, row, listings)
      table.faults += faults
      if record is not None:
        table.records.append(record)
    return table


def _find(folder: pathlib.Path, text: str, listings: Listings) -> pathlib.Path:
  """The file that a cell names, also if it is written in the Windows style: `\\`, `1.PNG`."""
  named = folder / text
  for path in (named, folder / text.replace('\\', '/')):
    if os.path.exists(path):
      return path
    if path.parent not in listings:
      listings[path.parent] = _by_lower_case(path.parent)
    if same := listings[path.parent].get(path.name.casefold()):
      return path.with_name(same)
  return named


def _by_lower_case(folder: pathlib.Path) -> dict[str, str]:
  """The names in a folder by their lower case; names that differ only in case are left out."""
  names = os.listdir(folder) if os.path.isdir(folder) else []
  count = collections.Counter(name.casefold() for name in names)
  return {name.casefold(): name for name in names if count[name.casefold()] == 1}


def _identifier(text: str) -> str:
  # Long numbers that a spreadsheet has rounded are the same for many patients.
  if not text or re.fullmatch(r'\d[.,]\d+E[+]\d+', text, re.IGNORECASE):
    raise ValueError
  return text


def _word(text: str) -> str:
  return text or 'unknown'


def _label(text: str) -> str:
  if text.lower() not in _LABELS:
    raise ValueError
  return _LABELS[text.lower()]


def _boxes(text: str) -> tuple[Box, ...]:
  boxes = []
  for part in text.split(';') if text else ():
    x_min, y_min, x_max, y_max = map(decimal, part.split())
    boxes.append((x_min, y_min, x_max, y_max))
  return tuple(boxes)


def _spacing(text: str) -> tuple[float, float] | None:
  if not text:
    return None
  x, *rest = map(parse_length, text.split())
  (y,) = rest or (x,)
  return x, y


def _within(folder: pathlib.Path, listings: Listings, text: str) -> pathlib.Path:
  try:
    path = _find(folder, text, listings).resolve()
  except (OSError, RuntimeError):  # circular links
    raise ValueError from None
  if not text or not path.is_relative_to(folder.resolve()):
    raise ValueError
  return path


_IDENTIFIER = "the patient's identifier, not rounded as spreadsheets do (1.23E+11)"
_PATH = "the file's path within the folder of the manifest"
# For each column: the field of a record that it fills, its parser, and what it must be.
_CELLS: dict[str, tuple[str, Callable[[str], Any], str]] = {
  'patient_id': ('patient', _identifier, _IDENTIFIER),
  'label': ('label', _label, "'nodule' or 'normal'"),
  'boxes': ('boxes', _boxes, "'x_min y_min x_max y_max; ...' in pixels"),
  'sex': ('sex', parse_sex, 'F, M or empty'),
  'age': ('age', parse_age, 'years or empty'),
  'view': ('view', parse_view, 'PA, AP or empty'),
  'pixel_spacing_mm': ('spacing_mm', _spacing, "'x y' or one number, in mm, or empty"),
  'nodule_diameter_mm': ('diameter_mm', parse_length, 'mm or empty'),
  'zone': ('zone', _word, 'a word'),
  'conspicuity': ('conspicuity', _word, 'a word'),
}


def _read_row(
  folder: pathlib.Path, name: str, row: dict[str, str], listings: Listings
) -> tuple[Record | None, list[Fault]]:
  """The record of a row, or None if it has faults."""
  within = functools.partial(_within, folder, listings)
  paths: dict[str, tuple[str, Callable[[str], Any], str]] = {
    'image': ('path', within, _PATH),
    'mask': ('mask', lambda text: within(text) if text else None, _PATH),
  }
  values: dict[str, Any] = {}
  faults = []
  for column, (field, parser, remedy) in (paths | _CELLS).items():
    text = row.get(column, '')
    if column in _OPTIONAL and text.lower() in _NOT_KNOWN:
      text = ''
    try:
      values[field] = parser(text)
    except ValueError:
      kind = 'label unknown' if column == 'label' else f'{column} malformed'
      # Cells may name a patient: only short numbers are quoted.
      quoted = f', not {text!r}' if _NUMBERS.fullmatch(text) else ''
      faults.append(Fault(kind, name, f'{column} must be {remedy}{quoted}'))
  if values.get('label') == 'normal' and values.get('boxes'):
    faults.append(Fault('box on a normal image', name, 'correct the label or remove the boxes'))
  if faults:
    return None, faults
  image, mask = values.pop('path'), values.pop('mask')
  return (
    Record(
      key=row['image'],
      name=name,
      path=str(image) if os.path.isfile(image) else None,  # False also if the name is too long
      mask=str(mask) if mask else None,
      **values,
    ),
    faults,
  )
