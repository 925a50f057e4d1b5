"""Paired, unpaired and contrast tests against published numbers and against each other."""

import math
import pathlib

import numpy as np
import pytest
from scipy import stats

from nodulax.statistics import roc


@pytest.fixture(scope='module')
def ovarian():
  """43 cases of DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837."""
  table = np.genfromtxt(pathlib.Path(__file__).parent / 'ovarian.csv', delimiter=',', names=True)
  scores = np.stack([table['albumin'], table['total_protein'], 10 - table['kg_score']])
  return table['outcome'].astype(int), scores


def case(seed, n=120, patients=40):
  generator = np.random.default_rng(seed)
  labels = np.arange(n) % 2
  common = generator.normal(size=n)
  scores = np.round(2 * (generator.normal(size=(3, n)) + common + labels))
  return labels, scores, generator.integers(0, patients, n)


def test_the_ovarian_contrast(ovarian):
  test = roc.contrast_test(*ovarian, [[1, 0, -1], [0, 1, -1]])
  assert test.chi_square == pytest.approx(2.53397792, abs=1e-8)
  assert test.p_value == pytest.approx(0.28167849, abs=1e-8)
  assert test.degrees_of_freedom == 2


def test_paired_test_follows_from_the_covariance():
  for seed in range(50):
    labels, scores, patients = case(seed)
    for of in (None, patients):
      aucs, covariance = roc.delong_covariance(labels, scores, of)
      test = roc.delong_test(labels, scores[0], scores[1], of)
      error = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
      assert (test.auc_a, test.auc_b) == pytest.approx(aucs[:2], abs=1e-12)
      assert test.difference == pytest.approx(aucs[0] - aucs[1], abs=1e-12)
      assert test.z == pytest.approx((aucs[0] - aucs[1]) / error, rel=1e-10)
      assert test.p_value == pytest.approx(2 * stats.norm.sf(abs(test.z)), abs=1e-10)
      reach = stats.norm.ppf(0.975) * error
      assert test.interval == pytest.approx(
        (test.difference - reach, test.difference + reach), abs=1e-10
      )


def test_a_contrast_of_two_is_the_paired_test():
  labels, scores, patients = case(1)
  for of in (None, patients):
    contrast = roc.contrast_test(labels, scores, [1, -1, 0], of)
    paired = roc.delong_test(labels, scores[0], scores[1], of)
    assert contrast.chi_square == pytest.approx(paired.z**2, rel=1e-10)
    assert contrast.p_value == pytest.approx(paired.p_value, rel=1e-8)


def test_a_contrast_said_twice_counts_once():
  labels, scores, _ = case(2)
  once = roc.contrast_test(labels, scores, [[1, -1, 0], [0, 1, -1]])
  thrice = roc.contrast_test(labels, scores, [[1, -1, 0], [0, 1, -1], [1, 0, -1]])
  assert thrice.degrees_of_freedom == once.degrees_of_freedom == 2
  assert thrice.chi_square == pytest.approx(once.chi_square, rel=1e-8)


def test_unpaired_test_adds_the_variances():
  labels, scores, patients = case(3)
  other_labels, other_scores, other_patients = case(4, n=90)
  for of, other in ((None, None), (patients, other_patients + 1000)):
    (a,), ((va,),) = roc.delong_covariance(labels, scores[0], of)
    (b,), ((vb,),) = roc.delong_covariance(other_labels, other_scores[1], other)
    test = roc.unpaired_test(labels, scores[0], other_labels, other_scores[1], of, other)
    assert test.z == pytest.approx((a - b) / math.sqrt(va + vb), rel=1e-12)


def test_unpaired_test_refuses_a_patient_on_both_sides():
  labels, scores, patients = case(3)
  with pytest.raises(ValueError, match='both sets'):
    roc.unpaired_test(labels, scores[0], labels, scores[1], patients, patients)


@pytest.mark.parametrize('transform', [lambda x: x, lambda x: np.exp(x / 3) - 7])
def test_equal_rankings_differ_in_nothing(transform):
  labels, scores, patients = case(6)
  for of in (None, patients):
    test = roc.delong_test(labels, scores[0], transform(scores[0]), of)
    assert (test.difference, test.z, test.p_value) == (0, 0, 1)
    assert test.interval == (0, 0)
  contrast = roc.contrast_test(labels, [scores[0], transform(scores[0])], [1, -1])
  assert (contrast.chi_square, contrast.degrees_of_freedom, contrast.p_value) == (0, 0, 1)


