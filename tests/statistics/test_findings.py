"""Findings drawn by hand, and what they hit."""

import numpy as np
import pytest

from nodulax.statistics import froc


def hill(x, y, height, width, size=64):
  """A Gaussian hill whose middle is at (x, y) in pixels from the top-left corner."""
  rows, columns = np.mgrid[:size, :size] + 0.5
  return height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))


def test_components_by_hand():
  heat_map = np.array(
    [
      [0.9, 0.0, 0.0, 0.0],
      [0.0, 0.3, 0.0, 0.0],
      [0.0, 0.0, 0.0, 0.5],
      [0.0, 0.0, 0.0, 0.5],
    ]
  )
  first, second = froc.components(heat_map, 0.2)
  # Two pixels that touch at a corner: the centre of heat is at (0.9 * 0.5 + 0.3 * 1.5) / 1.2,
  # which is the border of the two.
  assert (first.score, first.box, first.area) == (0.9, (0, 0, 2, 2), 2)
  assert (first.x, first.y) == pytest.approx((0.75, 0.75))
  assert (second.score, second.box, second.area) == (0.5, (3, 2, 4, 4), 2)
  assert (second.x, second.y) == (3.5, 3.0)
  assert len(froc.components(heat_map, 0.6)) == 1
  assert froc.components(heat_map, 0.95) == []


def test_the_centre_of_a_crescent_lies_in_it():
  heat_map = np.zeros((7, 7))
  heat_map[1, 1:6] = heat_map[5, 1:6] = heat_map[1:6, 1] = 0.5
  heat_map[5, 4] = 0.8
  (finding,) = froc.components(heat_map, 0.3)
  assert (finding.x, finding.y) == (4.5, 5.5)


def test_peaks_part_what_a_component_joins():
  heat_map = np.maximum(hill(20, 30, 1.0, 5), hill(40, 30, 0.6, 5))
  assert len(froc.components(heat_map, 0.05)) == 1
  strong, weak = froc.peaks(heat_map, 0.05, separation=6)
  assert (strong.x, strong.y) == pytest.approx((20, 30), abs=0.3)
  assert (weak.x, weak.y) == pytest.approx((40, 30), abs=0.5)
  assert (strong.score, weak.score) == pytest.approx((1.0, 0.6), rel=0.02)
  # Half of its height is reached at a radius of 1.18 widths.
  assert strong.area == pytest.approx(np.pi * (1.177 * 5) ** 2, rel=0.06)
  assert strong.box == pytest.approx((14, 24, 26, 36), abs=1)
  assert len(froc.peaks(heat_map, 0.7, separation=6)) == 1
  assert len(froc.peaks(heat_map, 0.05, separation=25)) == 1


def test_a_plateau_is_one_peak():
  heat_map = np.zeros((16, 16))
  heat_map[4:9, 4:7] = 1.0
  (finding,) = froc.peaks(heat_map, 0.5, separation=1)
  assert (finding.x, finding.y, finding.area) == (5.5, 6.5, 15)
  assert froc.peaks(np.zeros((4, 4)), 0.5, separation=1) == []
  assert froc.components(np.zeros((4, 4)), 0.5) == []


def test_a_finding_moves_with_its_map():
  still = froc.peaks(hill(20, 30, 0.8, 3), 0.1, separation=2)[0]
  moved = froc.peaks(hill(27, 25, 0.8, 3), 0.1, separation=2)[0]
  assert (moved.x - still.x, moved.y - still.y) == pytest.approx((7, -5), abs=1e-6)
  assert np.subtract(moved.box, still.box).tolist() == [7, -5, 7, -5]


@pytest.mark.parametrize(
  ('heat_map', 'threshold', 'message'),
  [
    (np.zeros(4), 0.5, r'\[H, W\]'),
    (np.full((2, 2), np.nan), 0.5, 'NaN'),
    (np.zeros((2, 2)), 0.0, 'above 0'),
  ],
)
def test_bad_maps_are_told(heat_map, threshold, message):
  with pytest.raises(ValueError, match=message):
    froc.components(heat_map, threshold)
  with pytest.raises(ValueError, match=message):
    froc.peaks(heat_map, threshold, separation=1)


