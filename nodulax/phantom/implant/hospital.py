"""Writes a folder of implants in the hospital layout that tfds_builders/gmc_nodule reads."""

import csv
import dataclasses
import functools
import hashlib
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from nodulax.phantom.hospitals.gmc import COLUMNS
from nodulax.phantom.hospitals.writing import TRUTH, write_folder, write_png
from nodulax.phantom.implant.backgrounds import Background, prepare_background
from nodulax.phantom.implant.errors import ImplantError
from nodulax.phantom.implant.inputs import Picture, find_pictures
from nodulax.phantom.implant.nodules import TABLE, CTNodules, draw_opacity
from nodulax.phantom.implant.place import Implanted, Lesion, implant
from nodulax.radiograph.reading import Radiograph, RadiographError, read_radiograph

NOTICE = (
  'Real radiographs into which a computer has put lung nodules: none shows a disease of the person '
  'who was radiographed. The terms of the radiographs hold for these, too. '
  'For research, not a medical device.'
)
CT_NOTICE = (
  ' Nodules of CT: LUNA16 and LIDC-IDRI, CC BY 3.0 (Armato et al., Medical Physics 2011;38:915; '
  'Setio et al., Medical Image Analysis 2017;42:1).'
)
TRUTH_COLUMNS = (
  'image', 'x', 'y', 'x_min', 'y_min', 'x_max', 'y_max', 'diameter_mm', 'zone', 'conspicuity',
  'contrast', 'source',
)  # fmt: skip
# Mostly one nodule, as in JSRT; sometimes two or three.
_COUNTS, _COUNT_SHARES = (1, 2, 3), (0.8, 0.15, 0.05)
# Pixels count as square if their sides differ by at most this share.
_SQUARE = 0.02


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What has been written.

  Attributes:
    folder: the folder.
    images, with_nodules: number of radiographs, and number of those with nodules.
    left_out: name and reason of each radiograph that could not be used. Empty if the finished
      folder existed already.
  """

  folder: pathlib.Path
  images: int
  with_nodules: int
  left_out: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class _Job:
  number: int
  picture: Picture
  image_size: int
  seed: int
  nodules: str | None
  with_nodules: bool
  spacing_mm: float | None
  contrast: tuple[float, float]


def write_implants(
  source: str | os.PathLike,
  output: str | os.PathLike,
  nodules: str | os.PathLike | None = None,
  *,
  image_size: int = 1024,
  seed: int = 0,
  normal_share: float = 0.25,
  spacing_mm: float | None = None,
  contrast: tuple[float, float] = (0.7, 1.4),
  processes: int | None = None,
) -> Outcome:
  """Adds nodules to normal radiographs; writes manifest.csv, images/, masks/ and the whole truth.

  Args:
    source: as find_pictures takes it.
    output: the folder to create, completely or not at all.
    nodules: the folder of CT nodules; None for only simulated ones.
    image_size: pixels along the longer side; smaller images stay as they are.
    seed: seed of nodules and places. The bytes do not depend on the number of processes.
    normal_share: share of the radiographs that stay without a nodule.
    spacing_mm: pixel spacing of the stored images whose manifest and header give none.
    contrast: least and greatest multiplier of the contrast that physics predicts.

  Raises:
    ImplantError: no radiograph can be used, or an option is out of range.
    PhantomError: the folder exists and holds something else.
  """
  _check_options(image_size, normal_share, contrast)
  pictures = find_pictures(source)
  if nodules is not None:
    _ct_nodules(str(nodules))  # so that a fault is raised here and not in every process
  plain = np.random.default_rng([seed, 1]).permutation(len(pictures))
  normal = set(plain[: round(normal_share * len(pictures))].tolist())
  jobs = [
    _Job(
      number=number, picture=picture, image_size=image_size, seed=seed,
      nodules=None if nodules is None else str(nodules), with_nodules=number not in normal,
      spacing_mm=spacing_mm, contrast=contrast,
    )
    for number, picture in enumerate(pictures)
  ]  # fmt: skip
  recipe = {
    'hospital': 'implant', 'pictures': _digest(pictures), 'nodules': _nodules_digest(nodules),
    'image_size': image_size, 'seed': seed, 'normal_share': normal_share,
    'spacing_mm': spacing_mm, 'contrast': list(contrast),
  }  # fmt: skip
  notice = NOTICE + (CT_NOTICE if nodules is not None else '')
  rows: list[dict[str, Any]] = []

  def tables(folder: pathlib.Path, written: list[dict[str, Any]]) -> None:
    rows.extend(written)
    _write_tables(folder, written, notice)

  folder = write_folder(
    output, recipe, jobs, _write_image, tables, processes, notice=notice, doing='Implanting'
  )
  with (folder / 'manifest.csv').open(newline='') as file:
    labels = [row['label'] for row in csv.DictReader(file)]
  left_out = tuple((row['name'], row['left_out']) for row in rows if 'left_out' in row)
  return Outcome(folder, len(labels), labels.count('nodule'), left_out)


def _check_options(image_size: int, normal_share: float, contrast: tuple[float, float]) -> None:
  if not 128 <= image_size <= 8192:
    raise ImplantError(f'image_size is {image_size}; it must lie between 128 and 8192 pixels')
  if not 0 <= normal_share < 1:
    raise ImplantError(f'normal_share is {normal_share}; it must be at least 0 and below 1')
  if not 0 < contrast[0] <= contrast[1] < 10:
    raise ImplantError(f'contrast is {contrast}; give two numbers above 0 and below 10, rising')


def _digest(pictures: Sequence[Picture]) -> str:
  """SHA-256 of the pictures' entries, file names and contents, none of which it reveals."""
  digest = hashlib.sha256()
  for picture in pictures:
    path = pathlib.Path(picture.path)
    digest.update(repr(dataclasses.replace(picture, path=path.name)).encode())
    if path.is_file():
      with path.open('rb') as file:
        digest.update(hashlib.file_digest(file, 'sha256').digest())
  return digest.hexdigest()


