"""AI-HUB chest radiographs with nodules referenced to CT."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from tfds_builders import base
from tfds_builders.cohort import Normals, Splitting
from tfds_builders.cohort_table import Paper
from tfds_builders.records import (
  Box,
  Fault,
  Label,
  Misfit,
  Record,
  SourceError,
  Table,
  files_in,
  parse_age,
  parse_length,
  parse_sex,
  parse_view,
  read_text,
)

# Where each field is in an annotation: keys joined by dots, positions in lists as numbers.
FIELDS = {
  'image': 'image',
  'patient_id': 'patient_id',
  'label': 'label',
  'boxes': 'boxes',
  'sex': 'sex',
  'age': 'age',
  'view': 'view',
  'pixel_spacing_mm': 'pixel_spacing_mm',
}
_REQUIRED = ('image', 'patient_id', 'label')
LABELS: dict[str, Label] = {'nodule': 'nodule', 'normal': 'normal'}
_MOST_BYTES = 2**20


@dataclasses.dataclass(eq=False)
class Options(base.Options):
  """Options of the AI-HUB builder."""

  mapping: str = base.option(
    '',
    'JSON file that maps names in the annotations to those of the README, if they differ',
    shows='content',
  )


class Builder(base.RadiographBuilder):
  """AI-HUB: CT-confirmed nodules with boxes, one image per patient, and as many normal images."""

  RELEASE_NOTES = {'1.0.0': 'First release.'}
  BUILDER_CONFIGS = [Options(name='default', description='One image per patient.')]
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  From https://aihub.or.kr (which asks for an account), put into one folder:
    images/: PNG, JPEG, DICOM, TIFF, BMP or .mha files
    annotations/: one JSON file for each image, {"image": "<file name>", "patient_id": "...",
      "label": "nodule" or "normal", "boxes": [[x_min, y_min, x_max, y_max], ...], ...}
  tfds_builders/aihub_nodule/README.md describes the files, and how to read files that use other
  names (--mapping).
  """
  ONE_A_PATIENT = True
  EXAMPLE = '--exclude=low_quality.txt --mapping=fields.json'
  PAPER = Paper(
    images={'cohort': (3177, 3177), 'train': (2223, 2223)},
    remark='The paper takes 3,177 of 3,500 nodule images, without 323 of low quality (--exclude), '
    'and draws as many of the 10,000 normal images.',
  )

  @classmethod
  def rules(cls, options: Options) -> tuple[Normals, Splitting]:
    return 'matched', 'random'

  @classmethod
  def where_missing(cls, record: Record) -> str:
    return 'copy the image to images/ under the name that its annotation gives'

  @classmethod
  def read_table(cls, folder: pathlib.Path, options: Options) -> Table:
    paths = sorted((folder / 'annotations').glob('*.json'))
    if not paths:
      raise SourceError('annotations/: there are no JSON files in the folder given as --manual_dir')
    fields, labels = _read_mapping(options.mapping)
    files = files_in([folder / 'images'])
    table = Table({'images': len(paths)})
    for number, path in enumerate(paths, 1):
      name = f'annotation {number}'
      table.files[name] = f'annotations/{path.name}'
      try:
        annotation = _read_annotation(path)
        image = str(_look_up(annotation, fields['image']) or '')
        first = table.names.setdefault(image, name) if image else name
        if first != name:
          table.faults.append(
            Fault('image twice', first, f'{name} is for the same image; remove one of them')
          )
          continue
        record = _record(annotation, fields, labels, name, files)
        if record.located:
          table.records.append(record)
        else:
          table.exclude('nodule without a box')
      except Misfit as misfit:
        table.faults.append(Fault(misfit.kind, name, str(misfit)))
    return table


