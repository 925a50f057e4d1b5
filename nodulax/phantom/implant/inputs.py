"""Finds the radiographs that get nodules: those of a folder, or of a hospital's manifest."""

import csv
import dataclasses
import os
import pathlib

from nodulax.phantom.hospitals.gmc import COLUMNS
from nodulax.phantom.implant.errors import ImplantError
from nodulax.radiograph.reading import beginning_of, begins_as_radiograph


@dataclasses.dataclass(frozen=True)
class Picture:
  """A radiograph to add nodules to.

  Attributes:
    path: its file.
    name: for messages: the path within the folder, or the line of the manifest, which does not
      identify a patient.
    patient: number of its patient, from 0.
    refused: why it is left out before it is read; '' if it is not.
    sex, age, view: as in the manifest; '' if unknown.
    spacing_mm: x and y; None if the manifest does not say.
  """

  path: str
  name: str
  patient: int
  refused: str = ''
  sex: str = ''
  age: str = ''
  view: str = ''
  spacing_mm: tuple[float, float] | None = None


def find_pictures(source: str | os.PathLike) -> list[Picture]:
  """The radiographs of a folder (all PNG, JPEG and DICOM files below it) or of a manifest.

  Args:
    source: a folder, in which each file counts as a separate patient; or a table in UTF-8 with a
      header, in the hospital layout of tfds_builders/gmc_nodule, with at least the column `image`.
      Without `patient_id` each row counts as a separate patient.

  Raises:
    ImplantError: there is no such folder or table, or nothing in it can be used.
  """
  source = pathlib.Path(source)
  if source.is_dir():
    pictures = _from_folder(source)
  elif source.is_file():
    pictures = _from_manifest(source)
  else:
    raise ImplantError(f'{source}: no such folder or file; give a folder of radiographs or a CSV')
  if not pictures:
    raise ImplantError(f'{source}: no PNG, JPEG or DICOM files in it')
  return pictures


def _from_folder(folder: pathlib.Path) -> list[Picture]:
  try:
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    files = [path for path in files if begins_as_radiograph(beginning_of(path))]
  except OSError as error:
    raise ImplantError(f'{error.filename}: {error.strerror}; make it readable') from error
  return [
    Picture(path=str(path), name=str(path.relative_to(folder)), patient=number)
    for number, path in enumerate(files)
  ]


def _from_manifest(manifest: pathlib.Path) -> list[Picture]:
  try:
    with manifest.open(newline='', encoding='utf-8-sig') as file:
      reader = csv.DictReader(file)
      columns = reader.fieldnames or ()
      rows = [(reader.line_num, row) for row in reader]
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise ImplantError(f'{manifest} cannot be read as a table in UTF-8: {error}') from error
  unknown = [column for column in columns if column not in COLUMNS]
  if 'image' not in columns or unknown or len(set(columns)) < len(columns):
    raise ImplantError(
      f'{manifest}: the header is {", ".join(map(str, columns)) or "empty"}; it must have the '
      f'column image and may have, each once, {", ".join(COLUMNS[1:])}'
    )
  patients: dict[str, int] = {}
  pictures = []
  for line, row in rows:
    if None in row or None in row.values():
      raise ImplantError(f'{manifest} line {line}: not as many cells as the header has columns')
    # A row without an identifier is a separate patient; no identifier begins with a line feed.
    key = row.get('patient_id') or f'\nline {line}'
    patient = patients.setdefault(key, len(patients))
    pictures.append(_row(manifest, line, row, patient))
  return pictures


def _row(manifest: pathlib.Path, line: int, row: dict[str, str], patient: int) -> Picture:
  name = f'{manifest.name} line {line}'
  refused = ''
  if not row['image']:
    refused = 'the column image is empty'
  elif row.get('label') not in (None, '', 'normal'):
    refused = "its label is not 'normal': nodules go into radiographs without any"
  spacing = None
  try:
    spacing = _spacing(row.get('pixel_spacing_mm', ''))
  except ValueError:
    refused = refused or "its pixel_spacing_mm must be 'x y' or one number, in mm, or empty"
  return Picture(
    path=str(manifest.parent / row['image']),
    name=name,
    patient=patient,
    refused=refused,
    sex=row.get('sex', ''),
    age=row.get('age', ''),
    view=row.get('view', ''),
    spacing_mm=spacing,
  )


def _spacing(text: str) -> tuple[float, float] | None:
  if not text:
    return None
  x, *rest = (float(part) for part in text.split())
  (y,) = rest or (x,)
  if not (0 < x < 10 and 0 < y < 10):
    raise ValueError
  return x, y
