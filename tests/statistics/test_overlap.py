"""Dice and IoU, the threshold they are taken at, and their mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics

from nodulax.statistics import overlap

HEAT_MAP = np.array([[0.9, 0.8, 0.1], [0.4, 0.6, 0.0]])
MASK = np.array([[255, 255, 0], [255, 0, 0]], dtype=np.uint8)


def test_overlap_by_hand():
  # Marked 3, truth 3, common 2.
  assert overlap.dice(HEAT_MAP, MASK, 0.5) == pytest.approx(4 / 6)
  assert overlap.iou(HEAT_MAP, MASK, 0.5) == pytest.approx(2 / 4)
  # At the threshold counts as marked.
  assert overlap.dice(HEAT_MAP, MASK, 0.6) == overlap.dice(HEAT_MAP, MASK, 0.5)
  assert overlap.dice(HEAT_MAP, MASK, 1.0) == 0
  assert overlap.dice(HEAT_MAP, HEAT_MAP > 0.5, 0.5) == 1


def test_truth_outside_the_crop_is_missed():
  assert overlap.dice(HEAT_MAP, MASK, 0.5, truth_outside=2) == pytest.approx(4 / 8)
  assert overlap.iou(HEAT_MAP, MASK, 0.5, truth_outside=2) == pytest.approx(2 / 6)
  nowhere = np.zeros_like(MASK)
  assert overlap.dice(HEAT_MAP, nowhere, 0.5, truth_outside=2) == 0
  assert overlap.iou(HEAT_MAP, nowhere, 0.95, truth_outside=2) == 0


@pytest.mark.parametrize('threshold', [0.5, 0.95])
def test_an_image_without_a_nodule_has_no_overlap(threshold):
  nowhere = np.zeros_like(MASK)
  assert np.isnan(overlap.dice(HEAT_MAP, nowhere, threshold))
  assert np.isnan(overlap.iou(HEAT_MAP, nowhere, threshold))
  assert np.isnan(overlap.dice_by_threshold(HEAT_MAP, nowhere)).all()


def test_overlap_agrees_with_scikit_learn():
  for seed in range(1000):
    generator = np.random.default_rng(seed)
    heat_map = np.round(generator.random((6, 7)), 1)
    mask = generator.random((6, 7)) < 0.3
    mask[0, 0] = True
    threshold = generator.choice([0.2, 0.5, 0.55, 0.9])
    marked = (heat_map >= threshold).ravel()
    dice = metrics.f1_score(mask.ravel(), marked)
    iou = metrics.jaccard_score(mask.ravel(), marked)
    assert overlap.dice(heat_map, mask, threshold) == pytest.approx(dice, abs=1e-10)
    assert overlap.iou(heat_map, mask, threshold) == pytest.approx(iou, abs=1e-10)


@given(
  arrays.arrays(np.float32, (5, 4), elements=st.sampled_from([0, 0.01, 0.25, 0.5, 0.75, 0.99, 1])),
  arrays.arrays(bool, (5, 4)),
  st.sampled_from([0.0, 1.5]),
)
def test_all_thresholds_at_once_are_each_on_its_own(heat_map, mask, outside):
  thresholds = np.array([0.01, 0.3, 0.5, 0.75, 0.99])
  together = overlap.dice_by_threshold(heat_map, mask, thresholds, truth_outside=outside)
  apart = [overlap.dice(heat_map, mask, threshold, outside) for threshold in thresholds]
  np.testing.assert_allclose(together, apart, rtol=0, atol=1e-12)
  if mask.any() or outside:
    assert ((together >= 0) & (together <= 1)).all()
    iou = overlap.iou(heat_map, mask, 0.5, outside)
    assert together[2] == pytest.approx(2 * iou / (1 + iou))


@pytest.mark.parametrize(
  ('heat_map', 'mask', 'outside', 'message'),
  [
    (HEAT_MAP, MASK.T, 0, 'one size'),
    (HEAT_MAP.ravel(), MASK.ravel(), 0, r'\[H, W\]'),
    (np.full_like(HEAT_MAP, np.nan), MASK, 0, 'NaN'),
    (HEAT_MAP, MASK, -1, 'truth_outside'),
  ],
)
def test_bad_maps_are_told(heat_map, mask, outside, message):
  with pytest.raises(ValueError, match=message):
    overlap.dice(heat_map, mask, 0.5, outside)
  with pytest.raises(ValueError, match=message):
    overlap.dice_by_threshold(heat_map, mask, truth_outside=outside)


def test_the_threshold_of_the_best_mean_dice():
  thresholds = [0.2, 0.4, 0.6]
  dices = np.array([[0.1, 0.5, 0.3], [0.2, 0.3, 0.9]] * 15 + [[np.nan] * 3] * 5)
  chosen = overlap.choose_threshold(dices, thresholds)
  assert chosen == overlap.OverlapThreshold(0.6, relative=False, images=30)
  assert chosen.of(HEAT_MAP) == 0.6
  level = overlap.choose_threshold(np.ones((30, 3)), thresholds)
  assert level.value == 0.4


def test_half_of_the_maximum_where_few_images_are_located():
  for dices, images in (([], 0), (np.ones((29, 99)), 29)):
    chosen = overlap.choose_threshold(dices)
    assert chosen == overlap.OverlapThreshold(0.5, relative=True, images=images)
    assert chosen.of(HEAT_MAP) == pytest.approx(0.45)
  assert not overlap.choose_threshold(np.ones((30, 99))).relative


def test_mean_overlap_leaves_out_images_without_a_nodule():
  mean = overlap.mean_overlap([0.5, np.nan, 0.7, 0.9], ['a', 'b', 'a', 'c'])
  assert mean.value == pytest.approx(0.7)
  assert (mean.images, mean.patients) == (3, 2)
  assert mean.low < mean.value < mean.high
  assert mean == overlap.mean_overlap([0.5, 0.7, 0.9], ['a', 'a', 'c'])
  nothing = overlap.mean_overlap([np.nan, np.nan])
  assert np.isnan(nothing.value) and not nothing.estimable and nothing.images == 0


def test_mean_overlap_draws_patients():
  generator = np.random.default_rng(1)
  dices = np.repeat(generator.beta(4, 3, 60), 5)
  aware = overlap.mean_overlap(dices, np.arange(300) // 5)
  unaware = overlap.mean_overlap(dices)
  assert (aware.value, unaware.value) == pytest.approx((dices.mean(), dices.mean()))
  assert aware.high - aware.low == pytest.approx(5**0.5 * (unaware.high - unaware.low), rel=0.1)
  # The standard error of 60 patients' means.
  error = dices[::5].std(ddof=1) / 60**0.5
  assert aware.high - aware.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_mean_overlap_of_a_table_is_told():
  with pytest.raises(ValueError, match='list of numbers'):
    overlap.mean_overlap(np.ones((2, 2)))
