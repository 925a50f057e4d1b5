"""Calibration against scikit-learn and statsmodels, and by hand."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import special
from sklearn import metrics
from sklearn.calibration import calibration_curve

from nodulax.statistics import calibration


def random_case(seed):
  generator = np.random.default_rng(seed)
  n = int(generator.integers(20, 200))
  labels = generator.permutation(np.arange(n) < generator.integers(1, n)).astype(int)
  probabilities = special.expit(generator.normal(size=n) + 2 * labels - 1)
  return labels, np.round(probabilities, int(generator.integers(1, 5)))


@pytest.mark.parametrize('strategy', ['uniform', 'quantile'])
def test_reliability_curve_is_scikit_learns(strategy):
  for seed in range(500):
    labels, probabilities = random_case(seed)
    curve = calibration.reliability_curve(labels, probabilities, 8, strategy=strategy)
    observed, predicted = calibration_curve(labels, probabilities, n_bins=8, strategy=strategy)
    np.testing.assert_allclose(curve.observed, observed, atol=1e-10)
    np.testing.assert_allclose(curve.predicted, predicted, atol=1e-10)
    assert curve.count.sum() == labels.size
    assert ((curve.low <= curve.observed) & (curve.observed <= curve.high)).all()


def test_brier_is_scikit_learns_and_its_parts_add_up():
  for seed in range(500):
    labels, probabilities = random_case(seed)
    for strategy in ('uniform', 'quantile'):
      parts = calibration.brier(labels, probabilities, 6, strategy=strategy)
      assert parts.score == pytest.approx(
        metrics.brier_score_loss(labels, probabilities), abs=1e-10
      )
      total = parts.reliability - parts.resolution + parts.uncertainty + parts.within_bins
      assert total == pytest.approx(parts.score, abs=1e-12)


def test_decomposition_by_hand():
  # Two bins, 0.2 and 0.7; observed 1 of 2 and 1 of 2; prevalence 1/2.
  parts = calibration.brier([0, 1, 0, 1], [0.2, 0.2, 0.7, 0.7])
  assert parts.reliability == pytest.approx((0.3**2 + 0.2**2) / 2)
  assert (parts.resolution, parts.uncertainty) == (0, 0.25)
  assert parts.within_bins == pytest.approx(0)
  assert parts.score == pytest.approx((0.04 + 0.64 + 0.49 + 0.09) / 4)
  assert calibration.expected_calibration_error([0, 1, 0, 1], [0.2, 0.2, 0.7, 0.7]) == (
    pytest.approx(0.25)
  )


def test_expected_calibration_error_weighs_bins_by_images():
  labels, probabilities = [0, 0, 0, 1], [0.1, 0.1, 0.1, 0.6]
  assert calibration.expected_calibration_error(labels, probabilities) == pytest.approx(
    0.75 * 0.1 + 0.25 * 0.4
  )
  assert calibration.expected_calibration_error([0, 1], [0.0, 1.0]) == 0


def test_temperature_is_statsmodels_maximum_likelihood():
  for seed in range(30):
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=300) * 3
    labels = (generator.random(300) < special.expit(logits / 2)).astype(int)
    fit = sm.Logit(labels, logits[:, None]).fit(disp=False, tol=1e-14)
    temperature = calibration.fit_temperature(labels, special.expit(logits))
    assert temperature == pytest.approx(1 / fit.params[0], rel=1e-8)
    cooled = calibration.apply_temperature(special.expit(logits), temperature)
    np.testing.assert_allclose(cooled, special.expit(logits / temperature), atol=1e-12)
    assert metrics.log_loss(labels, cooled) <= metrics.log_loss(labels, special.expit(logits))
    assert calibration.fit_temperature(labels, cooled) == pytest.approx(1, rel=1e-8)


def test_temperature_without_an_optimum_stops():
  assert calibration.fit_temperature([0, 1], [0.4, 0.6]) == pytest.approx(1 / 20)
  assert calibration.fit_temperature([1, 0], [0.4, 0.6]) == pytest.approx(20)
  # Certain and wrong, as a saturated sigmoid can be.
  assert calibration.fit_temperature([1, 0, 1, 0], [0.0, 0.0, 1.0, 1.0]) == pytest.approx(20)
  assert 0 < calibration.apply_temperature([0.0], 2.0)[0] < 0.001


def test_net_benefit_by_hand():
  labels, probabilities = [1, 1, 0, 0, 0], [0.9, 0.3, 0.6, 0.2, 0.1]
  curve = calibration.decision_curve(labels, probabilities, [0.2, 0.5])
  # At 0.2: two found, two false (0.2 itself counts), odds 1/4. At 0.5: one and one, odds 1.
  np.testing.assert_allclose(curve.model, [2 / 5 - 2 / 5 / 4, 1 / 5 - 1 / 5])
  np.testing.assert_allclose(curve.treat_all, [2 / 5 - 3 / 5 / 4, 2 / 5 - 3 / 5])


def test_net_benefit_at_another_prevalence():
  labels, probabilities = [1, 1, 0, 0, 0], [0.9, 0.3, 0.6, 0.2, 0.1]
  as_found = calibration.decision_curve(labels, probabilities, [0.2, 0.5])
  stated = calibration.decision_curve(labels, probabilities, [0.2, 0.5], prevalence=2 / 5)
  np.testing.assert_allclose(as_found.model, stated.model)
  rare = calibration.decision_curve(labels, probabilities, [0.5], prevalence=0.01)
  np.testing.assert_allclose(rare.model, [0.01 * 1 / 2 - 0.99 * 1 / 3])
  np.testing.assert_allclose(rare.treat_all, [0.01 - 0.99])


@pytest.mark.parametrize(
  ('statistic', 'message'),
  [
    (lambda: calibration.brier([0, 1], [0.2, 1.2]), r'outside \[0, 1\].*logits'),
    (lambda: calibration.brier([0, 1], [0.2, np.nan]), 'NaN'),
    (lambda: calibration.brier([0, 1], [0.2]), 'one for each label'),
    (lambda: calibration.brier([0, 1], [0.2, 0.3], strategy='equal'), 'quantile'),
    (lambda: calibration.fit_temperature([1, 1], [0.2, 0.3]), 'both classes'),
    (lambda: calibration.decision_curve([0, 1], [0.2, 0.3], [0.5, 1.0]), 'thresholds'),
    (lambda: calibration.decision_curve([0, 1], [0.2, 0.3], [0.5], prevalence=0), 'prevalence'),
  ],
)
def test_bad_input_is_told(statistic, message):
  with pytest.raises(ValueError, match=message):
    statistic()


def test_the_log_loss_is_scikit_learns():
  rng = np.random.default_rng(0)
  labels, probabilities = rng.integers(0, 2, 50), rng.random(50)
  expected = metrics.log_loss(labels, probabilities)
  assert calibration.log_loss(labels, probabilities) == pytest.approx(expected, abs=1e-12)
  assert np.isfinite(calibration.log_loss([0, 1], [1.0, 0.0]))
