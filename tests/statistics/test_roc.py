"""Curves and what is read from them, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn import metrics

from nodulax.statistics import roc


def random_case(seed):
  generator = np.random.default_rng(seed)
  n = int(generator.integers(5, 80))
  labels = generator.permutation(np.arange(n) < generator.integers(1, n)).astype(int)
  scores = np.round((generator.normal(size=n) + labels) * generator.integers(1, 8))
  return labels, scores


def test_curves_and_areas_agree_with_scikit_learn():
  for seed in range(1000):
    labels, scores = random_case(seed)
    curve = roc.roc_curve(labels, scores)
    false_positive_rate, sensitivity, thresholds = metrics.roc_curve(
      labels, scores, drop_intermediate=False
    )
    np.testing.assert_allclose(curve.false_positive_rate, false_positive_rate, atol=1e-10)
    np.testing.assert_allclose(curve.sensitivity, sensitivity, atol=1e-10)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    ours = roc.precision_recall_curve(labels, scores)
    np.testing.assert_allclose(ours.precision[::-1], precision[:-1], atol=1e-10)
    np.testing.assert_allclose(ours.recall[::-1], recall[:-1], atol=1e-10)
    assert roc.average_precision(labels, scores) == pytest.approx(
      metrics.average_precision_score(labels, scores), abs=1e-10
    )
    rate = (0.1, 0.37, 0.5, 1.0)[seed % 4]
    expected = metrics.roc_auc_score(labels, scores, max_fpr=rate)
    assert roc.partial_auc(labels, scores, rate) == pytest.approx(expected, abs=1e-10)


def test_partial_area_by_hand():
  # The curve climbs (0, 0) -> (0, 1/2) -> (1/2, 1/2) -> (1/2, 1) -> (1, 1).
  labels, scores = [1, 0, 1, 0], [4, 3, 2, 1]
  assert roc.partial_auc(labels, scores, 0.25, standardized=False) == pytest.approx(0.125)
  assert roc.partial_auc(labels, scores, 0.75, standardized=False) == pytest.approx(0.5)
  assert roc.partial_auc(labels, scores, 1.0) == roc.auc(labels, scores) == 0.75
  # The bare area is 0.125, by chance 1/32, at best 0.25.
  assert roc.partial_auc(labels, scores, 0.25) == pytest.approx(0.5 * (1 + 3 / 7))


@pytest.mark.parametrize('rate', [0, -0.1, 1.1])
def test_partial_area_needs_a_rate(rate):
  with pytest.raises(ValueError, match='max_false_positive_rate'):
    roc.partial_auc([0, 1], [0, 1], rate)


def test_band_agrees_with_resampling_by_hand():
  generator = np.random.default_rng(3)
  patients = np.repeat(np.arange(60), 2)
  labels = generator.integers(0, 2, 120)
  scores = np.round(3 * (generator.normal(size=120) + labels))
  rates = [0.1, 0.3, 0.6]
  band = roc.roc_band(labels, scores, patients, false_positive_rates=rates, resamples=400, seed=8)
  drawn = np.random.default_rng(8).integers(0, 60, (400, 60))
  sensitivities = []
  for of in drawn:
    images = np.concatenate([np.flatnonzero(patients == patient) for patient in of])
    curve = metrics.roc_curve(labels[images], scores[images], drop_intermediate=False)
    sensitivities.append(np.interp(rates, curve[0], curve[1]))
  low, high = np.quantile(sensitivities, [0.025, 0.975], axis=0)
  np.testing.assert_allclose(band.low, low, atol=1e-10)
  np.testing.assert_allclose(band.high, high, atol=1e-10)
  full = metrics.roc_curve(labels, scores, drop_intermediate=False)
  np.testing.assert_allclose(band.sensitivity, np.interp(rates, full[0], full[1]), atol=1e-10)


def test_band_is_wider_where_images_share_patients():
  generator = np.random.default_rng(4)
  labels = np.repeat(np.arange(50) % 2, 8)
  scores = np.repeat(generator.normal(size=50), 8) + labels
  patients = np.repeat(np.arange(50), 8)
  aware, unaware = (roc.roc_band(labels, scores, of, resamples=200) for of in (patients, None))
  assert (aware.high - aware.low).mean() > 2 * (unaware.high - unaware.low).mean()
