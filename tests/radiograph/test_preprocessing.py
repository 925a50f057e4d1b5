import dataclasses
import json

import cv2
import numpy as np
import pytest

from nodulax.phantom.train_lungs import simulated
from nodulax.radiograph.lungs import find_lung_box
from nodulax.radiograph.preprocessing import Crop, Preprocessing

PLAIN = Preprocessing(
  image_size=64, lung_margin=0.1, window=(0.0, 100.0), clahe_clip_limit=2.0, clahe_tiles=8
)


def test_the_crop_is_the_lung_box_with_its_margin():
  # A box 100 wide and 200 high: 10 and 20 pixels on each side.
  assert PLAIN.crop((1000, 1000), np.array([300, 200, 400, 400])) == Crop(290, 180, 410, 420)


def test_the_crop_stays_in_the_image():
  assert PLAIN.crop((50, 80), np.array([0, 0, 80, 50])) == Crop(0, 0, 80, 50)


def test_a_lung_box_outside_the_image_is_an_error():
  with pytest.raises(ValueError, match='outside'):
    PLAIN.crop((50, 80), np.array([200, 0, 300, 50]))


def test_points_of_the_crop_come_back_to_the_stored_image():
  crop = Crop(100, 50, 300, 150)
  np.testing.assert_allclose(
    crop.to_stored(np.array([[0, 0], [64, 64], [32, 16]]), 64), [[100, 50], [300, 150], [200, 75]]
  )
  np.testing.assert_allclose(crop.to_view(np.array([200, 75]), 64), [32, 16])


def test_the_image_is_window_then_clahe_of_the_resized_crop():
  # Blocks of 2 x 2 equal pixels, so that halving by area gives the block back; from 1000 to
  # 1510 in steps of 2, so that the window makes 0 to 255 of it.
  expected = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
  expected[0, :2] = 0, 255
  pixels = np.kron(1000 + 2 * expected.astype(np.uint16), np.ones((2, 2), np.uint16))
  clahe = cv2.createCLAHE(2.0, (8, 8))
  np.testing.assert_array_equal(
    PLAIN.image(pixels, np.array([0, 0, 128, 128])), clahe.apply(expected)
  )


def test_the_view_does_not_depend_on_the_bit_depth():
  rng = np.random.default_rng(1)
  eight = rng.integers(0, 256, (64, 64), dtype=np.uint8)
  box = np.array([0, 0, 64, 64])
  np.testing.assert_array_equal(
    PLAIN.image(eight, box), PLAIN.image(eight.astype(np.uint16) * 257, box)
  )


def test_the_resized_view_of_8_and_of_16_bits_differs_by_one_grey_level_at_most():
  """Rounding to the stored type between resize and CLAHE once gave another picture."""
  rng = np.random.default_rng(2)
  smooth = cv2.GaussianBlur(rng.normal(size=(237, 181)), (0, 0), 6)
  eight = cv2.normalize(smooth, None, 90, 140, cv2.NORM_MINMAX).astype(np.uint8)
  views = [
    PLAIN.image(pixels, np.array([7, 11, 170, 229]))
    for pixels in (eight, eight.astype(np.uint16) * 257)
  ]
  assert np.abs(views[0].astype(int) - views[1]).max() <= 1


def test_the_lung_box_and_the_view_of_8_and_of_16_bits_are_the_same():
  """The lung network's input was once resized in the stored type: other boxes, other crops."""
  for seed in range(20_000, 20_006):
    eight = cv2.resize(simulated(seed)[0], (431, 397))
    sixteen = eight.astype(np.uint16) * 257
    boxes = [find_lung_box(pixels) for pixels in (eight, sixteen)]
    assert boxes[0] == boxes[1]
    np.testing.assert_array_equal(
      PLAIN.image(eight, boxes[0].box), PLAIN.image(sixteen, boxes[1].box)
    )


def test_a_uniform_image_is_no_division_by_zero():
  assert np.isfinite(PLAIN.image(np.full((64, 64), 7, np.uint8), np.array([0, 0, 64, 64]))).all()


def test_the_mask_keeps_the_share_of_a_small_nodule():
  mask = np.zeros((128, 128), np.uint8)
  mask[10, 20] = 255  # one pixel of four
  small = PLAIN.mask(mask, np.array([0, 0, 128, 128]))
  assert small[5, 10] == 64
  assert np.count_nonzero(small) == 1


def test_truth_outside_the_crop_is_counted_in_pixels_of_the_input():
  plain = dataclasses.replace(PLAIN, lung_margin=0.0)
  mask = np.zeros((128, 128), np.uint8)
  mask[0:4, 0:4] = 255  # 16 pixels outside
  mask[100, 100] = 255  # one inside
  # The crop of 32 x 32 pixels becomes 64 x 64: a stored pixel is four.
  assert plain.truth_outside(mask, np.array([80, 80, 112, 112])) == 16 * 4


def test_parameters_survive_json():
  there = json.loads(json.dumps(dataclasses.asdict(PLAIN)))
  assert Preprocessing.from_dict(there) == PLAIN
