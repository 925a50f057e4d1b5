"""Images a second a core of a cached epoch, beside a PyTorch DataLoader with albumentations.

    python tests/benchmarks/input.py [--images 128] [--rounds 3]

All three augment 512 x 512 images in the same ranges, batches of 16, on one core: nodulax from its
cache; PyTorch from PNG files, as its users write it (decode, resize, CLAHE, flip, affine); and
PyTorch with everything up to CLAHE cached in the process. Needs torch and albumentations. An epoch
of each in turn; prints medians, per second of the clock and of the processor. Aims: 5 times the
first peer, and no slower than the second.
"""

import argparse
import collections
import math
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable

os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')

import albumentations
import cv2
import numpy as np
import torch
from build import png_files

from nodulax.input.batches import training_batches
from nodulax.input.prepared import Prepared
from nodulax.input.shards import Case
from nodulax.radiograph.augmentation import Augmentation
from nodulax.radiograph.preprocessing import Preprocessing

SIZE, BATCH, EPOCHS, RADIOGRAPHS = 512, 16, 6, 2048
RANGES = Augmentation(flip=0.5, shift=0.05, scale=0.1, rotation=10.0, shear=5.0)


def cache(files: list[pathlib.Path]) -> Prepared:
  """The files again and again, as many as a training split has: grain shuffles few slowly."""
  preprocessing = Preprocessing(SIZE, 0.1, (0.5, 99.5), 2.0, 8)
  pixels = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files]
  cases = [
    Case(
      image_id=file.name,
      patient_id=file.name,
      label=0,
      location_known=True,
      boxes=(),
      lung_box=(0.0, 0.0, float(image.shape[1]), float(image.shape[0])),
      height=image.shape[0],
      width=image.shape[1],
      sex='unknown',
      age=math.nan,
      view='PA',
      pixel_spacing_mm=(math.nan, math.nan),
      nodule_diameter_mm=math.nan,
      zone='unknown',
      conspicuity='unknown',
      source='benchmark',
    )
    for file, image in zip(files, pixels, strict=True)
  ]
  images = np.stack(
    [preprocessing.image(image, case.lung_box) for image, case in zip(pixels, cases, strict=True)]
  )
  times = -(-RADIOGRAPHS // len(files))
  images = np.tile(images, (times, 1, 1))
  return Prepared(
    'benchmark', 'train', cases * times, images, np.zeros_like(images), np.zeros(len(images)), None
  )


class Radiographs(torch.utils.data.Dataset):
  """PNG files through albumentations, with what precedes augmentation cached or not."""

  def __init__(self, files: list[pathlib.Path], cached: bool):
    self._prepare = albumentations.Compose(
      [albumentations.Resize(SIZE, SIZE), albumentations.CLAHE((2.0, 2.0), (8, 8), p=1)]
    )
    self._augment = albumentations.Compose(
      [
        albumentations.HorizontalFlip(p=RANGES.flip),
        albumentations.Affine(
          scale=(1 - RANGES.scale, 1 + RANGES.scale),
          translate_percent=(-RANGES.shift, RANGES.shift),
          rotate=(-RANGES.rotation, RANGES.rotation),
          shear={'x': (-RANGES.shear, RANGES.shear), 'y': 0},
          p=1,
        ),
      ]
    )
    self._files = files
    self._cache = [self._read(file) for file in files] if cached else None

  def __len__(self) -> int:
    return len(self._files)

  def __getitem__(self, index: int) -> torch.Tensor:
    image = self._read(self._files[index]) if self._cache is None else self._cache[index]
    return torch.from_numpy(self._augment(image=image)['image'])[None].float() / 255

  def _read(self, file: pathlib.Path) -> np.ndarray:
    return self._prepare(image=cv2.imread(str(file), cv2.IMREAD_GRAYSCALE))['image']


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--images', type=int, default=128)
  parser.add_argument('--rounds', type=int, default=3)
  args = parser.parse_args()
  cv2.setNumThreads(1)
  torch.set_num_threads(1)
  os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
  with tempfile.TemporaryDirectory() as folder:
    files = png_files(pathlib.Path(folder), args.images // BATCH * BATCH)
    prepared = cache(files)
    uncached, cached = (
      torch.utils.data.DataLoader(Radiographs(files, cached), BATCH, shuffle=True)
      for cached in (False, True)
    )

    def epochs_in_a_row() -> None:
      # A stream of its own, which else would work ahead while the others are measured; and long,
      # so that what it read ahead when it ends weighs little.
      batches = training_batches(
        prepared, batch_size=BATCH, map_size=16, augmentation=RANGES, seed=0
      )
      for _ in range(EPOCHS * len(files) // BATCH):
        next(batches)
      batches.close()

    epochs: dict[str, Callable] = {
      'nodulax': epochs_in_a_row,
      'PyTorch and albumentations': lambda: collections.deque(uncached, 0),
      'the same, preprocessing cached': lambda: collections.deque(cached, 0),
    }
    spent = collections.defaultdict(list)
    for _ in range(args.rounds + 1):
      for name, run in epochs.items():
        wall, processor = time.perf_counter(), time.process_time()
        run()
        count = EPOCHS if name == 'nodulax' else 1
        spent[name].append(
          ((time.perf_counter() - wall) / count, (time.process_time() - processor) / count)
        )
  for name, times in spent.items():
    line = f'{name:30}'
    for clock, which in enumerate(('wall', 'processor')):
      seconds = statistics.median(each[clock] for each in times[1:])
      ratio = statistics.median(
        b[clock] / a[clock] for a, b in zip(spent['nodulax'][1:], times[1:], strict=True)
      )
      line += f'  {len(files) / seconds:6.0f} images a second of the {which}'
      line += f' ({ratio:.2f} times as slow)' if name != 'nodulax' else ''
    print(line)


if __name__ == '__main__':
  main()
