"""The validation report: one JSON file for programs, one HTML page for people."""

import base64
import collections
import json
import pathlib
from collections.abc import Callable
from typing import Any

import cv2
import jinja2
import numpy as np

from nodulax.radiograph.reading import decode_radiograph
from tfds_builders.cohort import Cohort
from tfds_builders.cohort_table import COLUMNS, Paper, cohort_json
from tfds_builders.inspection import Inspection
from tfds_builders.records import Fault, Record, read_file
from tfds_builders.schema import NOTICE
from tfds_builders.validation import Validation, by_remedy

_THUMBNAIL_SIZE = 120
# Thumbnails per kind of fault, so that the page is small enough to mail; the JSON has all faults.
_SHOWN = 40


def write_report(
  folder: pathlib.Path, cohort: Cohort, validation: Validation, source: str, paper: Paper
) -> None:
  """Creates the folder with `validation.json` and `validation.html`.

  The page is self-contained: it loads nothing.
  """
  folder.mkdir(parents=True, exist_ok=True)
  report = _report(cohort, validation, source, paper)
  (folder / 'validation.json').write_text(json.dumps(report, indent=2) + '\n', 'utf-8')
  page = jinja2.Environment(
    loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
  ).get_template('validation_report.html.jinja')
  records = {record.name: record for record in cohort.records}
  (folder / 'validation.html').write_text(
    page.render(
      report=report,
      columns=COLUMNS,
      sections=[
        ('Faults', 'Correct these before building.', _pictured(validation.faults, records)),
        ('Suspects', 'Look at these before building.', _pictured(validation.suspects, records)),
      ],
    ),
    'utf-8',
  )


def _report(cohort: Cohort, validation: Validation, source: str, paper: Paper) -> dict[str, Any]:
  readable = [look for look in validation.inspections.values() if look.width]
  return {
    'source': source,
    'images': len(validation.inspections),
    'readable': len(readable),
    'lungs_found': sum(look.lung_box_found for look in readable),
    'as_they_are': sum(look.passes_through for look in readable),
    'sizes': _tally(readable, lambda look: f'{look.width} x {look.height}'),
    'bits': _tally(readable, lambda look: str(look.depth)),
    'faults': [fault.to_json() for fault in validation.faults],
    'suspects': [suspect.to_json() for suspect in validation.suspects],
    'cohort': cohort_json(cohort, source, paper),
    'notice': NOTICE,
  }


def _tally(looks: list[Inspection], name: Callable[[Inspection], str]) -> dict[str, int]:
  return dict(collections.Counter(map(name, looks)).most_common())


def _pictured(faults: list[Fault], records: dict[str, Record]) -> list[dict[str, Any]]:
  """Faults by kind, as the page shows them: the first of each kind with thumbnails."""
  kinds = []
  for kind, remedies in by_remedy(faults).items():
    of_kind = [fault for same in remedies.values() for fault in same]
    shown = [
      (fault, [_thumbnail(records.get(image)) for image in (fault.where, *fault.others[:1])])
      for fault in of_kind[:_SHOWN]
    ]
    kinds.append(
      {'kind': kind, 'count': len(of_kind), 'shown': shown, 'more': len(of_kind) - len(shown)}
    )
  return kinds


def _thumbnail(record: Record | None) -> str | None:
  """The image as a data URL; None if it cannot be shown."""
  if record is None or record.path is None:
    return None
  try:
    pixels = decode_radiograph(read_file(record.path, record.name), record.name).pixels
  except ValueError:
    return None
  scale = _THUMBNAIL_SIZE / max(pixels.shape)
  size = tuple(max(1, round(side * scale)) for side in reversed(pixels.shape))
  small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float64)
  darkest, brightest = small.min(), max(small.max(), 1)
  if darkest == brightest:
    darkest = 0  # an image with a single value is shown as white
  eight_bits = ((small - darkest) * (255 / (brightest - darkest))).astype(np.uint8)
  encoded = cv2.imencode('.jpg', eight_bits, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
  return 'data:image/jpeg;base64,' + base64.b64encode(encoded).decode()
