"""Writes the files of an evaluation, the only ones that the report reads."""

import csv
import math
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np

from nodulax.input.prepared import Prepared
from nodulax.input.shards import Case
from nodulax.prediction import findings
from nodulax.radiograph import pictures
from nodulax.radiograph.preprocessing import Crop, Preprocessing
from nodulax.statistics import froc

THUMBNAIL_SIZE = 256  # pixels


def write_predictions(
  path: pathlib.Path,
  cases: Sequence[Case],
  probability: np.ndarray,
  dices: np.ndarray,
  spread: np.ndarray | None = None,
) -> None:
  """Writes a row per radiograph; `nodules` counts the located ones, unknown numbers are empty.

  `spread` is the standard deviation over networks that answered together.
  """
  columns = (
    *('image_id', 'patient_id', 'label', 'probability', 'dice', 'location_known', 'nodules'),
    *('sex', 'age', 'view', 'nodule_diameter_mm', 'zone', 'conspicuity', 'source'),
    *(() if spread is None else ('spread',)),
  )

  def row(case: Case, score: float, dice: float, apart: float) -> list[Any]:
    # Seventeen digits keep near-ties apart when an AUC is computed from this file.
    measured = {
      'probability': f'{score:.17g}',
      'dice': dice,
      'nodules': len(case.boxes),
      'spread': apart,
    }
    return [measured.get(column, getattr(case, column, None)) for column in columns]

  _write_csv(
    path,
    columns,
    [
      row(case, float(score), float(dice), float(apart))
      for case, score, dice, apart in zip(
        cases, probability, dices, np.zeros(len(cases)) if spread is None else spread, strict=True
      )
    ],
  )


def write_locations(
  path: pathlib.Path, prepared: Prepared, heat_maps: np.ndarray, preprocessing: Preprocessing
) -> None:
  """Writes the peaks of each heat map, in pixels of the stored image.

  `nodule` is the number of the nodule that a finding hits, counted from 1; 0 for a false positive,
  -1 if a hotter finding has already hit the nodule, empty if the truth is unknown.
  """
  rows = []
  for index, (case, heat_map) in enumerate(zip(prepared.cases, heat_maps, strict=True)):
    crop = preprocessing.crop((case.height, case.width), case.lung_box)
    found = findings.locate(heat_map, crop)
    nodules: Any = [''] * len(found)
    if case.location_known:
      centres = np.array([(finding.x, finding.y) for finding in found]).reshape(-1, 2)
      hits = _hits(centres, case, prepared.truth(index), crop)
      matched = froc.match([finding.score for finding in found], hits)
      nodules = np.select([matched >= 0, matched == froc.REPEAT], [matched + 1, -1], 0)
    for number, (finding, nodule) in enumerate(zip(found, nodules, strict=True), 1):
      place = (finding.score, finding.x, finding.y, *finding.box)
      rows.append([case.image_id, number, *place, nodule])
  box = ('x_min', 'y_min', 'x_max', 'y_max')
  _write_csv(path, ('image_id', 'finding', 'score', 'x', 'y', *box, 'nodule'), rows)


def write_pictures(
  folder: pathlib.Path, prepared: Prepared, heat_maps: np.ndarray, overlays: int
) -> None:
  """Writes heat_maps/ (255 = 1), thumbnails/, truths/ (255 on located nodules), some overlays/."""
  for name in ('heat_maps', 'thumbnails', 'truths', 'overlays'):
    (folder / name).mkdir()
  nodules_first = sorted(range(len(prepared)), key=lambda index: -prepared.cases[index].label)
  # Half of them with a nodule, if there are enough.
  drawn = {*nodules_first[: overlays // 2], *nodules_first[::-1][: overlays - overlays // 2]}
  for index, (case, heat_map) in enumerate(zip(prepared.cases, heat_maps, strict=True)):
    name = f'{file_name(case.image_id)}.png'
    image = np.asarray(prepared.images[index])
    eight_bits = (heat_map * 255).round().astype(np.uint8)
    (folder / 'heat_maps' / name).write_bytes(pictures.png(eight_bits))
    side = min(THUMBNAIL_SIZE, len(image))
    thumbnail = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    (folder / 'thumbnails' / name).write_bytes(pictures.png(thumbnail))
    if case.boxes:
      truth = prepared.truth(index).astype(np.uint8) * np.uint8(255)
      shrunk = cv2.resize(truth, (side, side), interpolation=cv2.INTER_AREA)
      kept = shrunk >= np.clip(shrunk.max(), 1, 128)  # even a nodule smaller than a pixel
      (folder / 'truths' / name).write_bytes(pictures.png(kept.astype(np.uint8) * np.uint8(255)))
    if index in drawn:
      picture = pictures.overlay(image, heat_map, prepared.truth(index))
      (folder / 'overlays' / name).write_bytes(pictures.png(picture))


def file_name(image_id: str) -> str:
  """Returns a file name for an image's id, which cannot leave its folder."""
  stem = image_id.removesuffix('.png')
  return re.sub(r'[^A-Za-z0-9._-]', '_', stem).lstrip('.') or '_'


def _hits(centres: np.ndarray, case: Case, mask: np.ndarray, crop: Crop) -> np.ndarray:
  """A finding hits a nodule if its centre lies in the nodule's box and in the mask.

  Args:
    centres: f64[f, 2] in pixels of the stored image.
    case: with the boxes of its k nodules.
    mask: bool[S, S], of the crop.
    crop: where the crop lies in the stored image.

  Returns:
    f64[f, k]: 0 for a hit at the box's centre, falling to -1 for one at its edge, else `NO_HIT`.
  """
  boxes = np.array(case.boxes).reshape(1, -1, 4)
  low, high = boxes[..., :2], boxes[..., 2:]
  points = centres[:, np.newaxis]
  in_box = ((points >= low) & (points < high)).all(axis=-1)
  off_centre = (np.abs(2 * points - low - high) / np.maximum(high - low, 1e-9)).max(axis=-1)
  columns, rows = crop.to_view(centres, len(mask)).clip(0, len(mask) - 1).astype(int).T
  return np.where(in_box & mask[rows, columns][:, np.newaxis], -off_centre, froc.NO_HIT)


def _write_csv(path: pathlib.Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
  with path.open('w', newline='') as file:
    writer = csv.writer(file)
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
  """A CSV cell; unknown numbers are empty."""
  if isinstance(value, float):
    return '' if math.isnan(value) else f'{value:.6g}'
  return int(value) if isinstance(value, bool) else value
