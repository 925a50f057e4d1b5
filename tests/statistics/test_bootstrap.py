"""The bootstrap over patients against SciPy's, draw for draw."""

import numpy as np
import pytest
from scipy import stats

from nodulax.statistics.bootstrap import draw_patients, ratio_interval


def ratio(sums, weights, axis):
  return sums.sum(axis=axis) / weights.sum(axis=axis)


def test_bca_is_scipys():
  for seed in range(10):
    generator = np.random.default_rng(seed)
    weights = generator.integers(1, 6, 40).astype(float)
    sums = generator.binomial(weights.astype(int), generator.beta(4, 1, 40)).astype(float)
    ours = ratio_interval(sums, weights, resamples=999, seed=seed)
    theirs = stats.bootstrap(
      (sums, weights),
      ratio,
      paired=True,
      vectorized=True,
      n_resamples=999,
      method='BCa',
      random_state=np.random.default_rng(seed),
    ).confidence_interval
    assert ours.value == sums.sum() / weights.sum()
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-10)


def test_draws_do_not_depend_on_the_chunks(monkeypatch):
  whole = np.concatenate(list(draw_patients(7, 50, seed=3)))
  monkeypatch.setattr('nodulax.statistics.bootstrap._DRAWS_AT_ONCE', 21)
  chunks = list(draw_patients(7, 50, seed=3))
  assert [len(chunk) for chunk in chunks] == [3] * 16 + [2]
  np.testing.assert_array_equal(np.concatenate(chunks), whole)


def test_patients_without_an_image_do_not_count():
  sums, weights = np.array([1.0, 0.0, 2.0, 0.5]), np.array([2.0, 0.0, 2.0, 1.0])
  with_images = weights > 0
  assert ratio_interval(sums, weights) == ratio_interval(sums[with_images], weights[with_images])


@pytest.mark.parametrize('sums', [[0.7], [0.3, 0.1, 0.2]])
def test_no_spread_between_patients_has_no_interval(sums):
  estimate = ratio_interval(sums, np.array(sums) * 10)
  assert estimate.value == pytest.approx(0.1)
  assert not estimate.estimable
