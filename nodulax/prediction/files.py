"""The files of a prediction: a journal, and the tables made from it.

journal.jsonl gets one line per radiograph, once everything else of it is on disk, so that a run
that was stopped resumes after the last one. Its first line names the network and the DICOM kinds.
"""

import contextlib
import csv
import dataclasses
import errno
import io
import json
import os
import pathlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from nodulax import NOTICE
from nodulax.checkpoints.description import Description
from nodulax.errors import NodulaxError
from nodulax.files import whole_file
from nodulax.prediction.prediction import Prediction, Reading

# After these nothing more can be written. Any other error in writing findings, such as a name that
# is too long, is a fault of one file.
FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
SCHEMA = 'nodulax.findings'
VERSION = '1.2'  # of findings.schema.json
COLUMNS = (
  *('image', 'probability', 'positive', 'threshold', 'uncalibrated_probability', 'findings'),
  *('highest_score', 'lung_box_found', 'width', 'height', 'spacing_x_mm', 'spacing_y_mm'),
  'objection',
)
LOCATION_COLUMNS = (
  *('image', 'finding', 'score', 'marked', 'x', 'y', 'x_min', 'y_min', 'x_max', 'y_max'),
  *('width', 'height', 'x_mm', 'y_mm', 'width_mm', 'height_mm', 'laterality', 'zone', 'objection'),
)
Record = dict[str, Any]  # a radiograph as findings.schema.json describes it


class Refused(str):
  """Why a picture gets no probability: it is not an upright frontal chest radiograph."""


class OutputError(NodulaxError):
  """The output folder holds something other than this prediction; the message says what to do."""


def record(name: str, reading: Reading, prediction: Prediction) -> Record:
  """One radiograph as findings.schema.json describes it."""
  height, width = reading.radiograph.pixels.shape
  spacing = reading.radiograph.spacing_mm
  scale = None if spacing is None else np.array(spacing * 2)

  def finding(number: int) -> Record:
    found, place = prediction.findings[number], prediction.places[number]
    measures = np.array([found.x, found.y, *found.box])
    x, y, *box = measures.tolist()
    sides = (box[2] - box[0], box[3] - box[1])
    mm: Record = dict.fromkeys(('x_mm', 'y_mm', 'box_mm', 'width_mm', 'height_mm'))
    if scale is not None:
      mm['x_mm'], mm['y_mm'] = (measures[:2] * scale[:2]).tolist()
      mm['box_mm'] = (measures[2:] * scale).tolist()
      mm['width_mm'], mm['height_mm'] = (np.array(sides) * scale[:2]).tolist()
    return {
      'score': found.score,
      'marked': prediction.marked[number],
      **{'x': x, 'y': y, 'box': box, 'width': sides[0], 'height': sides[1]},
      **mm,
      **dataclasses.asdict(place),
    }

  return {
    'image': name,
    'probability': prediction.probability,
    'uncalibrated_probability': prediction.uncalibrated,
    'threshold': prediction.threshold,
    'positive': prediction.positive,
    'width': width,
    'height': height,
    'spacing_mm': None if spacing is None else list(spacing),
    'lung_box': list(reading.lungs.box) if reading.lungs.found else None,
    'crop': list(reading.crop),
    'objection': reading.objection or None,
    'findings': [finding(number) for number in range(len(prediction.findings))],
  }


def document(
  description: Description, records: Sequence[Record], faults: dict[str, str]
) -> dict[str, Any]:
  """The content of findings.json.

  Args:
    description: description of the network.
    records: records of the radiographs that were read.
    faults: why the others were not read, by name; those of type `Refused` are listed separately.
  """
  refused = {name: why for name, why in faults.items() if isinstance(why, Refused)}
  return {
    **{'schema': SCHEMA, 'version': VERSION, 'notice': NOTICE, 'model': description.summary()},
    'radiographs': list(records),
    'refused': [{'image': name, 'objection': why} for name, why in refused.items()],
    'faults': [
      {'image': name, 'fault': fault} for name, fault in faults.items() if name not in refused
    ],
  }


