"""VinDr-CXR: nodules on which readers agree.

It is read as the VinBigData challenge or PhysioNet distributes it, or as smaller copies of the
challenge's images with a table of their original sizes.
"""

import collections
import dataclasses
import itertools
import pathlib

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tfds_builders import base
from tfds_builders.cohort import Normals, Splitting
from tfds_builders.cohort_table import Paper
from tfds_builders.locations import overlap
from tfds_builders.records import (
  Box,
  Fault,
  Record,
  SourceError,
  Table,
  files_in,
  four_numbers,
  read_csv,
)

_NODULE = 'Nodule/Mass'
_NORMAL = 'No finding'
_FINDINGS = frozenset({
  _NODULE, _NORMAL, 'Aortic enlargement', 'Atelectasis', 'Calcification', 'Cardiomegaly',
  'Consolidation', 'ILD', 'Infiltration', 'Lung Opacity', 'Other lesion', 'Pleural effusion',
  'Pleural thickening', 'Pneumothorax', 'Pulmonary fibrosis',
})  # fmt: skip
_FINDINGS_OF_PHYSIONET = _FINDINGS | {
  'Clavicle fracture', 'Edema', 'Emphysema', 'Enlarged PA', 'Lung cavity', 'Lung cyst',
  'Lung opacity', 'Mediastinal shift', 'Rib fracture',
}  # fmt: skip
_CORNERS = ('x_min', 'y_min', 'x_max', 'y_max')
_SIZES = 'train_meta.csv'  # beside smaller copies: the size of each original


@dataclasses.dataclass(frozen=True)
class _Form:
  """A table of annotations.

  Attributes:
    path: path within the folder.
    columns: columns of the table.
    images: folder of its images.
    findings: names of the findings that it may have.
    consensus: whether its boxes are the readers' consensus, without their names.
  """

  path: str
  columns: tuple[str, ...]
  images: str
  findings: frozenset[str]
  consensus: bool = False


_CHALLENGE = _Form(
  'train.csv', ('image_id', 'class_name', 'class_id', 'rad_id', *_CORNERS), 'train', _FINDINGS
)
_PHYSIONET = (
  _Form(
    'annotations/annotations_train.csv',
    ('image_id', 'rad_id', 'class_name', *_CORNERS),
    'train',
    _FINDINGS_OF_PHYSIONET,
  ),
  _Form(
    'annotations/annotations_test.csv',
    ('image_id', 'class_name', *_CORNERS),
    'test',
    _FINDINGS_OF_PHYSIONET,
    consensus=True,
  ),
)


@dataclasses.dataclass(eq=False)
class Options(base.Options):
  """Options of the VinDr-CXR builder."""

  iou: float = base.option(
    0.5, 'intersection over union from which boxes of two readers are one nodule'
  )
  normals: int = base.option(100, 'how many images to draw of those that every reader calls normal')

  def __post_init__(self) -> None:
    super().__post_init__()
    if not 0 < self.iou <= 1:
      raise SourceError('--iou must be above 0, and 1 at most')
    if self.normals < 0:
      raise SourceError('--normals must not be negative')


class Builder(base.RadiographBuilder):
  """VinDr-CXR: nodules and masses that at least two readers box in the same place."""

  RELEASE_NOTES = {'1.0.0': 'First release.'}
  BUILDER_CONFIGS = [Options(name='default', description='Boxes match at an IoU of 0.5 or more.')]
  MANUAL_DOWNLOAD_INSTRUCTIONS = """
  From https://www.kaggle.com/competitions/vinbigdata-chest-xray-abnormalities-detection, put into
  one folder:
    train.csv
    train/: the DICOM files, <image_id>.dicom; or PNG copies of another size, <image_id>.png, and
      train_meta.csv with the originals' sizes (image_id, dim0, dim1)
  or, from https://physionet.org/content/vindr-cxr,
    annotations/annotations_train.csv, annotations/annotations_test.csv
    train/ and test/: the DICOM files, <image_id>.dicom
  """
  PUBLIC_NAMES = True
  EXAMPLE = '--iou=0.4 --normals=200'
  PAPER = Paper(
    images={'cohort': (83, 100)},
    remark='The paper does not say which overlap counts as agreement in its 83 images. No patient '
    'identifiers are published: each image counts as a patient.',
  )

  @classmethod
  def rules(cls, options: Options) -> tuple[Normals, Splitting]:
    return options.normals, 'test'

  @classmethod
  def where_missing(cls, record: Record) -> str:
    return 'copy the image to train/ or test/ as <image_id>.dicom'

  @classmethod
  def read_table(cls, folder: pathlib.Path, options: Options) -> Table:
    table = Table({'annotations': 0, 'images': 0})
    forms = _PHYSIONET if (folder / 'annotations').is_dir() else (_CHALLENGE,)
    for form in forms:
      _read_form(folder, form, options, table)
    return table


