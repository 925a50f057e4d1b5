import cv2
import numpy as np
import pytest
from matplotlib.patches import Ellipse

from tfds_builders.locations import boxes_around, draw_ellipses, empty_mask_png, overlap


def test_an_ellipse_fills_its_box():
  box = (10.0, 20.0, 50.0, 44.0)
  mask = draw_ellipses([box], 64, 80)
  x, y = np.meshgrid(np.arange(80) + 0.5, np.arange(64) + 0.5)
  ellipse = Ellipse((30, 32), 40, 24).get_path()
  patch = Ellipse((30, 32), 40, 24)
  inside = patch.get_patch_transform().transform_path(ellipse)
  expected = inside.contains_points(np.column_stack([x.ravel(), y.ravel()])).reshape(64, 80)
  # On the curve itself, which matplotlib approximates, pixels may differ.
  assert np.count_nonzero((mask > 0) != expected) <= 8 < np.count_nonzero(expected) / 50
  assert set(np.unique(mask)) == {0, 255}
  assert boxes_around(mask) == (box,)


def test_the_smallest_box_still_marks_its_pixel():
  mask = draw_ellipses([(5.4, 7.1, 5.6, 7.3)], 10, 10)
  assert np.argwhere(mask).tolist() == [[7, 5]]


def test_a_box_at_the_very_edge_marks_pixels_within_the_image():
  mask = draw_ellipses([(9.99, 9.99, 10.0, 10.0)], 10, 10)
  assert np.argwhere(mask).tolist() == [[9, 9]]


def test_several_boxes_share_a_mask():
  mask = draw_ellipses([(0, 0, 8, 8), (20, 20, 28, 30)], 40, 40)
  assert boxes_around(mask) == ((0, 0, 8, 8), (20, 20, 28, 30))


def test_regions_that_touch_at_a_corner_are_one():
  mask = np.zeros((6, 6), np.uint8)
  mask[1:3, 1:3] = mask[3, 3] = 255
  assert boxes_around(mask) == ((1, 1, 4, 4),)
  assert boxes_around(np.zeros((6, 6), np.uint8)) == ()


@pytest.mark.parametrize(
  ('other', 'expected'),
  [
    ((0, 0, 10, 10), 1),
    ((5, 0, 15, 10), 50 / 150),
    ((2, 2, 4, 4), 4 / 100),
    ((10, 0, 20, 10), 0),
    ((30, 30, 40, 40), 0),
  ],
)
def test_overlap(other, expected):
  assert overlap((0, 0, 10, 10), other) == pytest.approx(expected)
  assert overlap(other, (0, 0, 10, 10)) == pytest.approx(expected)


def test_the_empty_mask():
  mask = cv2.imdecode(np.frombuffer(empty_mask_png(30, 20), np.uint8), cv2.IMREAD_UNCHANGED)
  assert mask.shape == (30, 20)
  assert not mask.any()
