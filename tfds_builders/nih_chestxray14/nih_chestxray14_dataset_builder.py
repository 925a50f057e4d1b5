"""NIH ChestX-ray14: labels mined from reports; the study uses nodules and masses."""

import bisect
import collections
import dataclasses
import pathlib
from typing import Literal

from tfds_builders import base
from tfds_builders.cohort import Normals, Splitting
from tfds_builders.cohort_table import Paper
from tfds_builders.records import (
  Box,
  Fault,
  Misfit,
  Record,
  Table,
  files_in,
  four_numbers,
  parse_age,
  parse_length,
  parse_sex,
  parse_view,
  read_csv,
  read_text,
)

_NODULE = frozenset({'Nodule', 'Mass'})
_NORMAL = frozenset({'No Finding'})
_FINDINGS = (
  _NODULE
  | _NORMAL
  | {
    'Atelectasis',
    'Cardiomegaly',
    'Consolidation',
    'Edema',
    'Effusion',
    'Emphysema',
    'Fibrosis',
    'Hernia',
    'Infiltration',
    'Pleural_Thickening',
    'Pneumonia',
    'Pneumothorax',
  }
)
_COLUMNS = (
  'Image Index', 'Finding Labels', 'Follow-up #', 'Patient ID', 'Patient Age', 'Patient Gender',
  'View Position', 'OriginalImage[Width', 'Height]', 'OriginalImagePixelSpacing[x', 'y]',
)  # fmt: skip
_MOST_PIXELS = 100_000  # along a side; no detector has that many
# The published images, in whose pixels the boxes are; smaller copies are in use.
_PUBLISHED_SIZE = (1024, 1024)
_BOX_COLUMNS = ('Image Index', 'Finding Label', 'Bbox [x', 'y', 'w', 'h]')

# The twelve archives hold the sorted images: 4,999, then 10,000 each, then the rest. These are the
# first image of each.
_FIRST_IN_ARCHIVE = (
  '00000001_000.png', '00001336_000.png', '00003923_014.png', '00006585_007.png',
  '00009232_004.png', '00011558_008.png', '00013774_026.png', '00016051_010.png',
  '00018387_035.png', '00020945_050.png', '00024718_000.png', '00028173_003.png',
)  # fmt: skip


@dataclasses.dataclass(eq=False)
class Options(base.Options):
  """Options of the NIH builder."""

  split: Literal['random', 'official'] = base.option(
    'random',
    'random: by patient, from the seed; official: the published test list, and tune drawn from '
    'the published train_val list',
  )