def test_hit_where_the_centre_is_in_the_mask():
  nodules = np.zeros((4, 6), dtype=int)
  nodules[1, 1] = 1
  nodules[2:, 4:] = 2
  centres = [(1.5, 1.5), (1.99, 1.01), (2.0, 1.5), (5.9, 3.9), (6.0, 3.5), (-0.5, 1.5)]
  hits = froc.hits_in_mask(centres, nodules)
  assert (hits == 0).tolist() == [
    [True, False],
    [True, False],
    [False, False],
    [False, True],
    [False, False],
    [False, False],
  ]
  assert froc.hits_in_mask([], nodules).shape == (0, 2)
  assert froc.hits_in_mask(centres, np.zeros_like(nodules)).shape == (6, 0)


def test_hit_where_boxes_overlap():
  box, shifted, apart = (0, 0, 10, 10), (5, 0, 15, 10), (20, 20, 30, 30)
  # Half of each in common: 50 of 150.
  np.testing.assert_allclose(froc.box_iou([box, apart], [box, shifted]), [[1, 1 / 3], [0, 0]])
  np.testing.assert_allclose(froc.hits_by_overlap([box], [shifted]), [[1 / 3]])
  assert froc.hits_by_overlap([box], [shifted], above=0.4).tolist() == [[froc.NO_HIT]]
  # Above, not at: 20 of 100.
  assert froc.hits_by_overlap([box], [(0, 0, 10, 2)]).tolist() == [[froc.NO_HIT]]
  assert froc.hits_by_overlap([], [box]).shape == (0, 1)
  assert froc.box_iou([(3, 3, 3, 3)], [(3, 3, 3, 3)]).tolist() == [[0]]


def test_hit_within_a_distance_at_the_detector():
  # 3 pixels of 2 mm and 4 pixels of 1 mm: 7.21 mm.
  arguments = ([(13, 14)], [(10, 10)], (2.0, 1.0))
  assert froc.hits_by_distance(*arguments, within_mm=7.22) == pytest.approx(-(52**0.5))
  assert froc.hits_by_distance(*arguments, within_mm=7.21).tolist() == [[froc.NO_HIT]]
  assert froc.hits_by_distance([(3, 4)], [(0, 0)], (1.0, 1.0), within_mm=5).tolist() == [[-5]]


def test_each_nodule_goes_to_the_highest_finding_that_hits_it():
  fits = np.where([[1, 0], [1, 0], [0, 0], [1, 1]], 1.0, froc.NO_HIT)
  assert froc.match([0.5, 0.9, 0.8, 0.4], fits).tolist() == [froc.REPEAT, 0, froc.FALSE_POSITIVE, 1]
  assert froc.match([], np.zeros((0, 2))).tolist() == []
  assert froc.match([0.3, 0.4], np.zeros((2, 0))).tolist() == [froc.FALSE_POSITIVE] * 2


def test_each_finding_takes_its_best_free_nodule_whatever_the_order_of_nodules():
  # Both findings hit a nodule each way round; the first free one would leave the second a repeat.
  iou = np.array([[0.69, 0.38], [0.12, 0.90]])
  fits = np.where(iou > 0.2, iou, froc.NO_HIT)
  assert froc.match([0.9, 0.8], fits).tolist() == [0, 1]
  assert froc.match([0.9, 0.8], fits[:, ::-1]).tolist() == [1, 0]
  rng = np.random.default_rng(0)
  for _ in range(50):
    scores, fits = rng.random(6), rng.random((6, 4))
    fits[rng.random((6, 4)) < 0.5] = froc.NO_HIT
    matched, order = froc.match(scores, fits), rng.permutation(4)
    permuted = froc.match(scores, fits[:, order])
    back = [order[nodule] if nodule >= 0 else nodule for nodule in permuted]
    assert back == matched.tolist()