def _nodules_digest(nodules: str | os.PathLike | None) -> str | None:
  if nodules is None:
    return None
  return hashlib.sha256((pathlib.Path(nodules) / TABLE).read_bytes()).hexdigest()


@functools.cache
def _ct_nodules(folder: str) -> CTNodules:
  return CTNodules(folder)


def _write_image(folder: pathlib.Path, job: _Job) -> dict[str, Any]:
  """The row of a radiograph with its nodules, or why it is left out."""
  picture = job.picture
  try:
    if picture.refused:
      raise ImplantError(picture.refused)
    radiograph = read_radiograph(picture.path)
    background = _background(radiograph, job)
  except (ImplantError, RadiographError) as error:
    # The name appears once, and the manifest's line replaces the path of the file.
    reason = str(error).removeprefix(f'{picture.path}: ').removeprefix(f'{picture.name}: ')
    return {'name': picture.name, 'left_out': reason}
  done = _implanted(background, job)
  name = f'I{job.number + 1:06d}'
  row: dict[str, Any] = {
    'image': f'images/{name}.png',
    'patient_id': f'P{picture.patient + 1:06d}',
    'label': 'nodule' if done.lesions else 'normal',
    'sex': picture.sex or {'female': 'F', 'male': 'M'}.get(radiograph.sex, ''),
    'age': picture.age or ('' if math.isnan(radiograph.age) else f'{radiograph.age:.0f}'),
    'view': picture.view or ('' if radiograph.view == 'unknown' else radiograph.view),
    # An assumed spacing is not a measurement: it sets the nodules' sizes, but is not written.
    'pixel_spacing_mm': '' if background.spacing_assumed else f'{background.spacing_mm:.5g}',
  }
  write_png(folder / row['image'], done.pixels)
  if done.lesions:
    largest = max(done.lesions, key=lambda lesion: lesion.diameter_mm)
    row['mask'] = f'masks/{name}.png'
    write_png(folder / row['mask'], done.mask)
    row['boxes'] = '; '.join(
      ' '.join(f'{edge:g}' for edge in lesion.box) for lesion in done.lesions
    )
    row['nodule_diameter_mm'] = f'{largest.diameter_mm:.1f}'
    row['zone'], row['conspicuity'] = largest.zone, largest.conspicuity
  return {'row': row, 'truth': [_truth(row['image'], lesion) for lesion in done.lesions]}


def _background(radiograph: Radiograph, job: _Job) -> Background:
  """The radiograph at its new size, prepared for implants."""
  picture, pixels = job.picture, radiograph.pixels
  if radiograph.objection:
    raise ImplantError(f'{picture.name}: {radiograph.objection}')
  spacing = picture.spacing_mm or radiograph.spacing_mm
  if spacing is None and job.spacing_mm is not None:
    spacing = (job.spacing_mm, job.spacing_mm)
  if spacing is not None and abs(spacing[0] / spacing[1] - 1) > _SQUARE:
    raise ImplantError(
      f'{picture.name}: its pixels are {spacing[0]:.4g} mm wide and {spacing[1]:.4g} mm high; '
      'resample it to square pixels'
    )
  shrink = min(job.image_size / max(pixels.shape), 1.0)
  if shrink < 1:
    width, height = (max(round(side * shrink), 1) for side in pixels.shape[::-1])
    pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
  mean = None if spacing is None else float(np.mean(spacing)) / shrink
  return prepare_background(pixels, mean, picture.name)


def _implanted(background: Background, job: _Job) -> Implanted:
  rng = np.random.default_rng([job.seed, 2, job.number])
  count = int(rng.choice(_COUNTS, p=_COUNT_SHARES)) if job.with_nodules else 0
  nodules = None if job.nodules is None else _ct_nodules(job.nodules)
  opacities = [draw_opacity(rng, background.spacing_mm, nodules) for _ in range(count)]
  contrasts = [float(value) for value in rng.uniform(*job.contrast, count)]
  return implant(background, opacities, rng, contrasts)


def _truth(image: str, lesion: Lesion) -> list[str]:
  numbers = (*lesion.centre, *lesion.box)
  return [
    image, *(f'{number:.6g}' for number in numbers), f'{lesion.diameter_mm:.1f}', lesion.zone,
    lesion.conspicuity, f'{lesion.contrast:.3f}', lesion.source,
  ]  # fmt: skip


def _write_tables(folder: pathlib.Path, rows: list[dict[str, Any]], notice: str) -> None:
  used = [row for row in rows if 'row' in row]
  if not used:
    reasons = '\n'.join(f'  {row["name"]}: {row["left_out"]}' for row in rows[:20])
    raise ImplantError(f'none of the {len(rows)} radiographs could be used:\n{reasons}')
  with (folder / 'manifest.csv').open('w', newline='') as file:
    manifest = csv.DictWriter(file, COLUMNS, lineterminator='\n')
    manifest.writeheader()
    manifest.writerows(row['row'] for row in used)
  with (folder / TRUTH).open('w', newline='') as file:
    truth = csv.writer(file, lineterminator='\n')
    truth.writerow(TRUTH_COLUMNS)
    truth.writerows(lesion for row in used for lesion in row['truth'])
  (folder / 'NOTICE.txt').write_text(notice + '\n')
