"""Reads and checks the files of `nodulax labels`."""

import dataclasses
import json
import math
import pathlib
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import pandas as pd

from nodulax.csv_files import CsvFile, is_plain
from nodulax.report.drawing import Picture
from nodulax.report.errors import ReportError
from nodulax.report.table import decimals

MOST_BYTES = 4 << 20  # of a JSON file; these commands write none larger
MOST_PICTURE_BYTES = 16 << 20
MOST_PIXELS = 1 << 25  # of a picture: a small PNG may unpack to gigabytes
MOST_IMAGES = 1e9
SHOWN = 10  # suspects of an audit
_METHODS = {
  'second': 'second reading',
  'readers': 'several readers, none taken as the truth',
  'network': 'network alone',
}
# The title and caption of each part of the study of wrong labels.
_STUDIED = {
  'budget': (
    'What reading labels again is worth',
    'AUC of networks trained after some labels were read again, by their number and choice',
  ),
  'losses': (
    'Which loss copes with wrong labels best',
    'AUC of networks trained with each loss, by the share of wrong labels',
  ),
  'noise': (
    'What each kind of wrong label costs',
    'AUC and Dice of networks trained on labels or outlines that are wrong in one way, by how much',
  ),
}
MEASURES = ('auc', 'sensitivity', 'specificity')


@dataclasses.dataclass(frozen=True)
class LabelQuality:
  """Everything that was found; empty where nothing was.

  Attributes:
    audits: a row per audit: how many labels, how many are probably wrong.
    audit: the first suspects of every audit, without identifiers of patients.
    noise_rates: a row per file of rates: how often labels are wrong, with intervals.
    corrected: a row per file and measure: against the labels, and corrected.
    studies: the figures of a study of wrong labels.
  """

  audits: pd.DataFrame
  audit: pd.DataFrame
  noise_rates: pd.DataFrame
  corrected: pd.DataFrame
  studies: list[Picture]


def read_label_quality(folders: Iterable[pathlib.Path]) -> LabelQuality:
  """Reads the outputs of `nodulax labels` in folders and up to two levels below.

  JSON files are recognised by their content, since users name them.

  Raises:
    ReportError: one of them is damaged.
  """
  audits, suspects, rates, corrected = [], [], [], []
  studies: list[Picture] = []
  paths = dict.fromkeys(
    path.resolve()
    for folder in folders
    for pattern in ('*.json', '*/*.json', '*/*/*.json')
    for path in sorted(folder.glob(pattern))
  )
  for path in paths:
    values = _json(path)
    name = path.parent.name if path.name == 'audit.json' else path.stem
    if 'expected_wrong' in values:
      audits.append({'file': name, **_audit(path, values)})
      rates.append({'file': name, **_rates(path, values.get('rates_by_the_network'), 'network')})
      suspects.append(_suspects(path, name))
    elif 'wrong_normal' in values and 'method' in values:
      rates.append({'file': name, **_rates(path, values, values['method'])})
    elif 'wrong_normal' in values and 'auc' in values:
      corrected += [{'file': name, **row} for row in _corrected(path, values)]
    elif isinstance(values.get('results'), list) and path.stem in _STUDIED:
      studies += _studied(path, values['results'], len(studies))
  return LabelQuality(
    pd.DataFrame(audits),
    pd.concat(suspects) if suspects else pd.DataFrame(),
    pd.DataFrame(rates),
    pd.DataFrame(corrected),
    studies,
  )


def _json(path: pathlib.Path) -> dict[str, Any]:
  """Reads a JSON object; returns an empty one if it cannot be a file of these commands."""
  if not path.is_file() or path.stat().st_size > MOST_BYTES:
    return {}
  try:
    values = json.loads(path.read_text('utf-8'))
  except (ValueError, RecursionError):
    return {}
  return values if isinstance(values, dict) else {}


def _audit(path: pathlib.Path, values: dict[str, Any]) -> dict[str, Any]:
  against = values.get('against_the_reading')
  row = {
    'images': _number(path, values, 'images', MOST_IMAGES),
    'expected_wrong': _number(path, values, 'expected_wrong', MOST_IMAGES),
    'more_likely_wrong': _number(path, values, 'more_likely_wrong_than_right', MOST_IMAGES),
    'auc': math.nan,
    'auc_low': math.nan,
    'auc_high': math.nan,
  }
  if isinstance(against, dict) and against.get('auc') is not None:
    row |= _estimate(path, against, 'auc')
  return row


