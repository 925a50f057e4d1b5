import numpy as np

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
