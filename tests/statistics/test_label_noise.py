"""Noise rates and corrected figures against hand calculation and simulation with known truth."""

import numpy as np
import pytest
from sklearn import metrics

from nodulax.statistics import delong, label_noise


def test_known_rates_are_refused_where_they_say_nothing():
  assert label_noise.known_rates(0.2, 0.1).wrong_normal.value == 0.2
  for rates in ((0.6, 0.4), (0.5, 0.7), (1.0, 0.0), (-0.1, 0.2)):
    with pytest.raises(ValueError, match='sum to 1 or more|must be from 0'):
      label_noise.known_rates(*rates)


def test_rates_from_a_second_reading_by_hand():
  # 1,000 radiographs, 200 labelled nodule. Of 50 of these, 40 are; of 50 of the others, 5 are.
  # P(nodule) = .8 * .2 + .1 * .8 = .24; wrong_nodule = .08 / .24; wrong_normal = .04 / .76.
  labels, truth = [1] * 50 + [0] * 50, [1] * 40 + [0] * 10 + [1] * 5 + [0] * 45
  found = label_noise.rates_from_second_reading(labels, truth, [1] * 200 + [0] * 800)
  assert found.wrong_nodule.value == pytest.approx(1 / 3)
  assert found.wrong_normal.value == pytest.approx(1 / 19)
  assert found.wrong_nodule.low < 1 / 3 < found.wrong_nodule.high


def test_intervals_of_a_second_reading_cover():
  rng = np.random.default_rng(0)
  covered = []
  for seed in range(300):
    truth = rng.random(3000) < 0.3
    labels = np.where(truth, rng.random(3000) >= 0.15, rng.random(3000) < 0.1)
    chosen = rng.choice(3000, 250, replace=False)
    found = label_noise.rates_from_second_reading(
      labels[chosen], truth[chosen], labels, draws=1000, seed=seed
    )
    covered += [
      found.wrong_normal.low <= 0.1 <= found.wrong_normal.high,
      found.wrong_nodule.low <= 0.15 <= found.wrong_nodule.high,
    ]
  assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize(
  'labels, truth, word',
  [
    ([1, 1, 1], [1, 0, 1], 'both classes'),
    ([1, 0], [1, 0, 1], '2 labels, but 3'),
    ([1, 0, 1], [1, 1, 1], 'no radiograph that was read again is normal'),
    ([1, 0, 1], [0, 0, 0], 'no radiograph that was read again is a nodule'),
  ],
)
def test_second_readings_that_tell_nothing_are_refused(labels, truth, word):
  with pytest.raises(ValueError, match=word):
    label_noise.rates_from_second_reading(labels, truth, labels)


def noisy(rng, images, wrong_normal, wrong_nodule):
  truth = rng.random(images) < 0.4
  scores = rng.normal(1.35 * truth, 1.0)
  flipped = rng.random(images) < np.where(truth, wrong_nodule, wrong_normal)
  return truth, truth ^ flipped, scores


def test_without_noise_nothing_is_corrected():
  truth, _, scores = noisy(np.random.default_rng(1), 500, 0.0, 0.0)
  found = label_noise.corrected_figures(truth, scores, 0.7, label_noise.known_rates(0, 0))
  assert found.auc.value == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-12)
  assert found.labelled_auc == pytest.approx(found.auc.value)
  assert found.sensitivity.value == pytest.approx((scores[truth] >= 0.7).mean())
  assert found.specificity.value == pytest.approx((scores[~truth] < 0.7).mean())
  interval = delong.delong_interval(truth, scores)
  assert found.auc.low == pytest.approx(interval.low, abs=0.01)
  assert found.auc.high == pytest.approx(interval.high, abs=0.01)


def test_large_noisy_sets_give_back_the_true_figures():
  truth, labels, scores = noisy(np.random.default_rng(2), 200_000, 0.3, 0.2)
  rates = label_noise.known_rates(0.3, 0.2)
  found = label_noise.corrected_figures(labels, scores, 0.7, rates, resamples=20)
  assert found.auc.value == pytest.approx(metrics.roc_auc_score(truth, scores), abs=0.01)
  assert found.labelled_auc < 0.7 < found.auc.value
  assert found.sensitivity.value == pytest.approx((scores[truth] >= 0.7).mean(), abs=0.01)
  assert found.specificity.value == pytest.approx((scores[~truth] < 0.7).mean(), abs=0.01)


def test_tied_scores_count_half():
  labels, scores = [0, 0, 1, 1], [1, 2, 2, 2]
  found = label_noise.corrected_figures(labels, scores, 2, label_noise.known_rates(0, 0))
  assert found.auc.value == metrics.roc_auc_score(labels, scores) == 0.75


def test_intervals_carry_the_uncertainty_of_the_rates():
  rng = np.random.default_rng(4)
  covered = []
  for seed in range(100):
    truth, labels, scores = noisy(rng, 1500, 0.2, 0.15)
    chosen = rng.choice(1500, 300, replace=False)
    rates = label_noise.rates_from_second_reading(
      labels[chosen], truth[chosen], labels, draws=1000, seed=seed
    )
    found = label_noise.corrected_figures(labels, scores, 0.7, rates, resamples=400, seed=seed)
    covered.append(found.auc.low <= 0.8301 <= found.auc.high)  # Phi(1.35 / sqrt 2)
  assert 0.90 <= np.mean(covered) <= 0.99  # 100 repeats: 95 % within two standard errors


def test_rates_of_other_labels_are_refused():
  labels = [1] + [0] * 99
  with pytest.raises(ValueError, match='do not fit these labels'):
    label_noise.corrected_figures(labels, np.arange(100), 50, label_noise.known_rates(0.3, 0.1))


def test_a_ranking_by_hand():
  wrong, scores = [1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.1, 0.1]
  figures = label_noise.ranking_figures(wrong, scores, (1, 2, 3, 5, 9))
  assert figures['precision'] == {1: 1.0, 2: 0.5, 3: 2 / 3, 5: 0.4}
  assert figures['recall'] == {1: 0.5, 2: 0.5, 3: 1.0, 5: 1.0}
  # Two radiographs of equal score, one of them wrong: half of it is found after the first.
  assert label_noise.ranking_figures([1, 0], [1, 1], (1,))['precision'] == {1: 0.5}