def test_perfect_separation_is_not_tested():
  labels, scores = [0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6]
  test = roc.delong_test(labels, labels, scores)
  assert test.difference == pytest.approx(1 / 9)
  assert math.isnan(test.p_value) and math.isnan(test.z) and math.isnan(test.interval[0])
  assert roc.delong_test(labels, labels, labels).p_value == 1
  assert math.isnan(roc.unpaired_test(labels, labels, labels, scores).p_value)
  assert math.isnan(roc.contrast_test(labels, [labels, scores], [1, -1]).p_value)
  # A set that no contrast uses does no harm.
  of_three = roc.contrast_test(labels, [labels, scores, [2, 5, 1, 3, 4, 6]], [0, 1, -1])
  assert 0 < of_three.p_value < 1


def test_a_contrast_of_nothing_is_nothing():
  labels, scores, _ = case(7)
  test = roc.contrast_test(labels, scores, [0, 0, 0])
  assert (test.chi_square, test.degrees_of_freedom, test.p_value) == (0, 0, 1)


def test_contrast_of_another_shape_is_told():
  labels, scores, _ = case(7)
  with pytest.raises(ValueError, match='column for each score set'):
    roc.contrast_test(labels, scores, [1, -1])


def test_seeds_are_obuchowski_and_rocketts_readers():
  """The published form: mean squares of the two-way table, and covariances by pair of areas."""
  for seed in range(20):
    generator = np.random.default_rng(seed)
    labels = np.arange(120) % 2
    scores = generator.normal(size=(6, 120)) + generator.normal(size=120)
    scores += labels * np.repeat([1.0, 1.4], 3)[:, np.newaxis]
    area, covariance = roc.delong_covariance(labels, scores)
    area = area.reshape(2, 3)  # models, seeds
    off = ~np.eye(3, dtype=bool)
    same_model = np.mean([covariance[:3, :3][off], covariance[3:, 3:][off]])
    other_model = covariance[:3, 3:][off].mean()
    residual = area - area.mean(axis=0) - area.mean(axis=1, keepdims=True) + area.mean()
    mean_square_both = (residual**2).sum() / 2
    mean_square_model = 3 * ((area.mean(axis=1) - area.mean()) ** 2).sum()
    error = mean_square_both + max(3 * (same_model - other_model), 0)
    degrees = error**2 / (mean_square_both**2 / 2)
    test = roc.seeds_test(labels, scores[:3], scores[3:])
    assert test.difference == pytest.approx(area[0].mean() - area[1].mean())
    assert test.degrees_of_freedom == pytest.approx(degrees)
    assert test.p_value == pytest.approx(stats.f.sf(mean_square_model / error, 1, degrees))
    half_width = stats.t.ppf(0.975, degrees) * np.sqrt(2 / 3 * error)
    reach = np.array([-1, 1]) * half_width
    np.testing.assert_allclose(test.interval, test.difference + reach)


def test_models_that_are_alike_in_every_seed_do_not_differ():
  labels, scores, patients = case(0)
  alike = roc.seeds_test(labels, scores, scores, patients)
  assert (alike.difference, alike.p_value, alike.interval) == (0, 1, (0, 0))
  with pytest.raises(ValueError, match='two seeds or more'):
    roc.seeds_test(labels, scores[0], scores[1])


def test_seeds_that_leave_no_variance_or_a_large_one():
  labels = [0, 0, 0, 1, 1, 1]
  perfect, level = [labels, labels], np.zeros((2, 6))
  sure = roc.seeds_test(labels, perfect, level)  # 1 less 0.5, with no variance to go by
  assert sure.difference == 0.5 and np.isnan([*sure.interval, sure.p_value]).all()
  # Differences of 0.5 and -0.5 with one degree of freedom: t is 12.7, past what areas can differ.
  wide = roc.seeds_test(labels, [labels, [1, 1, 1, 0, 0, 0]], level)
  assert (wide.difference, wide.interval) == (0, (-1, 1))
