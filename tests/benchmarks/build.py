"""How fast shards are built: images a second a core, and what a second core brings.

  python tests/benchmarks/build.py

Aims: 300 images a second a core for writing 1024 x 1024 PNGs as they are, and 1.8 times as many on
two cores. Uses the PNGs of `$NODULAX_TEST_DATA/nih`, else of ../shared/data/nih, else makes some.
"""

import argparse
import os
import pathlib
import shutil
import tempfile
import time

os.environ.setdefault('OMP_NUM_THREADS', '1')

import cv2
import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from nodulax.radiograph.reading import encode_png
from tfds_builders.examples import Entry, Shard, write_shard
from tfds_builders.inspection import inspect
from tfds_builders.processes import map_images
from tfds_builders.records import Record

_IMAGES_IN_A_SHARD = 32


def noisy(seed: int, height: int, width: int, bits: int) -> np.ndarray:
  """A smooth picture with noise, so that it compresses about as a radiograph does."""
  rng = np.random.default_rng(seed)
  coarse = rng.uniform(0.1, 0.9, (12, 12)).astype(np.float32)
  smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
  pixels = (smooth + rng.normal(0, 0.01, (height, width))).clip(0, 1) * (2**bits - 1)
  return pixels.astype(np.uint8 if bits == 8 else np.uint16)


def png_files(folder: pathlib.Path, count: int) -> list[pathlib.Path]:
  """`count` 1024 x 1024 PNGs: grey NIH images, again and again, or made ones."""
  beside = pathlib.Path(__file__).parents[3] / 'shared' / 'data'
  images = pathlib.Path(os.environ.get('NODULAX_TEST_DATA', beside)) / 'nih' / 'images'
  grey = [path for path in sorted(images.glob('*.png')) if path.read_bytes()[24:26] == b'\x08\x00']
  if not grey:
    for seed in range(32):
      grey.append(folder / f'made{seed}.png')
      grey[-1].write_bytes(encode_png(noisy(seed, 1024, 1024, 8)))
  files = [folder / f'{index}.png' for index in range(count)]
  for index, file in enumerate(files):
    shutil.copyfile(grey[index % len(grey)], file)
  return files


def dicom_files(folder: pathlib.Path, count: int) -> list[pathlib.Path]:
  """`count` uncompressed DICOM files of 2048 x 2500 pixels of 16 bits."""
  files = [folder / f'{index}.dcm' for index in range(count)]
  for index, file in enumerate(files):
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.PhotometricInterpretation = 'MONOCHROME2'
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.Rows, dataset.Columns = 2500, 2048
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelData = noisy(index, 2500, 2048, 16).tobytes()
    dataset.save_as(file, enforce_file_format=True)
  return files


def measure(files: list[pathlib.Path], folder: pathlib.Path, processes: int) -> dict[str, float]:
  """Seconds to look at all files, and to write them into shards, in so many processes."""
  records = [
    Record(key=file.name, name=file.name, path=str(file), patient=file.name, label='normal')
    for file in files
  ]
  # Warm up: the processes start, and the page cache fills, before the clock does.
  map_images(inspect, records[:processes], processes=processes, doing='Warming up')
  start = time.perf_counter()
  looks = map_images(inspect, records, processes=processes, doing='Looking')
  looked = time.perf_counter()
  entries = [
    Entry(record, look, record.key, record.key, 'benchmark')
    for record, look in zip(records, looks, strict=True)
  ]
  shards = [
    Shard(
      str(folder / f'{processes}-{first}'), tuple(entries[first : first + _IMAGES_IN_A_SHARD]), 16
    )
    for first in range(0, len(entries), _IMAGES_IN_A_SHARD)
  ]
  weights = [len(shard.entries) for shard in shards]
  map_images(write_shard, shards, processes=processes, doing='Writing', weights=weights)
  return {'look': looked - start, 'write': time.perf_counter() - looked}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--pngs', type=int, default=1600)
  parser.add_argument('--dicoms', type=int, default=128)
  arguments = parser.parse_args()
  for kind, make, count in (
    ('PNG, 1024 x 1024, as it is', png_files, arguments.pngs),
    ('DICOM, 2048 x 2500 of 16 bits', dicom_files, arguments.dicoms),
  ):
    with tempfile.TemporaryDirectory() as name:
      folder = pathlib.Path(name)
      files = make(folder, count)
      one, two = (measure(files, folder, processes) for processes in (1, 2))
    for stage in ('look', 'write'):
      print(
        f'{kind}: {stage}: {count / one[stage]:.0f} images/s on one core, '
        f'{one[stage] / two[stage]:.2f} times as many on two'
      )


if __name__ == '__main__':
  main()