class Journal:
  """The journal of the radiographs that are done.

  Args:
    folder: folder of the output.
    description: description of the network.
    kinds: kinds of DICOM objects that are also written.
    files: files to read, by name; `records` holds those that are done and have not changed since.

  Raises:
    OutputError: the folder holds the prediction of another network or of other kinds.
  """

  def __init__(
    self,
    folder: pathlib.Path,
    description: Description,
    kinds: Sequence[str],
    files: dict[str, pathlib.Path],
  ):
    self._path = folder / 'journal.jsonl'
    self._description = description
    subject = {
      **{'schema': SCHEMA, 'version': VERSION, 'notice': NOTICE},
      **{'model': description.summary(), 'dicom': sorted(kinds)},
    }
    lines = list(self._complete_lines())
    if lines and lines[0] != subject:
      raise OutputError(
        f'{folder} holds the findings of another network or release, or of a call with other '
        '--dicom_ flags; choose another --output'
      )
    before = {line['radiograph']['image']: line for line in lines[1:]}
    self.records: dict[str, Record] = {}
    for name, path in files.items():
      with contextlib.suppress(OSError):  # reading the file will report it
        if name in before and path.is_file() and before[name]['file'] == _state(path):
          self.records[name] = before[name]['radiograph']
    if not lines:
      self._append(subject)

  def add(self, path: pathlib.Path, done: Record) -> None:
    """Records that everything of a radiograph is on disk, so that no later call reads it again."""
    self._append({'file': _state(path), 'radiograph': done})

  def drop_forced(self) -> None:
    """Forgets the radiographs that an earlier call read by force."""
    self.records = {name: done for name, done in self.records.items() if not done['objection']}

  def write_tables(self, folder: pathlib.Path, faults: dict[str, str]) -> None:
    """Writes findings.csv, locations.csv, findings.json and nodules.json from `records`.

    A refused file has a row in findings.csv with the reason and no figures.
    """
    records = [self.records[name] for name in sorted(self.records)]
    refused = {name: why for name, why in faults.items() if isinstance(why, Refused)}
    lines = {done['image']: _row(done) for done in records}
    lines |= {name: [name, *[''] * (len(COLUMNS) - 2), why] for name, why in refused.items()}
    _replace(folder / 'findings.csv', _csv(COLUMNS, [lines[name] for name in sorted(lines)]))
    rows = (row for radiograph in records for row in _location_rows(radiograph))
    _replace(folder / 'locations.csv', _csv(LOCATION_COLUMNS, rows))
    whole = document(self._description, records, faults)
    _replace(folder / 'findings.json', json.dumps(whole, indent=1, allow_nan=False) + '\n')
    _replace(folder / 'nodules.json', json.dumps(node21(records)) + '\n')

  def _complete_lines(self) -> Iterator[Any]:
    """The lines of the journal; cuts off one that was not finished."""
    if not self._path.exists():
      return
    with self._path.open('r+b') as file:
      end = 0
      for line in file:
        try:
          value = json.loads(line)
        except ValueError:
          value = None
        if not isinstance(value, dict) or not line.endswith(b'\n'):
          break
        yield value
        end += len(line)
      file.truncate(end)

  def _append(self, value: Any) -> None:
    with self._path.open('a') as file:
      file.write(json.dumps(value, allow_nan=False) + '\n')


def node21(records: Sequence[Record]) -> Record:
  """All findings in the format of NODE21's detection track (nodules.json).

  Corners are in mm (pixels if the spacing is unknown); their third number is the row of the
  radiograph in findings.csv, from 0. After `format_to_GC` in the challenge's baseline,
  github.com/node21challenge/node21_detection_baseline.
  """
  boxes = []
  for number, radiograph in enumerate(records):
    for finding in radiograph['findings']:
      x_min, y_min, x_max, y_max = (round(e, 2) for e in finding['box_mm'] or finding['box'])
      corners = [(x_max, y_max), (x_min, y_max), (x_min, y_min), (x_max, y_min)]
      boxes.append(
        {
          'corners': [[x, y, number] for x, y in corners],
          'probability': round(finding['score'], 4),
          **({'name': 'FORCED: ' + radiograph['objection']} if radiograph['objection'] else {}),
        }
      )
  return {
    'type': 'Multiple 2D bounding boxes',
    'boxes': boxes,
    'version': {'major': 1, 'minor': 0},
  }


def _row(radiograph: Record) -> list[Any]:
  found = radiograph['findings']
  spacing = radiograph['spacing_mm'] or (None, None)
  return [
    radiograph['image'],
    *(f'{radiograph["probability"]:.6f}', int(radiograph['positive'])),
    *(f'{radiograph["threshold"]:.6f}', f'{radiograph["uncalibrated_probability"]:.6f}'),
    sum(finding['marked'] for finding in found),
    _number(found[0]['score'] if found else None),
    int(radiograph['lung_box'] is not None),
    *(radiograph['width'], radiograph['height'], *map(_number, spacing)),
    radiograph['objection'] or '',
  ]


def _location_rows(radiograph: Record) -> Iterator[list[Any]]:
  for number, finding in enumerate(radiograph['findings'], 1):
    place = (finding['x'], finding['y'], *finding['box'], finding['width'], finding['height'])
    mm = (finding[name] for name in ('x_mm', 'y_mm', 'width_mm', 'height_mm'))
    yield [
      *(radiograph['image'], number, _number(finding['score']), int(finding['marked'])),
      *map(_number, place),
      *map(_number, mm),
      *(finding['laterality'], finding['zone'], radiograph['objection'] or ''),
    ]


def _number(value: float | None) -> str:
  return '' if value is None else f'{value:.6g}'


def _csv(header: Sequence[str], rows: Iterable[list[Any]]) -> str:
  text = io.StringIO()
  csv.writer(text).writerows([header, *rows])
  return text.getvalue()


def _replace(path: pathlib.Path, text: str) -> None:
  """Writes a file whole or not at all."""
  with whole_file(path) as unfinished:
    unfinished.write_text(text, encoding='utf-8', newline='')


def _state(path: pathlib.Path) -> list[int]:
  """Identifies a file and its version without reading all of it.

  By its size, time of modification and a checksum of its beginning: the files of one export can
  agree in the first two, but each DICOM file begins with its own identifier.
  """
  with path.open('rb') as file:
    status = os.fstat(file.fileno())
    return [status.st_size, status.st_mtime_ns, zlib.crc32(file.read(4096))]
