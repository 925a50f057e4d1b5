"""The virtual VinDr-CXR: DICOM objects and a table of what each of three readers drew."""

import csv
import functools
import hashlib
import pathlib
from typing import Any

from nodulax.phantom.hospitals.profiles import VINDR
from nodulax.phantom.hospitals.readers import drawn_box, sees
from nodulax.phantom.hospitals.visits import Visit, take_radiograph, write_single_visits
from nodulax.phantom.imaging.dicom import write_dicom

HEADER = ('image_id', 'class_name', 'class_id', 'rad_id', 'x_min', 'y_min', 'x_max', 'y_max')
_CLASSES = {
  'Atelectasis': 1, 'Infiltration': 6, 'Nodule/Mass': 8, 'Pleural effusion': 10,
  'Pleural thickening': 11, 'Pulmonary fibrosis': 13, 'No finding': 14,
}  # fmt: skip
# This project's name for a finding -> VinDr's.
_NAMES = {
  'Atelectasis': 'Atelectasis', 'Infiltration': 'Infiltration', 'Effusion': 'Pleural effusion',
  'Pleural_Thickening': 'Pleural thickening', 'Fibrosis': 'Pulmonary fibrosis',
}  # fmt: skip
_READERS = tuple(f'R{number}' for number in range(1, 18))
_READERS_AN_IMAGE = 3
# Readers without CT sometimes mark a look-alike: about one read in fifty (our choice).
_FALSE_MARKS = 0.02
_INVERTED_SHARE = 0.1
_FINDING_SHARE = 0.15


def _write_image(folder: pathlib.Path, visit: Visit) -> dict[str, Any]:
  radiograph, rng = take_radiograph(VINDR, visit)
  name = hashlib.md5(
    f'vindr {visit.seed} {visit.number}'.encode(), usedforsecurity=False
  ).hexdigest()
  write_dicom(
    folder / 'train' / f'{name}.dicom',
    radiograph,
    VINDR.processing.bits,
    name=name,
    inverted=bool(rng.random() < _INVERTED_SHARE),
  )
  shape = radiograph.pixels.shape
  rows, columns = shape
  lines: list[list[Any]] = []
  for reader in rng.choice(_READERS, _READERS_AN_IMAGE, replace=False):
    marks = [
      ('Nodule/Mass', drawn_box(rng, nodule.box, shape, spread=0.10, margin=0.10))
      for nodule in radiograph.nodules
      if sees(rng, nodule.conspicuity)
    ]
    if rng.random() < _FALSE_MARKS:
      x, y, side = rng.uniform(0.2, 0.75) * columns, rng.uniform(0.2, 0.6) * rows, 0.04 * columns
      marks.append(('Nodule/Mass', (round(x), round(y), round(x + side), round(y + side))))
    for finding in visit.findings:
      box = (0.15 * columns, 0.3 * rows, 0.45 * columns, 0.75 * rows)
      marks.append((_NAMES[finding], drawn_box(rng, box, shape, spread=0.05, margin=0.0)))
    if not marks:
      lines.append([name, 'No finding', _CLASSES['No finding'], reader, '', '', '', ''])
    lines += [[name, kind, _CLASSES[kind], reader, *map(float, box)] for kind, box in marks]
  return {'lines': lines}


def _write_tables(folder: pathlib.Path, rows: list[dict[str, Any]]) -> None:
  with open(folder / 'train.csv', 'w', newline='') as file:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(HEADER)
    writer.writerows(line for row in rows for line in row['lines'])


write_vindr = functools.partial(
  write_single_visits,
  'vindr',
  _write_image,
  _write_tables,
  nodule_share=0.4,
  finding_share=_FINDING_SHARE,
)
"""Writes a virtual VinDr-CXR: train.csv, train/<image_id>.dicom, no patient identifiers. The
original has a smaller share of nodules (the paper took 83 nodule images and 100 normals)."""
