"""NODE21: public radiographs with boxes around nodules, gathered from four public sets."""

import collections
import dataclasses
import pathlib
from typing import Literal

from tfds_builders import base
from tfds_builders.cohort import Normals, Splitting
from tfds_builders.cohort_table import Paper
from tfds_builders.records import Box, Fault, Record, Table, files_in, four_numbers, read_csv

_COLUMNS = ('img_name', 'label', 'x', 'y', 'width', 'height')
# The column without a name that numbers the table's rows.
_NUMBERS = ('', 'Unnamed: 0')


@dataclasses.dataclass(eq=False)
class Options(base.Options):
  """Options of the NODE21 builder."""

  split: Literal['test', 'random'] = base.option(
    'test', 'test: everything is one test split; random: train, tune and test'
  )


class Builder(base.RadiographBuilder):
  """The public part of NODE21: 4,882 frontal radiographs, 1,134 with nodules in boxes."""

  RELEASE_NOTES = {'1.0.0': 'First release.'}
  BUILDER_CONFIGS = [
    Options(name='external', description='Everything is test data.'),
    Options(name='training', split='random', description='To train, tune and test on.'),
  ]
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  From https://zenodo.org/records/5548363, put into one folder the contents of
  cxr_images/proccessed_data:
    metadata.csv
    images/: .mha files
  """
  PUBLIC_NAMES = True
  EXAMPLE = '--against=shards/nih_chestxray14'
  PAPER = Paper(
    images={},
    remark='Not part of the study. Its images come from JSRT, PadChest, ChestX-ray14 and Open-I: '
    'test a network on it only with --against=SHARDS of every set that the network was trained on. '
    'No patient identifiers are published: each image counts as a patient.',
  )

  @classmethod
  def rules(cls, options: Options) -> tuple[Normals, Splitting]:
    return 'all', options.split

  @classmethod
  def where_missing(cls, record: Record) -> str:
    return 'copy the image to images/'

  @classmethod
  def read_table(cls, folder: pathlib.Path, options: Options) -> Table:
    table = Table({'annotations': 0, 'images': 0})
    files = files_in([folder / 'images'])
    labels = collections.defaultdict(set)
    boxes: dict[str, list[Box]] = collections.defaultdict(list)
    path = folder / 'metadata.csv'
    for line, row in read_csv(path, _COLUMNS, _NUMBERS, faults=table.faults, image='img_name'):
      table.read['annotations'] += 1
      image = row['img_name']
      if not image or row['label'] not in ('0', '1'):
        remedy = f'line {line} needs an img_name, and the label 1 (nodule) or 0 (none)'
        table.faults.append(Fault('row malformed', image or f'line {line}', remedy))
        continue
      labels[image].add(row['label'])
      if row['label'] == '1':
        try:
          boxes[image].append(_box(row))
        except ValueError as error:
          table.faults.append(Fault('box malformed', image, f'line {line} {error}; correct it'))
    table.read['images'] = len(labels)
    table.names = {image: image for image in labels}
    for image, of_image in labels.items():
      if len(of_image) > 1:
        remedy = 'its rows contradict each other: nodule and none; correct the table'
        table.faults.append(Fault('two labels', image, remedy))
        continue
      table.records.append(
        Record(
          key=image,
          name=image,
          path=files.get(image),
          patient=image,
          label='nodule' if of_image == {'1'} else 'normal',
          boxes=tuple(boxes[image]),
        )
      )
    return table


def _box(row: dict[str, str]) -> Box:
  x, y, width, height = four_numbers(row, _COLUMNS[2:])
  if width <= 0 or height <= 0:
    raise ValueError('has a width or height that is not above 0')
  return x, y, x + width, y + height
