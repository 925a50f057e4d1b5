"""Tables as subjects of fuzzing: of the four sources, and of another tool's predictions."""

import csv
import dataclasses
import functools
import io
import json
import math
import pathlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from tests.fuzz import images
from tests.fuzz.mutation import ODD_TEXTS, Rng, pick, spoil_bytes, spoil_csv, spoil_json
from tests.fuzz.subject import Files, Subject, one_each, spoil_one

# Tables of the sources. Each folder holds its images, which are left as they are.


def _png(seed: int) -> bytes:
  pixels = np.random.default_rng(seed).integers(0, 255, (24, 24), np.uint8)
  return cv2.imencode('.png', cv2.resize(pixels, (96, 96)))[1].tobytes()


def _csv(rows: list[list]) -> bytes:
  text = io.StringIO()
  csv.writer(text).writerows(rows)
  return text.getvalue().encode()


def _nih() -> list[Files]:
  header = [
    'Image Index', 'Finding Labels', 'Follow-up #', 'Patient ID', 'Patient Age', 'Patient Gender',
    'View Position', 'OriginalImage[Width', 'Height]', 'OriginalImagePixelSpacing[x', 'y]',
  ]  # fmt: skip
  names = [f'{number:08d}_000.png' for number in range(1, 13)]
  labels = ['Nodule', 'No Finding', 'Mass|Nodule', 'No Finding', 'Mass|Edema', 'Hernia'] * 2
  rows = [
    [name, label, 0, number, 57, 'M', 'PA', 192, 288, 0.143, 0.143]
    for number, (name, label) in enumerate(zip(names, labels, strict=True))
  ]
  boxes = [
    ['Image Index', 'Finding Label', 'Bbox [x', 'y', 'w', 'h]', '', '', ''],
    [names[0], 'Nodule', 20.5, 30, 10, 16, '', '', ''],
    [names[2], 'Mass', 1, 2, 30, 40, '', '', ''],
  ]
  return [
    {
      'Data_Entry_2017_v2020.csv': _csv([header, *rows]),
      'BBox_List_2017.csv': _csv(boxes),
      'train_val_list.txt': '\n'.join(names[:8]).encode(),
      'test_list.txt': '\n'.join(names[8:]).encode(),
      **{f'images/{name}': _png(number) for number, name in enumerate(names)},
    }
  ]


def _gmc() -> list[Files]:
  header = [
    'image', 'patient_id', 'label', 'mask', 'boxes', 'sex', 'age', 'view', 'pixel_spacing_mm',
    'nodule_diameter_mm', 'zone', 'conspicuity',
  ]  # fmt: skip
  rows: list[list] = []
  for number in range(8):
    nodule = number % 2
    mask = 'mask.png' if number == 1 else ''
    boxes = '10 20 30 50; 1 2 3 4' if nodule and not mask else ''
    label = 'nodule' if nodule else 'normal'
    known = ['F', 61, 'PA', '0.2 0.3', 9, 'apex', '2']
    rows.append([f'{number}.png', number, label, mask, boxes, *known])
  drawn = np.zeros((96, 96), np.uint8)
  drawn[4:9, 5:20] = 255
  return [
    {
      'manifest.csv': _csv([header, *rows]),
      'mask.png': cv2.imencode('.png', drawn)[1].tobytes(),
      **{f'{number}.png': _png(number) for number in range(8)},
    }
  ]


def _vindr() -> list[Files]:
  header = ['image_id', 'class_name', 'class_id', 'rad_id', 'x_min', 'y_min', 'x_max', 'y_max']
  rows: list[list] = []
  for number in range(6):
    for reader in ('R8', 'R9', 'R10'):
      if number % 2:
        rows.append([f'{number:032x}', 'Nodule/Mass', 8, reader, 10, 20 + number, 50.5, 60])
      else:
        rows.append([f'{number:032x}', 'No finding', 14, reader, '', '', '', ''])
  pixels = images.picture(12)
  file = images.dicom(pixels, '1.2.840.10008.1.2.1')
  return [
    {'train.csv': _csv([header, *rows])}
    | {f'train/{number:032x}.dicom': file for number in range(4)}
  ]


def _aihub() -> list[Files]:
  files: Files = {}
  for number in range(6):
    annotation = {
      'image': f'{number}.png', 'patient_id': f'P{number}',
      'label': 'nodule' if number % 2 else 'normal', 'sex': 'F', 'age': 61, 'view': 'PA',
      'pixel_spacing_mm': [0.2, 0.3],
      'boxes': [[10, 20, 30, 40], [50, 50, 70, 60.5]] if number % 2 else [],
    }  # fmt: skip
    files[f'annotations/{number}.json'] = json.dumps(annotation).encode()
    files[f'images/{number}.png'] = _png(number)
  mapping = {'fields': {'image': 'image', 'boxes': 'boxes'}, 'labels': {'nodule': 'nodule'}}
  mapping['labels']['normal'] = 'normal'
  files['mapping.json'] = json.dumps(mapping).encode()
  return [files]


