"""Draws radiographs of a shard set as the network sees them, with and without augmentation.

  python -m nodulax.input --dataset=DIR --split=train --output=sheet.png

Each radiograph stands above its augmented self, nodules outlined; half of them have nodules, as far
as there are. For research, not a medical device.
"""

import pathlib
from collections.abc import Sequence

import cv2
import numpy as np
from absl import app, flags, logging
from ml_collections import config_flags

from nodulax.input.shards import Shards
from nodulax.radiograph import pictures
from nodulax.radiograph.augmentation import Augmentation, warp
from nodulax.radiograph.preprocessing import Preprocessing

CONFIG = config_flags.DEFINE_config_file(
  'config', 'configs/default.py', 'Config whose preprocessing and augmentation are drawn.'
)
DATASET = flags.DEFINE_string('dataset', None, 'Folder of the shards.', required=True)
SPLIT = flags.DEFINE_enum('split', 'train', ['train', 'tune', 'test'], 'Split to draw from.')
OUTPUT = flags.DEFINE_string('output', None, 'PNG file to write.', required=True)
IMAGES = flags.DEFINE_integer('images', 16, 'How many radiographs.', lower_bound=1)
TILE = flags.DEFINE_integer('tile', 256, 'Side of each picture, in pixels.', lower_bound=32)
COLUMNS = 8


def draw(
  shards: Shards, preprocessing: Preprocessing, augmentation: Augmentation, count: int, tile: int
) -> np.ndarray:
  """The contact sheet, u8[H, W, 3]."""
  rng = np.random.default_rng(0)
  labels = shards.labels()
  by_label = [[index for index, label in enumerate(labels) if label == kind] for kind in (1, 0)]
  nodules = by_label[0][: max(count // 2, count - len(by_label[1]))]
  chosen = [*nodules, *by_label[1][: count - len(nodules)]]
  plain: list[np.ndarray] = []
  augmented: list[np.ndarray] = []
  for index in chosen:
    case, pixels, mask = shards[index]
    view = preprocessing.image(pixels, case.lung_box)
    truth = np.zeros_like(view) if mask is None else preprocessing.mask(mask, case.lung_box)
    affine = augmentation.draw(rng, len(view))
    for row, image, nodule in (
      (plain, view, truth),
      (augmented, warp(view, affine), warp(truth, affine)),
    ):
      picture = pictures.overlay(image, None, nodule >= 128)
      row.append(cv2.resize(picture, (tile, tile), interpolation=cv2.INTER_AREA))
  columns = min(COLUMNS, len(chosen))
  return np.vstack(
    [
      pictures.contact_sheet(row[start : start + columns], columns)
      for start in range(0, len(chosen), columns)
      for row in (plain, augmented)
    ]
  )


def main(arguments: Sequence[str]) -> None:
  if len(arguments) > 1:
    raise app.UsageError(f'unexpected argument: {arguments[1]}')
  logging.set_verbosity(logging.WARNING)
  config = CONFIG.value
  try:
    shards = Shards(DATASET.value, SPLIT.value)
    sheet = draw(
      shards,
      Preprocessing.from_dict(config.preprocessing.to_dict()),
      Augmentation(**config.augmentation),
      IMAGES.value,
      TILE.value,
    )
    pathlib.Path(OUTPUT.value).write_bytes(pictures.png(sheet))
  except (ValueError, OSError) as error:  # ShardsError among them, and knobs out of range
    raise SystemExit(f'nodulax: {error}') from error
  print(f'{OUTPUT.value}: {shards.name} {shards.split}, for research, not a medical device')


if __name__ == '__main__':
  app.run(main)