def _suspects(path: pathlib.Path, name: str) -> pd.DataFrame:
  """Reads the first suspects, but not patient_id."""
  file = CsvFile(
    path.with_name('suspects.csv'),
    ('rank', 'image_id', 'label', 'probability', 'wrong'),
    error=ReportError,
  )
  image_ids = file.text('image_id')
  for line, image_id in zip(file.lines, image_ids, strict=True):
    if not is_plain(image_id):
      raise file.fault(line, f'image_id is {image_id[:60]!r}; it must be a plain name')
  return pd.DataFrame(
    {
      'file': name,
      'rank': file.numbers('rank', 1, MOST_IMAGES, required=True),
      'image_id': image_ids,
      'label': file.choice('label', ('0', '1')),
      'probability': file.numbers('probability', 0, 1, required=True),
      'wrong': file.numbers('wrong', 0, 1, required=True),
    }
  ).iloc[:SHOWN]


def _rates(path: pathlib.Path, values: Any, method: Any) -> dict[str, Any]:
  return {
    'method': _METHODS.get(str(method), 'unknown'),
    **_estimate(path, values, 'wrong_normal'),
    **_estimate(path, values, 'wrong_nodule'),
  }


def _corrected(path: pathlib.Path, values: dict[str, Any]) -> list[dict[str, Any]]:
  return [
    {
      'measure': measure,
      'labelled': _number(path, values.get(measure), 'labelled', 1),
      **{
        name.replace(measure, 'corrected'): value
        for name, value in _estimate(path, values, measure).items()
      },
    }
    for measure in MEASURES
  ]


def _studied(path: pathlib.Path, rows: list[Any], before: int) -> list[Picture]:
  """Re-encodes the figure beside a part of the study; describes its mean AUCs."""
  picture = path.with_suffix('.png')
  if not picture.is_file() or picture.stat().st_size > MOST_PICTURE_BYTES:
    return []
  content = picture.read_bytes()
  # A PNG begins with its signature, then width and height in the header chunk.
  width, height = (int.from_bytes(content[start : start + 4]) for start in (16, 20))
  fit = content.startswith(b'\x89PNG\r\n\x1a\n') and 0 < width * height <= MOST_PIXELS
  pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if fit else None
  if pixels is None:
    raise ReportError(
      f'{picture}: not a PNG of at most {MOST_PIXELS:,} pixels; run nodulax labels study again'
    )
  aucs: dict[str, list[float]] = {}
  for row in rows:
    if not isinstance(row, dict) or row.get('auc') is None:
      continue
    what = f'{row.get("line")} {row.get("amount") or ""}'.strip()
    aucs.setdefault(f'{what} on {row.get("set")}', []).append(_number(path, row, 'auc', 1))
  words = '; '.join(f'{what} {decimals(float(np.mean(values)))}' for what, values in aucs.items())
  seeds = len({str(row.get('seed')) for row in rows if isinstance(row, dict)})
  title, shown = _STUDIED[path.stem]
  return [
    Picture(
      f'figure_{path.stem}_{before + 1}',
      title,
      f'{shown}. {seeds} training {"seed" if seeds == 1 else "seeds"} (dots) and their mean. '
      'Dotted: all labels right. Simulated, because the truth must be known.',
      f'Mean AUC: {words}.',
      round(pixels.shape[1] * 0.72),
      None,
      cv2.imencode('.png', pixels)[1].tobytes(),
    )
  ]


def _estimate(path: pathlib.Path, values: Any, name: str) -> dict[str, float]:
  """Returns a value with its interval, in three columns."""
  of = values.get(name) if isinstance(values, dict) else None
  return {
    name + suffix: _number(path, of, key, 1, f'{name}.')
    for suffix, key in (('', 'value'), ('_low', 'low'), ('_high', 'high'))
  }


def _number(path: pathlib.Path, values: Any, name: str, most: float, within: str = '') -> float:
  """Returns a number from 0 to `most`."""
  value = values.get(name) if isinstance(values, dict) else None
  if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
    raise ReportError(
      f'{path}: {within}{name} is {str(value)[:40]!r}; it must be a number from 0 to {most:g}; run '
      'nodulax labels again'
    )
  return float(value)