def _spoil_named(*endings: str) -> Callable[[Files, Rng], Files]:
  """Spoils one of the files with these endings, in the way of their kind."""
  ways = {'.csv': spoil_csv, '.json': spoil_json, '.txt': _spoil_lines, '.png': spoil_bytes}

  def spoil(files: Files, rng: Rng) -> Files:
    name = pick(sorted(name for name in files if name.endswith(endings)), rng)
    if rng.random() < 0.02:
      return {other: content for other, content in files.items() if other != name}
    return {**files, name: ways[pathlib.Path(name).suffix](files[name], rng)}

  return spoil


def _spoil_lines(data: bytes, rng: Rng) -> bytes:
  lines = data.decode().split('\n')
  lines[int(rng.integers(len(lines)))] = pick((*ODD_TEXTS, *lines), rng)
  return pick((spoil_bytes(data, rng), '\n'.join(lines).encode()), rng)


def _table(source: str, valid: Callable[[], list[Files]], endings: tuple[str, ...], **options):
  """The tables of a source, read as the commands `cohort` and `validate` do."""

  def read(folder: pathlib.Path) -> None:
    from tfds_builders.commands import builder_of
    from tfds_builders.inspection import inspect

    builder = builder_of(source)
    named = {name: str(folder / value) for name, value in options.items() if value.endswith('json')}
    cohort = builder.cohort(
      folder, dataclasses.replace(builder.BUILDER_CONFIGS[0], **{**options, **named})
    )
    split_of: dict[str, str] = {}
    for split, records in cohort.splits.items():
      for record in records:
        if not any(fault.kind == 'patient under two splits' for fault in cohort.faults):
          assert split_of.setdefault(record.patient, split) == split
        assert record.label in ('nodule', 'normal')
        assert math.isnan(record.age) or 0 <= record.age <= 120
        if record.path is not None:
          assert pathlib.Path(record.path).resolve().is_relative_to(folder.resolve())
    for fault in cohort.faults:
      assert fault.kind and fault.where and fault.remedy
    for record in cohort.records[:3]:
      look = inspect(record)
      if record.path is not None and not look.faults:
        for x_min, y_min, x_max, y_max in look.boxes:
          assert 0 <= x_min < x_max <= look.width and 0 <= y_min < y_max <= look.height
        assert all(math.isnan(step) or 0 < step < math.inf for step in look.spacing_mm)

  def refusals() -> tuple[type[Exception], ...]:
    from tfds_builders.records import SourceError

    return (SourceError,)

  return Subject(valid, _spoil_named(*endings), read, refusals)


# Another tool's predictions, which the report sets beside the runs.


@functools.cache
def _runs() -> Any:
  import tempfile

  from nodulax.report.reading import read_results
  from nodulax.report.results import collect
  from tests.report.fake_runs import write_runs

  with tempfile.TemporaryDirectory() as folder:
    write_runs(pathlib.Path(folder), {'gmc': 20}, {'pixel': 1.5}, pictures=0)
    return collect(read_results(folder))


def _predictions() -> list[Files]:
  cases = _runs().cases('gmc')
  plain = [['image_id', 'probability'], *([name, 0.5] for name in cases.index)]
  full = [
    ['image_id', 'probability', 'set', 'threshold', 'label', 'patient_id', 'sex', 'age', 'dice'],
    *([f'new{n}', n / 20, 'elsewhere', 0.4, n % 2, f'p{n}', 'female', 60, 0.5] for n in range(20)),
  ]
  return one_each('other.csv', [_csv(plain), _csv(full)])


def _read_predictions(folder: pathlib.Path) -> None:
  from nodulax.report.other_tools import read_predictions

  for evaluation in read_predictions(folder / 'other.csv', _runs()):
    assert evaluation.cases['probability'].between(0, 1).all()
    assert set(evaluation.cases['label']) <= {0, 1}
    assert evaluation.cases.index.is_unique


def _report_refusals() -> tuple[type[Exception], ...]:
  from nodulax.report.errors import ReportError

  return (ReportError,)


SUBJECTS = {
  'tables of nih_chestxray14': _table('nih_chestxray14', _nih, ('.csv', '.txt'), split='official'),
  'manifest and mask of gmc_nodule': _table('gmc_nodule', _gmc, ('.csv', 'mask.png')),
  'table of vindr_cxr': _table('vindr_cxr', _vindr, ('.csv',)),
  'annotations of aihub_nodule': _table('aihub_nodule', _aihub, ('.json',), mapping='mapping.json'),
  "another tool's predictions": Subject(
    _predictions, spoil_one(spoil_csv), _read_predictions, _report_refusals
  ),
}
