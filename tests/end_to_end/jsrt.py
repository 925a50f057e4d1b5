"""Network 2 from scratch on real radiographs: JSRT as a hospital's own data set.

  python tests/end_to_end/jsrt.py --jsrt=DIR --workdir=runs/jsrt

DIR holds images/*.png (224 x 224), and jsrt_metadata.csv with, in pixels of the original 2048 x
2048, each nodule's centre (x, y) and, in mm, its diameter (size). The script writes them in the
layout of tfds_builders/gmc_nodule, with the disc of that diameter as mask, builds shards with the
splits train, tune and test, trains network 2 for a few epochs at 224 pixels and evaluates it.

With some 85 radiographs to train on and no pretrained weights the result says that the way is
whole, and nothing of how well the network can do. For research, not a medical device.
"""

import argparse
import csv
import pathlib
import shutil
import subprocess
import sys

import cv2
import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
ORIGINAL_SIZE = 2048  # pixels
ORIGINAL_SPACING = 0.175  # mm
COLUMNS = (
  'image', 'patient_id', 'label', 'mask', 'sex', 'age', 'view', 'pixel_spacing_mm',
  'nodule_diameter_mm', 'conspicuity',
)  # fmt: skip


def write_hospital(jsrt: pathlib.Path, folder: pathlib.Path) -> None:
  """Writes the JSRT radiographs that are there in the hospital layout."""
  (folder / 'images').mkdir(parents=True)
  (folder / 'masks').mkdir()
  rows = []
  with (jsrt / 'jsrt_metadata.csv').open(newline='') as file:
    for entry in csv.DictReader(file):
      name = entry['study_id']
      image = jsrt / 'images' / name
      if not image.exists():
        continue
      shutil.copy(image, folder / 'images' / name)
      size = cv2.imread(str(image), cv2.IMREAD_UNCHANGED).shape[0]
      spacing = ORIGINAL_SPACING * ORIGINAL_SIZE / size
      nodule = entry['state'] != 'non-nodule'
      row = {
        'image': f'images/{name}',
        'patient_id': name.removesuffix('.png'),  # one radiograph a patient
        'label': 'nodule' if nodule else 'normal',
        'sex': {'Female': 'F', 'Male': 'M'}.get(entry['gender'], ''),
        'age': entry['age'] if entry['age'].isdigit() else '',
        'view': 'PA',
        'pixel_spacing_mm': f'{spacing:g}',
      }
      if nodule:
        centre = np.array([float(entry['x']), float(entry['y'])]) * size / ORIGINAL_SIZE
        radius = float(entry['size']) / 2 / spacing
        cv2.imwrite(str(folder / 'masks' / name), disc(size, centre, radius))
        row |= {
          'mask': f'masks/{name}',
          'nodule_diameter_mm': entry['size'],
          'conspicuity': entry['subtlety'],
        }
      rows.append(row)
  with (folder / 'manifest.csv').open('w', newline='') as file:
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)


def disc(size: int, centre: np.ndarray, radius: float) -> np.ndarray:
  """The pixels, 255, whose centres lie in the disc (or the one that holds its centre)."""
  y, x = np.mgrid[:size, :size] + 0.5
  inside = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2
  inside[int(centre[1]), int(centre[0])] = True
  return inside.astype(np.uint8) * 255


def run(module: str, *arguments: str) -> None:
  finished = subprocess.run([sys.executable, '-m', module, *arguments], cwd=ROOT)
  if finished.returncode:
    raise SystemExit(finished.returncode)


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--jsrt', type=pathlib.Path, required=True)
  parser.add_argument('--workdir', type=pathlib.Path, required=True)
  parser.add_argument('--epochs', type=int, default=15)
  given = parser.parse_args()
  workdir = given.workdir.resolve()
  raw, shards = workdir / 'raw', workdir / 'shards'
  if not raw.exists():
    write_hospital(given.jsrt, raw)
  if not shards.exists():
    options = (f'--manual_dir={raw}', f'--data_dir={shards}', '--config=hospital')
    run('tfds_builders', 'build', 'gmc_nodule', *options)
  run(
    'nodulax.main',
    '--config=configs/nih_aihub_pixel.py',
    f'--workdir={workdir / "pixel"}',
    '--config.name=jsrt_pixel',
    '--config.data.train=hospital',
    f'--config.data.shards.hospital={shards}',
    '--config.data.evaluate=("hospital",)',
    '--config.init.checkpoint=',
    '--config.preprocessing.image_size=224',
    '--config.model.size=tiny',
    '--config.model.batch_norm_momentum=0.9',
    '--config.optimizer.learning_rate=1e-3',
    f'--config.train.epochs={given.epochs}',
    '--config.train.batch_size=8',
  )


if __name__ == '__main__':
  main()
