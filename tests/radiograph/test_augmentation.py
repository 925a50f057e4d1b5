import dataclasses

import numpy as np
import pytest

from nodulax.radiograph.augmentation import Augmentation, warp

NOTHING = Augmentation(flip=0.0, shift=0.0, scale=0.0, rotation=0.0, shear=0.0)


def test_empty_ranges_leave_the_image_as_it_is():
  image = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
  affine = NOTHING.draw(np.random.default_rng(1), 32)
  np.testing.assert_array_equal(warp(image, affine), image)


def test_a_certain_flip_mirrors_left_and_right():
  image = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
  flip = Augmentation(flip=1.0, shift=0.0, scale=0.0, rotation=0.0, shear=0.0)
  np.testing.assert_array_equal(
    warp(image, flip.draw(np.random.default_rng(1), 32)), image[:, ::-1]
  )


def test_draws_stay_in_their_ranges_and_reach_far_into_them():
  ranges = Augmentation(flip=0.5, shift=0.1, scale=0.2, rotation=30.0, shear=0.0)
  rng = np.random.default_rng(0)
  affines = np.array([ranges.draw(rng, 101) for _ in range(2000)])
  linear = affines[:, :, :2]
  # With no shear, the determinant is the square of the scale, negative for a flip.
  determinants = np.linalg.det(linear)
  scales = np.sqrt(np.abs(determinants))
  assert 0.8 <= scales.min() < 0.81 and 1.19 < scales.max() <= 1.2
  assert 0.45 < (determinants < 0).mean() < 0.55
  angles = np.rad2deg(np.arctan2(-linear[:, 0, 1], linear[:, 1, 1]))
  assert -30 <= angles.min() < -29 and 29 < angles.max() <= 30
  # The centre, (50, 50), moves by the shift alone: at most a tenth of 101 pixels.
  moves = linear @ [50, 50] + affines[:, :, 2] - 50
  assert 10 < np.abs(moves).max() <= 10.1


def test_image_and_mask_move_together():
  image = np.zeros((64, 64), np.uint8)
  image[20:30, 40:52] = 255
  affine = Augmentation(0.5, 0.1, 0.1, 10.0, 5.0).draw(np.random.default_rng(3), 64)
  np.testing.assert_array_equal(warp(image, affine), warp(image.copy(), affine))
  assert warp(image, affine).any()


def test_other_greys_leave_the_geometry_and_closed_ranges_the_image():
  rng = np.random.default_rng(0)
  image = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
  before = rng.bit_generator.state
  np.testing.assert_array_equal(NOTHING.expose(image, rng), image)
  assert rng.bit_generator.state == before
  toned = dataclasses.replace(NOTHING, gamma=0.5).expose(image, np.random.default_rng(1))
  assert toned.dtype == np.uint8 and not np.array_equal(toned, image)
  # A tone curve keeps black, white and the order of greys, and so every column where it is.
  np.testing.assert_array_equal(toned[:1].repeat(64, axis=0), toned)
  assert np.all(np.diff(toned[0].astype(int)) >= 0) and toned[0, 0] == 0
  grey = np.full((64, 64), 128, np.uint8)
  noisy = [
    dataclasses.replace(NOTHING, noise=0.1).expose(grey, np.random.default_rng(seed))
    for seed in range(200)
  ]
  deviations = [picture.astype(float).std() / 255 for picture in noisy]
  # Drawn evenly from 0 to 0.1.
  assert np.mean(deviations) == pytest.approx(0.05, abs=0.006) and max(deviations) < 0.11
  edge = np.where(np.arange(64) < 32, np.uint8(80), np.uint8(160)) * np.ones((64, 1), np.uint8)
  sharpened = [
    np.ptp(dataclasses.replace(NOTHING, sharpness=1.0).expose(edge, np.random.default_rng(seed)))
    for seed in range(40)
  ]
  assert (
    max(sharpened) > 90 and min(sharpened) == 80
  )  # some overshoot at the edge, some are blurred
