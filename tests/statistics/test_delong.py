"""Areas and their covariance against published numbers and the definitions, word by word."""

import math
import pathlib

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from nodulax.statistics import roc


@pytest.fixture(scope='module')
def ovarian():
  """43 cases of DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837.

  Survival after surgery for ovarian cancer, by albumin, total protein and Krebs-Goplerud score.
  """
  table = np.genfromtxt(pathlib.Path(__file__).parent / 'ovarian.csv', delimiter=',', names=True)
  scores = np.stack([table['albumin'], table['total_protein'], 10 - table['kg_score']])
  return table['outcome'].astype(int), scores


def random_case(seed):
  """Labels with both classes, and k score sets with many ties."""
  generator = np.random.default_rng(seed)
  n = int(generator.integers(8, 80))
  labels = generator.permutation(np.arange(n) < generator.integers(2, n - 2)).astype(int)
  levels = generator.integers(2, 30)
  noise = generator.normal(size=(3, n)) + labels * generator.uniform(0, 2)
  return generator, labels, np.round(noise * levels / 4)


def kernel(labels, scores):
  """[abnormal, normal]: 1 where the abnormal one outranks the normal one, 1/2 where they tie."""
  abnormal, normal = scores[labels == 1, None], scores[None, labels == 0]
  return (abnormal > normal) + (abnormal == normal) / 2


def obuchowski_by_definition(labels, score_sets, patients):
  """Obuchowski 1997, patient by patient."""
  k = len(score_sets)
  kernels = [kernel(labels, scores) for scores in score_sets]
  areas = [table.mean() for table in kernels]
  abnormal_patients, normal_patients = patients[labels == 1], patients[labels == 0]
  everyone = sorted(set(patients))
  m, n = len(abnormal_patients), len(normal_patients)
  i10, i01, i = len(set(abnormal_patients)), len(set(normal_patients)), len(everyone)
  covariance = np.zeros((k, k))
  for r in range(k):
    for s in range(k):
      s10 = s01 = s11 = 0.0
      for patient in everyone:
        ours, theirs = abnormal_patients == patient, normal_patients == patient
        v10 = [kernels[t].mean(axis=1)[ours].sum() - ours.sum() * areas[t] for t in (r, s)]
        v01 = [kernels[t].mean(axis=0)[theirs].sum() - theirs.sum() * areas[t] for t in (r, s)]
        s10 += v10[0] * v10[1] * i10 / ((i10 - 1) * m)
        s01 += v01[0] * v01[1] * i01 / ((i01 - 1) * n)
        s11 += (v10[0] * v01[1] + v01[0] * v10[1]) * i / (i - 1)
      covariance[r, s] = s10 / m + s01 / n + s11 / (m * n)
  return covariance


def test_the_ovarian_cases(ovarian):
  aucs, covariance = roc.delong_covariance(*ovarian)
  np.testing.assert_allclose(aucs, [0.73655914, 0.64784946, 0.72580645], rtol=0, atol=1e-8)
  np.testing.assert_allclose(
    np.sqrt(np.diag(covariance)), [0.09269435, 0.10004738, 0.10282161], rtol=0, atol=1e-8
  )


def test_areas_agree_with_scikit_learn_and_scipy():
  for seed in range(1000):
    _, labels, (scores, *_) = random_case(seed)
    area = roc.auc(labels, scores)
    assert area == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-10)
    u = stats.mannwhitneyu(scores[labels == 1], scores[labels == 0], method='asymptotic')
    assert area == pytest.approx(u.statistic / (labels.sum() * (1 - labels).sum()), abs=1e-10)


def test_covariance_is_that_of_the_placements():
  for seed in range(1000):
    _, labels, scores = random_case(seed)
    aucs, covariance = roc.delong_covariance(labels, scores)
    kernels = np.stack([kernel(labels, row) for row in scores])
    np.testing.assert_allclose(aucs, kernels.mean(axis=(1, 2)), rtol=0, atol=1e-10)
    expected = np.cov(kernels.mean(axis=2)) / kernels.shape[1]
    expected += np.cov(kernels.mean(axis=1)) / kernels.shape[2]
    estimable = ~np.isnan(covariance)
    assert estimable.any() or (np.diag(expected) < 1e-20).all()
    np.testing.assert_allclose(covariance[estimable], expected[estimable], rtol=0, atol=1e-10)


