"""The virtual AI-HUB: images beside one JSON annotation each, with boxes confirmed by CT."""

import functools
import json
import pathlib
from typing import Any

from nodulax.phantom.hospitals.profiles import AIHUB
from nodulax.phantom.hospitals.readers import drawn_box
from nodulax.phantom.hospitals.visits import Visit, take_radiograph, write_single_visits
from nodulax.phantom.hospitals.writing import write_png


def _write_image(folder: pathlib.Path, visit: Visit) -> dict[str, Any]:
  radiograph, rng = take_radiograph(AIHUB, visit)
  name = f'A{visit.number:06d}'
  write_png(folder / 'images' / f'{name}.png', radiograph.pixels)
  # Readers with the CT at hand miss nothing and draw tight boxes.
  boxes = [
    drawn_box(rng, nodule.box, radiograph.pixels.shape, spread=0.05, margin=0.05)
    for nodule in radiograph.nodules
  ]
  annotation = {
    'image': f'{name}.png',
    'patient_id': f'P{name[1:]}',
    'label': 'nodule' if boxes else 'normal',
    'sex': 'F' if radiograph.patient.sex == 'female' else 'M',
    'age': int(radiograph.patient.age),
    'view': radiograph.pose.view,
    'pixel_spacing_mm': [round(side, 5) for side in radiograph.spacing_mm],
    'boxes': boxes,
  }
  path = folder / 'annotations' / f'{name}.json'
  path.parent.mkdir(exist_ok=True)
  path.write_text(json.dumps(annotation, indent=2) + '\n')
  return annotation


def _write_tables(folder: pathlib.Path, rows: list[dict[str, Any]]) -> None:
  """Writes nothing: AI-HUB has no tables, only annotations."""


write_aihub = functools.partial(
  write_single_visits,
  'aihub',
  _write_image,
  _write_tables,
  nodule_share=0.5,
)
"""Writes a virtual AI-HUB: images/*.png and annotations/*.json. The paper took as many normals as
nodules."""
