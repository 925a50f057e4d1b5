"""Draws radiographs of a shard set as the network sees them, with and without augmentation.

  python -m nodulax.input --dataset=DIR --split=train --output=sheet.png

Each radiograph is above its augmented version, with nodules outlined; half of the radiographs have
nodules, if there are enough. For research, not a medical device.
"""

import argparse
import pathlib

import cv2
import numpy as np
from absl import logging

from nodulax import cli
from nodulax.input.shards import Shards
from nodulax.radiograph import pictures
from nodulax.radiograph.augmentation import Augmentation, warp
from nodulax.radiograph.preprocessing import Preprocessing

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


def add_arguments(parser: cli.Parser) -> None:
  parser.add_config(default='default')
  add = parser.add_argument
  add('--dataset', required=True, help='folder of the shards')
  add('--split', default='train', choices=('train', 'tune', 'test'), help='split to draw from')
  add('--output', required=True, help='PNG file to write')
  add('--images', type=cli.at_least(1), default=16, help='how many radiographs (default: 16)')
  add('--tile', type=cli.at_least(32), default=256, help='side of each in pixels (default: 256)')


def main(given: argparse.Namespace) -> None:
  logging.set_verbosity(logging.WARNING)
  shards = Shards(given.dataset, given.split)
  sheet = draw(
    shards,
    Preprocessing.from_dict(given.config.preprocessing.to_dict()),
    Augmentation(**given.config.augmentation),
    given.images,
    given.tile,
  )
  pathlib.Path(given.output).write_bytes(pictures.png(sheet))
  print(f'{given.output}: {shards.name} {shards.split}, for research, not a medical device')


if __name__ == '__main__':
  cli.run('input', prog='python -m nodulax.input')