def test_clustered_covariance_is_obuchowskis():
  for seed in range(200):
    generator, labels, scores = random_case(seed)
    patients = generator.integers(0, labels.size // 2 + 1, labels.size)
    if min(len(set(patients[labels == label])) for label in (0, 1)) < 2:
      continue
    _, covariance = roc.delong_covariance(labels, scores, patients)
    expected = obuchowski_by_definition(labels, scores, patients)
    estimable = ~np.isnan(covariance)
    np.testing.assert_allclose(covariance[estimable], expected[estimable], rtol=0, atol=1e-10)


def test_clustered_variance_agrees_with_leaving_out_a_patient_at_a_time():
  generator = np.random.default_rng(5)
  patients = np.repeat(np.arange(150), 4)
  labels = generator.integers(0, 2, 600)
  scores = generator.normal(size=600) + generator.normal(size=150)[patients] + labels
  left_out = [
    roc.auc(labels[patients != patient], scores[patients != patient]) for patient in range(150)
  ]
  jackknife = 149 * np.var(left_out)
  _, ((variance,),) = roc.delong_covariance(labels, scores, patients)
  assert variance == pytest.approx(jackknife, rel=0.02)
  _, ((unaware,),) = roc.delong_covariance(labels, scores)
  assert abs(unaware / jackknife - 1) > 0.05


def test_one_image_a_patient_is_plain_delong(ovarian):
  labels, scores = ovarian
  names = np.array([f'patient {i}' for i in range(43)])[::-1]
  np.testing.assert_allclose(
    roc.delong_covariance(labels, scores, names)[1],
    roc.delong_covariance(labels, scores)[1],
    rtol=1e-12,
  )


def test_intervals(ovarian):
  labels, (albumin, *_) = ovarian
  area, error = 0.7365591397849462, 0.09269435
  plain = roc.delong_interval(labels, albumin, method='plain')
  assert plain.value == pytest.approx(area, abs=1e-12)
  assert (plain.low, plain.high) == pytest.approx(
    (area - 1.959963985 * error, area + 1.959963985 * error), abs=1e-7
  )
  logit = roc.delong_interval(labels, albumin)
  odds = area / (1 - area)
  factor = math.exp(1.959963985 * error / (area * (1 - area)))
  assert logit.low == pytest.approx(odds / factor / (1 + odds / factor), abs=1e-7)
  assert logit.high == pytest.approx(odds * factor / (1 + odds * factor), abs=1e-7)
  narrow = roc.delong_interval(labels, albumin, confidence=0.5)
  assert logit.low < narrow.low < area < narrow.high < logit.high


def test_the_plain_interval_stays_within_0_and_1():
  interval = roc.delong_interval([0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6], method='plain')
  assert interval.high == 1.0
  assert 0 < interval.low < interval.value == pytest.approx(8 / 9)


@pytest.mark.parametrize('scores', [[1, 2, 3, 4], [4, 3, 2, 1], [5, 5, 5, 5]])
def test_variance_without_spread_is_not_estimable(scores):
  labels = [0, 0, 1, 1]
  aucs, covariance = roc.delong_covariance(labels, [scores, [1, 3, 2, 4]])
  assert aucs[0] in (0, 0.5, 1)
  assert np.isnan(covariance[0]).all() and np.isnan(covariance[:, 0]).all()
  assert covariance[1, 1] > 0
  interval = roc.delong_interval(labels, scores)
  assert interval.value == aucs[0]
  assert not interval.estimable


def test_a_class_from_a_single_patient_has_no_variance():
  labels, scores = [0, 0, 1, 1], [1, 3, 2, 4]
  assert roc.delong_interval(labels, scores, ['a', 'b', 'c', 'd']).estimable
  assert not roc.delong_interval(labels, scores, ['a', 'b', 'c', 'c']).estimable
  assert not roc.delong_interval(labels, scores, ['a', 'a', 'a', 'a']).estimable
  assert not roc.delong_interval([0, 0, 1], [1, 3, 2]).estimable


def test_scores_apart_by_less_than_single_precision_are_apart():
  close = [0.5, 0.5 + 1e-12]
  assert np.float32(close[0]) == np.float32(close[1])
  assert roc.auc([0, 1], close) == 1.0
  assert roc.auc([1, 0], close) == 0.0
  assert roc.auc([0, 1], [0.5, 0.5]) == 0.5


def test_infinite_scores_rank():
  scores = [-math.inf, -math.inf, 1, math.inf]
  assert roc.auc([0, 0, 1, 1], scores) == 1.0
  assert roc.auc([1, 0, 0, 1], scores) == 0.625
  assert roc.roc_curve([1, 0, 0, 1], scores).sensitivity.tolist() == [0, 0.5, 0.5, 1]


@pytest.mark.parametrize(
  ('labels', 'scores', 'message'),
  [
    ([1, 1], [0.1, 0.2], 'both classes'),
    ([0, 0], [0.1, 0.2], 'both classes'),
    ([0, 1], [0.1, math.nan], 'NaN.*index 1'),
    ([0, 1], [0.1, 0.2, 0.3], 'one for each label'),
    ([0, 2], [0.1, 0.2], 'neither.*index 1'),
    ([0, math.nan], [0.1, 0.2], 'neither'),
    (['normal', 'nodule'], [0.1, 0.2], 'neither'),
    ([], [], 'at least one'),
    ([[0, 1]], [[0.1, 0.2]], 'at least one'),
  ],
)
def test_bad_input_is_told(labels, scores, message):
  for statistic in (roc.auc, roc.delong_interval, roc.roc_curve, roc.youden_threshold):
    with pytest.raises(ValueError, match=message):
      statistic(labels, scores)
  with pytest.raises(ValueError, match=message):
    roc.operating_point(labels, scores, 0.5)
  with pytest.raises(ValueError, match=message):
    roc.delong_test(labels, scores, scores)


def test_bad_options_are_told():
  with pytest.raises(ValueError, match='logit'):
    roc.delong_interval([0, 1], [1, 2], method='wald')
  with pytest.raises(ValueError, match=r'0\.95'):
    roc.delong_interval([0, 0, 1, 1], [1, 3, 2, 4], confidence=95)
  with pytest.raises(ValueError, match='patients'):
    roc.delong_interval([0, 1], [1, 2], ['a'])
  with pytest.raises(ValueError, match='patient is NaN'):
    roc.delong_interval([0, 1], [1, 2], [1, math.nan])
  with pytest.raises(ValueError, match='a row for each score set'):
    roc.delong_covariance([0, 1], np.zeros((1, 1, 2)))