def _read_form(folder: pathlib.Path, form: _Form, options: Options, table: Table) -> None:
  """Adds the radiographs of one table of annotations."""
  files = files_in([folder / form.images])
  sizes = _read_sizes(folder / _SIZES, table)
  findings, boxes = _read_annotations(folder / form.path, form, table)
  table.read['images'] += len(findings)
  if form.consensus:
    table.read['images with a consensus of five readers'] = len(findings)
  table.names |= {image: image for image in findings}
  for image, found in findings.items():
    if form.consensus:
      agreed = tuple(sorted((box for _, box in boxes[image]), key=lambda box: box[1]))
    else:
      agreed = agree(boxes[image], options.iou)
    if agreed or found == {_NORMAL}:
      size = sizes.get(image)
      path = files.get(f'{image}.dicom')
      if path is None and (path := files.get(f'{image}.png')) and size is None and agreed:
        # A smaller copy, whose boxes are in pixels of the original.
        remedy = f'its copy needs a line in {_SIZES} with dim0 and dim1; or use the DICOM file'
        table.faults.append(Fault('size of the original unknown', image, remedy))
        continue
      table.records.append(
        Record(
          key=image,
          name=image,
          path=path,
          patient=image,
          label='nodule' if agreed else 'normal',
          boxes=agreed,
          boxes_size=size,
        )
      )
    elif _NODULE in found:
      table.exclude('nodule or mass without agreement of two readers')
    else:
      table.exclude('other findings')


def _read_sizes(path: pathlib.Path, table: Table) -> dict[str, tuple[int, int]]:
  """(width, height) of each original, if there is a table of them."""
  if not path.is_file():
    return {}
  sizes = {}
  for line, row in read_csv(path, ('image_id', 'dim0', 'dim1'), faults=table.faults):
    height, width = row['dim0'], row['dim1']
    if height.isdecimal() and width.isdecimal() and 0 < int(height) * int(width) < 1 << 30:
      sizes[row['image_id']] = (int(width), int(height))
    else:
      table.faults.append(
        Fault(
          'size malformed',
          f'{_SIZES} line {line}',
          'dim0 and dim1 must be the height and the width',
        )
      )
  return sizes


def _read_annotations(
  path: pathlib.Path, form: _Form, table: Table
) -> tuple[dict[str, set[str]], dict[str, list[tuple[str, Box]]]]:
  """The findings on each image, and each reader's nodule boxes; faults go to `table`."""
  findings = collections.defaultdict(set)
  boxes = collections.defaultdict(list)
  for line, row in read_csv(path, form.columns, faults=table.faults, image='image_id'):
    table.read['annotations'] += 1
    image, finding = row['image_id'], row['class_name']
    if not image:
      table.faults.append(
        Fault('image without a name', f'line {line}', 'image_id is empty; name the image')
      )
      continue
    findings[image].add(finding)
    if finding not in form.findings:
      table.faults.append(
        Fault('label unknown', image, f'line {line} has {finding!r}; correct the label')
      )
    elif finding == _NODULE:
      try:
        boxes[image].append(('' if form.consensus else _reader(row), _box(row)))
      except ValueError as error:
        table.faults.append(Fault('box malformed', image, f'line {line} {error}; correct it'))
  return findings, boxes


def _reader(row: dict[str, str]) -> str:
  if not row['rad_id']:
    raise ValueError('names no reader in rad_id')
  return row['rad_id']


def _box(row: dict[str, str]) -> Box:
  x_min, y_min, x_max, y_max = four_numbers(row, _CORNERS)
  if not (x_min < x_max and y_min < y_max):
    raise ValueError('has corners that are not in order')
  return x_min, y_min, x_max, y_max


def agree(marked: list[tuple[str, Box]], iou: float) -> tuple[Box, ...]:
  """The nodules on which readers agree.

  Boxes of two readers match if their intersection over union is at least `iou`; boxes that are
  linked by matches are one nodule, whose box is their mean.

  Args:
    marked: (reader, box) of every nodule box on one image.
    iou: in (0, 1].

  Returns:
    The agreed boxes, from top to bottom.
  """
  matches = [
    (one, other)
    for (one, (reader, box)), (other, (second, second_box)) in itertools.combinations(
      enumerate(marked), 2
    )
    if reader != second and overlap(box, second_box) >= iou
  ]
  if not matches:
    return ()
  ones, others = np.transpose(matches)
  graph = coo_array((np.ones(len(matches)), (ones, others)), shape=(len(marked), len(marked)))
  _, nodule = connected_components(graph, directed=False)
  boxes = np.array([box for _, box in marked])
  agreed: list[Box] = []
  for one in np.unique(nodule[ones]):
    x_min, y_min, x_max, y_max = boxes[nodule == one].mean(axis=0).tolist()
    agreed.append((x_min, y_min, x_max, y_max))
  return tuple(sorted(agreed, key=lambda box: box[1]))
