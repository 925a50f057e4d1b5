"""Radiographs in, findings out.

  python -m nodulax.predict --checkpoint=RUN --output=DIR image.dcm other.png folder/

Writes findings.csv (one row a radiograph) and overlays/ (each radiograph with its heat map).
Reads DICOM, PNG and JPEG. For research, not a medical device.
"""

import csv
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import jax
import numpy as np
from absl import app, flags, logging
from rich.progress import track

from nodulax import NOTICE, checkpoint, inference, parallel
from nodulax.checkpoint import CheckpointError, Description
from nodulax.radiograph import pictures
from nodulax.radiograph.lungs import LungBox, find_lung_box
from nodulax.radiograph.preprocessing import Crop, Preprocessing
from nodulax.radiograph.reading import Radiograph, RadiographError, read_radiograph

SUFFIXES = ('.dcm', '.dicom', '.jpeg', '.jpg', '.png', '')  # looked for in folders
LARGEST_OVERLAY = 1024  # pixels along the longer side
COLUMNS = (
  'image',
  'probability',
  'positive',
  'threshold',
  'hottest_value',
  'hottest_x',
  'hottest_y',
  'lung_box_found',
  'width',
  'height',
)


@dataclasses.dataclass(frozen=True)
class Reading:
  """A radiograph ready for the network."""

  radiograph: Radiograph
  lungs: LungBox
  crop: Crop
  view: np.ndarray  # u8[S, S]


def radiographs_in(paths: Sequence[str]) -> dict[str, pathlib.Path]:
  """The files to read, by the name they go by in the output.

  A file goes by its name, one in a folder by its path from there; files of equal names are
  numbered.

  Raises:
    FileNotFoundError: a path does not exist, or a folder holds no radiograph.
  """
  named: dict[str, pathlib.Path] = {}

  def add(name: str, path: pathlib.Path) -> None:
    unique, number = name, 2
    while unique in named:
      unique, number = f'{name} ({number})', number + 1
    named[unique] = path

  for path in map(pathlib.Path, paths):
    if path.is_dir():
      inside = [
        file
        for file in sorted(path.rglob('*'))
        if file.is_file() and file.suffix.lower() in SUFFIXES and not file.name.startswith('.')
      ]
      if not inside:
        raise FileNotFoundError(f'{path}: no DICOM, PNG or JPEG file in this folder')
      for file in inside:
        add(file.relative_to(path).as_posix(), file)
    elif path.is_file():
      add(path.name, path)
    else:
      raise FileNotFoundError(f'{path}: no such file or folder')
  return named


def predict(
  run: str | os.PathLike, files: dict[str, pathlib.Path], output: str | os.PathLike, batch_size: int
) -> dict[str, str]:
  """Reads radiographs with a run's best network.

  Args:
    run: the workdir of a training run.
    files: as `radiographs_in` gives them.
    output: the folder to write.
    batch_size: radiographs at a time.

  Returns:
    What was wrong with each file that could not be read, by its name.

  Raises:
    CheckpointError: there is no such run.
  """
  output = pathlib.Path(output)
  (output / 'overlays').mkdir(parents=True, exist_ok=True)
  description = checkpoint.describe(run)
  network, variables = inference.load_network(run)
  devices = jax.local_devices()
  batch_size = inference.rounded_up(batch_size, devices)
  predictor = inference.Predictor(network, devices)
  variables = parallel.replicate(variables, devices)
  faults: dict[str, str] = {}
  (output / 'NOTICE.txt').write_text(NOTICE + '\n')
  with (output / 'findings.csv').open('w', newline='') as file:
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for batch in _batches(files, description.preprocessing, batch_size, faults):
      views = np.stack([reading.view for reading in batch.values()])[..., None]
      padding = batch_size - len(views)
      images = {
        'image': np.pad(views, [(0, padding)] + [(0, 0)] * 3),
        'valid': np.arange(batch_size) < len(views),
      }
      probability, heat_maps = predictor(variables, [images])
      for (name, reading), score, heat_map in zip(
        batch.items(), probability, heat_maps, strict=True
      ):
        writer.writerow(_row(name, reading, float(score), heat_map, description))
        picture = draw(reading, heat_map)
        path = output / 'overlays' / f'{name.replace("/", "_")}.png'
        path.write_bytes(pictures.png(picture))
  return faults


