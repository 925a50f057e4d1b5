"""How often the guard refuses, of real radiographs and of pictures that are none.

  python tests/radiograph/guard_figures.py

Reads `$NODULAX_TEST_DATA` (else ../shared/data): the upright radiographs of ChestX-ray14 and JSRT,
which should be read, and those that ChestX-ray14 distributes lying on their side and the bone
radiographs in DICOM, which should be refused. The other pictures that should be refused are made
here: masks of lungs and nodules, blank and noisy pictures, photographs (crops of scikit-learn's
and matplotlib's sample photographs), radiographs upside down, on their side, and JSRT's masks.
"""

import csv
import os
import pathlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from matplotlib import cbook
from sklearn.datasets import load_sample_images

from nodulax.radiograph import guard
from nodulax.radiograph.lungs import find_lung_box
from nodulax.radiograph.reading import RadiographError, read_radiograph

BESIDE = pathlib.Path(__file__).parents[3] / 'shared' / 'data'


def verdict(picture: pathlib.Path | np.ndarray) -> tuple[str, float]:
  """Why it is refused ('' where it is not), and its likeness (-1 where no lungs are found)."""
  if isinstance(picture, pathlib.Path):
    try:
      radiograph = read_radiograph(picture)
    except RadiographError:
      return 'unreadable', -1.0
    if radiograph.objection:
      return radiograph.objection, -1.0
    picture = radiograph.pixels
  lungs = find_lung_box(picture)
  return guard.pixel_objection(picture, lungs), guard.likeness(picture, lungs)


def tell(name: str, pictures: Iterable[pathlib.Path | np.ndarray]) -> None:
  with ThreadPoolExecutor(os.cpu_count()) as threads:
    verdicts = list(threads.map(verdict, pictures))
  refused = sum(bool(why) for why, _ in verdicts)
  likenesses = np.percentile([like for _, like in verdicts], (1, 50, 99))
  reasons = sorted({why[:18]: None for why, _ in verdicts if why})
  counts = ', '.join(f'{sum(w.startswith(r) for w, _ in verdicts)} {r!r}' for r in reasons)
  print(
    f'{name}: {refused} of {len(verdicts)} refused ({refused / len(verdicts):.2%}); '
    f'likeness at 1, 50, 99 %: {likenesses.round(3)}; {counts}',
    flush=True,
  )


def masks(count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
  """One to five ellipses, white on black or black on white, sharp or soft."""
  for _ in range(count):
    side = int(rng.integers(128, 1024))
    mask = np.zeros((side, side), np.uint8)
    for _ in range(rng.integers(1, 6)):
      centre = tuple(int(v) for v in rng.uniform(0.1, 0.9, 2) * side)
      axes = tuple(int(v) for v in rng.uniform(0.01, 0.3, 2) * side)
      cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    if rng.random() < 0.3:
      mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(1, 8)))
    yield 255 - mask if rng.random() < 0.3 else mask


def blanks(count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
  """One grey, a gradient, or faint noise."""
  for number in range(count):
    level, slope = rng.uniform(0, 255), rng.uniform(0, 255)
    ramp = np.linspace(0, 1, 256) * slope * (number % 3 == 1)
    noise = rng.normal(0, rng.uniform(0.3, 6), (256, 256)) * (number % 3 == 2)
    yield np.clip(level + ramp + noise, 0, 255).astype(np.uint8)


def clouds(count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
  """Noise whose power falls with the frequency, as in pictures of nature."""
  frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256))
  frequency[0, 0] = 1
  for _ in range(count):
    spectrum = np.fft.fft2(rng.normal(size=(256, 256))) / frequency ** rng.uniform(0.5, 2)
    cloud = np.real(np.fft.ifft2(spectrum))
    yield (255 * (cloud - cloud.min()) / np.ptp(cloud)).astype(np.uint8)


def photographs(count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
  """Crops of three photographs, in grey, of all sizes, some of them negatives."""
  with cbook.get_sample_data('grace_hopper.jpg') as file:
    portrait = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_GRAYSCALE)
  others = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in load_sample_images().images)
  whole = [portrait, *others]
  for number in range(count):
    photograph = whole[number % len(whole)]
    side = int(rng.uniform(0.3, 1) * min(photograph.shape))
    top, left = (int(rng.integers(0, length - side + 1)) for length in photograph.shape)
    crop = photograph[top : top + side, left : left + side]
    yield np.ascontiguousarray(255 - crop if rng.random() < 0.3 else crop)


def main() -> None:
  """Prints one line for each kind of picture."""
  data = pathlib.Path(os.environ.get('NODULAX_TEST_DATA', BESIDE))
  rng = np.random.default_rng(0)
  with (data / 'nih512' / 'labels.csv').open(newline='') as file:
    rows = list(csv.DictReader(file))
  images = data / 'nih512' / 'images'
  nih = [*sorted((data / 'nih' / 'images').glob('*.png'))]
  nih += [images / row['file'] for row in rows if row['on_its_side'] != '1']
  jsrt = sorted(path for path in (data / 'jsrt' / 'images').iterdir() if path.is_file())
  print('to be read')
  tell('ChestX-ray14, upright', nih)
  tell('JSRT', jsrt)
  print('to be refused')
  tell('on their side', [images / row['file'] for row in rows if row['on_its_side'] == '1'])
  tell('no chests, DICOM', sorted((data / 'dicom' / 'nonchest').rglob('*.dcm')))
  tell("JSRT's masks", sorted((data / 'jsrt' / 'masks').rglob('*.png')))
  tell('masks', masks(200, rng))
  tell('blank', blanks(100, rng))
  tell('clouds', clouds(50, rng))
  tell('photographs', photographs(150, rng))
  tell('JSRT, turned', [np.rot90(read_radiograph(p).pixels, 1 + i % 3) for i, p in enumerate(jsrt)])


if __name__ == '__main__':
  main()
