"""The virtual GMC: the layout that any hospital uses for its own images, with pixel masks."""

import csv
import functools
import pathlib
from typing import Any

import numpy as np

from nodulax.phantom.hospitals.profiles import GMC
from nodulax.phantom.hospitals.visits import Visit, take_radiograph, write_single_visits
from nodulax.phantom.hospitals.writing import write_png
from nodulax.phantom.imaging.dicom import write_dicom

COLUMNS = (
  'image', 'patient_id', 'label', 'mask', 'boxes', 'sex', 'age', 'view', 'pixel_spacing_mm',
  'nodule_diameter_mm', 'zone', 'conspicuity',
)  # fmt: skip
# Images in digital archives are DICOM, older ones were exported as PNG (our choice).
_DICOM_SHARE = 0.5


def _write_image(folder: pathlib.Path, visit: Visit) -> dict[str, Any]:
  radiograph, rng = take_radiograph(GMC, visit)
  name = f'G{visit.number:05d}'
  if rng.random() < _DICOM_SHARE:
    image = f'images/{name}.dcm'
    write_dicom(folder / image, radiograph, GMC.processing.bits, name=name)
  else:
    image = f'images/{name}.png'
    write_png(folder / image, radiograph.pixels)
  row: dict[str, Any] = {
    'image': image,
    'patient_id': name,
    'label': 'nodule' if radiograph.nodules else 'normal',
    'sex': 'F' if radiograph.patient.sex == 'female' else 'M',
    'age': int(radiograph.patient.age),
    'view': radiograph.pose.view,
    'pixel_spacing_mm': ' '.join(f'{side:.5g}' for side in radiograph.spacing_mm),
  }
  if radiograph.nodules:
    largest = max(radiograph.nodules, key=lambda nodule: nodule.diameter_mm)
    row['mask'] = f'masks/{name}.png'
    write_png(folder / row['mask'], radiograph.mask.astype(np.uint8) * 255)
    row['boxes'] = '; '.join(
      ' '.join(f'{edge:g}' for edge in nodule.box) for nodule in radiograph.nodules
    )
    row['nodule_diameter_mm'] = f'{largest.diameter_mm:.1f}'
    row['zone'], row['conspicuity'] = largest.zone, largest.conspicuity
  return row


def _write_tables(folder: pathlib.Path, rows: list[dict[str, Any]]) -> None:
  with open(folder / 'manifest.csv', 'w', newline='') as file:
    writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)


write_gmc = functools.partial(
  write_single_visits,
  'gmc',
  _write_image,
  _write_tables,
  nodule_share=246 / 686,
)
"""Writes a virtual GMC: manifest.csv, images/*.png and *.dcm, masks/. The paper's set has 246
nodule images of 686."""
