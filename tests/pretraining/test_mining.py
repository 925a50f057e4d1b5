"""Hard negatives, on views and heat maps made by hand."""

import numpy as np
import pytest

from nodulax.pretraining.mining import Pool, hottest_on_nodule, wrong_crops


def seen(nodule: bool = True) -> dict:
  """One view of 128 pixels: each pixel tells its row; a nodule fills cell (1, 1)."""
  image = np.repeat(np.arange(128, dtype=np.uint8)[:, None], 128, 1)[None, ..., None]
  mask = np.zeros((1, 128, 128), np.uint8)
  truth = np.zeros((1, 8, 8), np.float32)
  if nodule:
    mask[0, 16:32, 16:32] = 255
    truth[0, 1, 1] = 1
  return {'image': image, 'mask': mask, 'truth': truth}


def test_the_hottest_cell_away_from_nodules_is_cut_out():
  heat = np.zeros((1, 8, 8), np.float32)
  heat[0, 1, 1], heat[0, 2, 2], heat[0, 6, 5] = 0.9, 0.8, 0.5  # nodule, beside it, wrong
  (crop,) = wrong_crops(seen(), heat, 32)
  assert crop.shape == (32, 32, 1)
  assert crop[0, 0, 0] == 88  # the middle of row 6, 104, less half a crop


def test_without_false_alarms_nothing_is_mined():
  assert wrong_crops(seen(), np.zeros((1, 8, 8), np.float32), 32) == []


def test_the_pool_replaces_its_oldest():
  pool = Pool(np.zeros((2, 4, 4, 1), np.uint8), 0)
  pool.add([np.full((4, 4, 1), value, np.uint8) for value in (1, 2, 3)])
  assert pool.crops[:, 0, 0, 0].tolist() == [3, 2] and pool.count == 3


def test_mined_crops_are_normals_of_a_batch():
  pool = Pool(np.full((2, 32, 32, 1), 7, np.uint8), 2)
  own = {
    'image': np.zeros((3, 32, 32, 1), np.uint8),
    'truth': np.ones((3, 2, 2), np.float32),
    'label': np.ones(3, np.float32),
  }
  batch = pool.fill_in(own, 2, np.random.default_rng(0))
  assert batch['label'].tolist() == [1, 1, 1, 0, 0]
  assert (batch['image'][3:] == 7).all() and not batch['truth'][3:].any()


def test_the_hottest_cell_lies_on_the_nodule_or_not():
  truth = np.zeros((3, 2, 2), np.float32)
  truth[0, 0, 0] = truth[1, 1, 1] = 0.3
  heat = np.array([[[0.9, 0], [0, 0]], [[0.9, 0], [0, 0.8]], [[1, 0], [0, 0]]], np.float32)
  assert hottest_on_nodule(heat, truth) == pytest.approx(0.5)  # the third has no nodule