def _read_mapping(path: str) -> tuple[dict[str, str], dict[str, Label]]:
  """The default fields and labels, updated with those of the user's mapping file.

  Raises:
    SourceError: the file is missing, is not JSON, or maps unknown names.
  """
  if not path:
    return FIELDS, LABELS
  try:
    mapping = json.loads(read_text(path, '--mapping'))
    fields, labels = dict(mapping.get('fields', {})), dict(mapping.get('labels', LABELS))
  except (AttributeError, TypeError, ValueError) as error:
    raise SourceError('--mapping: not a JSON object of two objects; see the README') from error
  for what, found, known in (
    ('keys', mapping, ('fields', 'labels')),
    ('fields', fields, FIELDS),
    ('labels', labels.values(), LABELS),
  ):
    if unknown := [str(name) for name in found if name not in list(known)]:
      raise SourceError(
        f'--mapping: the {what} {", ".join(unknown)} are not known; they may be {", ".join(known)}'
      )
  if not all(isinstance(field, str) for field in fields.values()):
    raise SourceError('--mapping: each field must be a string, its keys joined by dots')
  return FIELDS | fields, labels


def _read_annotation(path: pathlib.Path) -> Any:
  if path.stat().st_size > _MOST_BYTES:
    raise Misfit('annotation unreadable', 'the file is larger than an annotation can be')
  try:
    return json.loads(path.read_text('utf-8'))
  except (OSError, ValueError, RecursionError):
    raise Misfit('annotation unreadable', 'not a JSON file in UTF-8; copy it again') from None


def _record(
  annotation: Any,
  fields: dict[str, str],
  labels: dict[str, Label],
  name: str,
  files: dict[str, str],
) -> Record:
  values = {field: _look_up(annotation, path) for field, path in fields.items()}
  absent = [fields[field] for field in _REQUIRED if values[field] in (None, '')]
  if absent:
    raise Misfit(
      'annotation does not fit',
      f'there is no {", no ".join(map(repr, absent))}; the file has the keys '
      f'{", ".join(_keys(annotation)) or "(none)"}; choose which of them to read with --mapping',
    )
  if str(values['label']) not in labels:
    raise Misfit('label unknown', f'{fields["label"]!r} is none of {", ".join(labels)}')
  label = labels[str(values['label'])]

  def parse(field: str, parser: Callable, remedy: str) -> Any:
    try:
      return parser(values[field])
    except (TypeError, ValueError):
      raise Misfit(f'{field} malformed', f'{fields[field]!r} must be {remedy}') from None

  boxes = parse('boxes', _boxes, 'a list of [x_min, y_min, x_max, y_max] in pixels')
  if label == 'normal' and boxes:
    raise Misfit('box on a normal image', 'correct the label or remove the boxes')
  return Record(
    key=str(values['image']),
    name=name,
    path=files.get(str(values['image'])),
    patient=str(values['patient_id']),
    label=label,
    boxes=boxes,
    sex=parse('sex', lambda value: parse_sex(value or ''), "'M', 'F' or absent"),
    age=parse('age', lambda value: parse_age(str(value or '')), 'years or absent'),
    view=parse('view', lambda value: parse_view(value or ''), "'PA', 'AP' or absent"),
    spacing_mm=parse('pixel_spacing_mm', _spacing, '[x, y] in mm or absent'),
  )


def _look_up(annotation: Any, path: str) -> Any:
  """The value at `path`; None if there is none."""
  for key in path.split('.'):
    if isinstance(annotation, dict):
      annotation = annotation.get(key)
    elif isinstance(annotation, list) and key.isdecimal() and int(key) < len(annotation):
      annotation = annotation[int(key)]
    else:
      return None
  return annotation


def _keys(annotation: Any, before: str = '') -> Iterator[str]:
  """Every key that an annotation has, joined by dots."""
  if isinstance(annotation, dict):
    for key, value in annotation.items():
      yield from _keys(value, f'{before}.{key}' if before else key)
  elif before:
    yield before


def _boxes(value: Any) -> tuple[Box, ...]:
  boxes = []
  for x_min, y_min, x_max, y_max in value or ():
    boxes.append((float(x_min), float(y_min), float(x_max), float(y_max)))
  return tuple(boxes)


def _spacing(value: Any) -> tuple[float, float] | None:
  if value is None:
    return None
  x, y = (parse_length(str(step)) for step in value)
  return x, y