def read(path: pathlib.Path, preprocessing: Preprocessing) -> Reading:
  """One radiograph from its file to the network's input.

  Raises:
    RadiographError: the file is not a radiograph that can be read.
  """
  radiograph = read_radiograph(path)
  lungs = find_lung_box(radiograph.pixels)
  crop = preprocessing.crop(radiograph.pixels.shape, lungs.box)
  return Reading(radiograph, lungs, crop, preprocessing.image(radiograph.pixels, lungs.box))


def draw(reading: Reading, heat_map: np.ndarray) -> np.ndarray:
  """The whole radiograph with the heat map over the part that the network saw: u8[h, w, 3]."""
  pixels = reading.radiograph.pixels
  black, white = np.percentile(pixels, (0.5, 99.5))
  scaled = (pixels.astype(np.float32) - black) / max(white - black, 1) * 255
  heat = np.zeros(pixels.shape, np.float32)
  reading.crop.cut(heat)[:] = cv2.resize(
    heat_map, (reading.crop.width, reading.crop.height), interpolation=cv2.INTER_LINEAR
  )
  scale = min(1, LARGEST_OVERLAY / max(pixels.shape))
  size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
  shown = cv2.resize(scaled.clip(0, 255).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
  return pictures.overlay(shown, cv2.resize(heat, size, interpolation=cv2.INTER_AREA))


def _batches(
  files: dict[str, pathlib.Path],
  preprocessing: Preprocessing,
  batch_size: int,
  faults: dict[str, str],
) -> Iterator[dict[str, Reading]]:
  """The readable files, `batch_size` at a time; notes what is wrong with the others."""

  def attempt(item: tuple[str, pathlib.Path]) -> tuple[str, Reading | str]:
    name, path = item
    try:
      return name, read(path, preprocessing)
    except (RadiographError, OSError) as error:
      return name, str(error)

  items = list(files.items())
  starts = range(0, len(items), batch_size)
  with ThreadPoolExecutor(os.cpu_count()) as threads:
    for start in track(starts, 'Reading radiographs'):
      batch = {}
      for name, result in threads.map(attempt, items[start : start + batch_size]):
        if isinstance(result, str):
          faults[name] = result
        else:
          batch[name] = result
      if batch:
        yield batch


def _row(
  name: str, reading: Reading, probability: float, heat_map: np.ndarray, description: Description
) -> list[Any]:
  row, column = np.unravel_index(int(heat_map.argmax()), heat_map.shape)
  centre = np.array([column + 0.5, row + 0.5])
  x, y = reading.crop.to_stored(centre, len(heat_map))
  threshold = description.thresholds.probability
  height, width = reading.radiograph.pixels.shape
  return [
    name,
    f'{probability:.6f}',
    int(probability >= threshold),
    f'{threshold:.6f}',
    f'{heat_map.max():.6f}',
    f'{x:.1f}',
    f'{y:.1f}',
    int(reading.lungs.found),
    width,
    height,
  ]


def main(arguments: Sequence[str]) -> None:
  logging.set_verbosity(logging.WARNING)
  values = flags.FLAGS
  if len(arguments) < 2:
    raise app.UsageError('name at least one file or folder')
  try:
    files = radiographs_in(arguments[1:])
    faults = predict(values.checkpoint, files, values.output, values.batch_size)
  except (CheckpointError, OSError) as error:
    raise SystemExit(f'nodulax: {error}') from error
  read_well = len(files) - len(faults)
  print(f'{read_well} of {len(files)} radiographs: {values.output}/findings.csv, overlays/')
  if faults:
    listed = '\n'.join(f'  {name}: {fault}' for name, fault in faults.items())
    raise SystemExit(f'{len(faults)} could not be read:\n{listed}')


if __name__ == '__main__':
  flags.DEFINE_string('checkpoint', None, 'Workdir of the training run.', required=True)
  flags.DEFINE_string('output', None, 'Folder to write.', required=True)
  flags.DEFINE_integer('batch_size', 8, 'Radiographs at a time.')
  app.run(main)
