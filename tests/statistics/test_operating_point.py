"""Thresholds, and sensitivity and specificity at them."""

import math

import numpy as np
import pytest
from sklearn import metrics
from statsmodels.stats.proportion import proportion_confint

from nodulax.statistics import roc


def test_clopper_pearson_agrees_with_statsmodels():
  for total in (1, 2, 7, 83, 1000):
    for count in {0, 1, total // 3, total - 1, total}:
      for confidence in (0.9, 0.95, 0.99):
        share = roc.clopper_pearson(count, total, confidence)
        low, high = proportion_confint(count, total, 1 - confidence, method='beta')
        assert share.value == count / total
        assert (share.low, share.high) == pytest.approx((low, high), abs=1e-10)


@pytest.mark.parametrize(('count', 'total'), [(0, 0), (-1, 3), (4, 3)])
def test_a_share_of_nothing_is_told(count, total):
  with pytest.raises(ValueError, match='0 <= count <= total'):
    roc.clopper_pearson(count, total)


def test_operating_point_by_hand():
  labels = [1, 1, 1, 1, 0, 0, 0, 0, 0]
  scores = [0.9, 0.8, 0.5, 0.2, 0.5, 0.4, 0.3, 0.1, 0.0]
  point = roc.operating_point(labels, scores, 0.5)
  assert (point.sensitivity.count, point.sensitivity.total) == (3, 4)
  assert (point.specificity.count, point.specificity.total) == (4, 5)
  assert point.sensitivity.method == point.specificity.method == 'Clopper-Pearson'
  # Published tables of the exact binomial interval: 3 of 4 and 4 of 5.
  assert (point.sensitivity.low, point.sensitivity.high) == pytest.approx((0.194, 0.994), abs=5e-4)
  assert (point.specificity.low, point.specificity.high) == pytest.approx((0.284, 0.995), abs=5e-4)


def test_one_image_a_patient_and_class_is_clopper_pearson():
  labels, scores = [1, 1, 0, 0], [4, 2, 3, 1]
  point = roc.operating_point(labels, scores, 2.5, ['a', 'b', 'a', 'b'])
  assert point == roc.operating_point(labels, scores, 2.5)


def test_several_images_a_patient_widen_the_interval():
  generator = np.random.default_rng(0)
  labels = np.repeat(np.arange(100) % 2, 6)
  scores = np.repeat(generator.normal(size=100), 6) + labels
  patients = np.repeat(np.arange(100), 6)
  aware, unaware = (roc.operating_point(labels, scores, 0.5, of) for of in (patients, None))
  for ours, theirs in zip(
    (aware.sensitivity, aware.specificity), (unaware.sensitivity, unaware.specificity), strict=True
  ):
    assert ours.method == 'patient bootstrap'
    assert (ours.value, ours.count, ours.total) == (theirs.value, theirs.count, theirs.total)
    # Six copies of each image: the interval of 50 patients, not of 300 images.
    exact = roc.clopper_pearson(ours.count // 6, 50)
    assert ours.high - ours.low == pytest.approx(exact.high - exact.low, rel=0.15)
    assert ours.high - ours.low > 2 * (theirs.high - theirs.low)


def test_all_called_right_is_an_interval_over_patients():
  labels, scores = [1] * 6 + [0] * 6, [1] * 6 + [0] * 6
  patients = np.arange(12) // 2
  point = roc.operating_point(labels, scores, 0.5, patients)
  assert (point.sensitivity.value, point.sensitivity.total) == (1, 6)
  assert (point.sensitivity.low, point.sensitivity.high) == pytest.approx((0.025 ** (1 / 3), 1))
  missed = roc.operating_point(labels, scores, 2, patients).sensitivity
  assert (missed.low, missed.high) == pytest.approx((0, 1 - 0.025 ** (1 / 3)))


def test_youden_threshold_is_scikit_learns_best():
  for seed in range(1000):
    generator = np.random.default_rng(seed)
    n = int(generator.integers(4, 60))
    labels = generator.permutation(np.arange(n) < generator.integers(1, n)).astype(int)
    scores = np.round(generator.normal(size=n) + labels, int(generator.integers(0, 3)))
    false_positive_rate, sensitivity, _ = metrics.roc_curve(labels, scores)
    point = roc.operating_point(labels, scores, roc.youden_threshold(labels, scores))
    assert point.sensitivity.value + point.specificity.value - 1 == pytest.approx(
      (sensitivity - false_positive_rate).max(), abs=1e-10
    )


def test_youden_threshold_parts_two_scores_in_the_middle():
  assert roc.youden_threshold([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9]) == pytest.approx(0.4)
  # 0.35 and 0.65 part equally well; the lower one misses less.
  assert roc.youden_threshold([0, 1, 0, 1], [0.3, 0.4, 0.6, 0.7]) == pytest.approx(0.35)
  # Nothing parts them: all are called abnormal.
  assert roc.youden_threshold([1, 0], [0.3, 0.4]) == 0.3
  # There is no middle.
  above = math.nextafter(0.5, 1)
  assert roc.youden_threshold([0, 1], [0.5, above]) == above
  assert roc.youden_threshold([0, 1], [-math.inf, 2.0]) == 2.0


def test_a_threshold_of_nan_is_told():
  with pytest.raises(ValueError, match='threshold is NaN'):
    roc.operating_point([0, 1], [0, 1], math.nan)


def test_threshold_at_a_specificity_by_hand():
  labels = [0] * 10 + [1, 1]
  scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.93, 0.99]
  # Nine of ten normal images lie below the middle of 0.9 and 0.93, the next score above.
  assert roc.threshold_at_specificity(labels, scores, 0.9) == pytest.approx(0.915)
  assert roc.threshold_at_specificity(labels, scores, 0.5) == pytest.approx(0.55)
  assert roc.threshold_at_specificity(labels, scores, 0.41) == pytest.approx(0.55)
  assert roc.threshold_at_specificity(labels, scores, 1) == pytest.approx(0.97)
  # No score lies above the normal ones.
  assert roc.threshold_at_specificity([0, 1], [0.5, 0.2], 0.9) == math.nextafter(0.5, 1)
  with pytest.raises(ValueError, match='specificity must be above 0'):
    roc.threshold_at_specificity(labels, scores, 90)


def test_the_threshold_at_a_specificity_is_scikit_learns_lowest():
  for seed in range(300):
    generator = np.random.default_rng(seed)
    labels = np.arange(60) % 3 == 0
    scores = np.round(generator.normal(size=60) + labels, int(generator.integers(0, 3)))
    rates, sensitivity, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    point = roc.operating_point(labels, scores, roc.threshold_at_specificity(labels, scores, 0.9))
    assert point.specificity.value >= 0.9
    assert point.sensitivity.value == sensitivity[rates <= 0.1 + 1e-12].max()


def test_predictive_values_by_hand():
  labels = [1, 1, 1, 1, 0, 0, 0, 0, 0]
  scores = [0.9, 0.8, 0.5, 0.2, 0.5, 0.4, 0.3, 0.1, 0.0]
  values = roc.predictive_values(labels, scores, 0.5)
  assert (values.positive.count, values.positive.total) == (3, 4)
  assert (values.negative.count, values.negative.total) == (4, 5)
  assert (values.positive.low, values.positive.high) == pytest.approx((0.194, 0.994), abs=5e-4)
  assert (values.negative.low, values.negative.high) == pytest.approx((0.284, 0.995), abs=5e-4)
  assert roc.predictive_values(labels, scores, 2).positive is None
  assert roc.predictive_values(labels, scores, 0).negative is None
  twice = roc.predictive_values(labels * 2, scores * 2, 0.5, [*range(9)] * 2).positive
  assert twice.method == 'patient bootstrap' and twice.value == 0.75