class Builder(base.RadiographBuilder):
  """NIH ChestX-ray14: images labelled only with nodule or mass, and as many normal images."""

  RELEASE_NOTES = {'1.0.0': 'First release.'}
  BUILDER_CONFIGS = [Options(name='default', description='Splits drawn by patient.')]
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  From https://nihcc.app.box.com/v/ChestXray-NIHCC, put into one folder:
    Data_Entry_2017_v2020.csv, BBox_List_2017.csv,
    images/: the images of images_001.tar.gz to images_012.tar.gz in one folder,
      or images_001/images/ to images_012/images/,
    train_val_list.txt and test_list.txt (for --split=official).
  """
  DEPTH = 8
  PUBLIC_NAMES = True
  EXAMPLE = '--split=official --allow_missing'
  PAPER = Paper(
    images={'cohort': (3609, 3609)},
    remark='The paper has 3,609 images labelled only with nodule or mass, and gives its whole '
    "cohort of 7,218 as training images; today's table has 5,240.",
  )

  @classmethod
  def rules(cls, options: Options) -> tuple[Normals, Splitting]:
    return 'matched', options.split

  @classmethod
  def where_missing(cls, record: Record) -> str:
    archive = bisect.bisect_right(_FIRST_IN_ARCHIVE, record.key)
    return f'images_{archive:03d}.tar.gz holds it; unpack that archive into the folder'

  @classmethod
  def read_table(cls, folder: pathlib.Path, options: Options) -> Table:
    files = files_in(
      [folder / 'images', *(folder / f'images_{part:03d}' / 'images' for part in range(1, 13))]
    )
    parts = _read_parts(folder) if options.split == 'official' else {}
    table = Table({'images': 0})
    boxes = _read_boxes(folder, table.faults)
    entries = folder / 'Data_Entry_2017_v2020.csv'
    for line, row in read_csv(entries, _COLUMNS, faults=table.faults, image='Image Index'):
      table.read['images'] += 1
      key = row['Image Index']
      try:
        if not key:
          key = f'line {line}'
          raise Misfit('image without a name', 'Image Index is empty; name the image')
        if key in table.names:
          raise Misfit('image twice', 'an earlier line has the same image; remove one')
        table.names[key] = key
        findings = _findings(row)
        if findings <= _NODULE or findings == _NORMAL:
          record = _record(row, findings <= _NODULE, boxes.get(key, ()), files.get(key))
          if options.split == 'official':
            record = dataclasses.replace(record, part=_part(key, parts))
          table.records.append(record)
        elif findings & _NODULE:
          table.exclude('nodule or mass with other findings')
        else:
          table.exclude('other findings')
      except Misfit as misfit:
        table.faults.append(Fault(misfit.kind, key, f'line {line}: {misfit}'))
    return table


def _findings(row: dict[str, str]) -> frozenset[str]:
  findings = frozenset(row['Finding Labels'].split('|'))
  if unknown := findings - _FINDINGS:
    raise Misfit('label unknown', f'{", ".join(map(repr, sorted(unknown)))}; correct the label')
  return findings


def _part(key: str, parts: dict[str, list[str]]) -> str:
  match parts.get(key, []):
    case [part]:
      return part
    case []:
      raise Misfit('image in no list', 'neither published list has it; correct the lists')
    case _:
      raise Misfit('image in both lists', 'both published lists have it; correct the lists')


def _record(
  row: dict[str, str], has_nodule: bool, boxes: tuple[Box, ...], path: str | None
) -> Record:
  try:
    if not row['Patient ID']:
      raise ValueError('Patient ID is empty')
    return Record(
      key=row['Image Index'],
      name=row['Image Index'],
      path=path,
      patient=row['Patient ID'],
      label='nodule' if has_nodule else 'normal',
      boxes=boxes if has_nodule else (),
      boxes_size=_PUBLISHED_SIZE,
      sex=parse_sex(row['Patient Gender']),
      age=parse_age(row['Patient Age']),
      view=parse_view(row['View Position']),
      spacing_mm=(parse_length(row['OriginalImagePixelSpacing[x']), parse_length(row['y]'])),
      spacing_size=(_pixels(row['OriginalImage[Width']), _pixels(row['Height]'])),
    )
  except ValueError as error:
    raise Misfit('row malformed', f'a cell is of the wrong kind; correct it ({error})') from error


def _pixels(text: str) -> int:
  count = int(text)
  if not 0 < count <= _MOST_PIXELS:
    raise ValueError(f'a side of {count} pixels')
  return count


def _read_boxes(folder: pathlib.Path, faults: list[Fault]) -> dict[str, tuple[Box, ...]]:
  """The boxes of nodules and masses, by image; rows without a valid box go to `faults`."""
  boxes: dict[str, tuple[Box, ...]] = {}
  path = folder / 'BBox_List_2017.csv'
  for line, row in read_csv(path, _BOX_COLUMNS, faults=faults, image='Image Index'):
    if row['Finding Label'] in _NODULE:
      where = f'{path.name} line {line}'
      key = row['Image Index']
      try:
        x, y, width, height = four_numbers(row, _BOX_COLUMNS[2:])
      except ValueError as error:
        faults.append(Fault('box malformed', key or where, f'{where} {error}; correct it'))
      else:
        boxes[key] = (*boxes.get(key, ()), (x, y, x + width, y + height))
  return boxes


def _read_parts(folder: pathlib.Path) -> dict[str, list[str]]:
  """The published lists that each image is on: 'train_val' or 'test'."""
  parts = collections.defaultdict(list)
  for part in ('train_val', 'test'):
    path = folder / f'{part}_list.txt'
    for image in set(read_text(path, f'{path.name}, which --split=official needs').split()):
      parts[image].append(part)
  return parts
