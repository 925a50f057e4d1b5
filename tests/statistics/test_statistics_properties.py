"""What must hold for any labels and scores."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodulax.statistics import roc

close = {'rel': 1e-12, 'abs': 1e-12}


@st.composite
def cases(draw):
  """Labels with both classes, two score sets with ties, and patients."""
  n = draw(st.integers(4, 30))
  labels = draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda x: 0 < sum(x) < n))
  column = st.lists(st.integers(-6, 6), min_size=n, max_size=n)
  patients = draw(st.lists(st.integers(0, n // 2), min_size=n, max_size=n))
  return np.array(labels), np.array([draw(column), draw(column)], float), np.array(patients)


def numbers(labels, scores, patients):
  """All that one could read from two score sets."""
  first, second = scores
  interval = roc.delong_interval(labels, first, patients)
  test = roc.delong_test(labels, first, second, patients)
  return [interval.value, interval.low, interval.high, test.difference, test.z, test.p_value]


@given(cases())
def test_monotone_transformations_change_nothing(case):
  labels, scores, patients = case
  assert numbers(labels, np.exp(scores / 3) * 7 - 100, patients) == pytest.approx(
    numbers(labels, scores, patients), nan_ok=True, **close
  )
  assert roc.average_precision(labels, scores[0]) == roc.average_precision(labels, scores[0] ** 3)


@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_images_and_the_names_of_patients_change_nothing(case, random):
  labels, scores, patients = case
  order = list(range(labels.size))
  random.shuffle(order)
  names = np.array([f'patient {100 - patient}' for patient in patients])
  assert numbers(labels[order], scores[:, order], names[order]) == pytest.approx(
    numbers(labels, scores, patients), nan_ok=True, rel=1e-9, abs=1e-12
  )


@given(cases())
def test_swapped_classes_with_negated_scores_change_nothing(case):
  labels, scores, patients = case
  assert numbers(~labels, -scores, patients) == pytest.approx(
    numbers(labels, scores, patients), nan_ok=True, rel=1e-9, abs=1e-12
  )


@given(cases())
def test_negated_scores_mirror(case):
  labels, scores, patients = case
  there = roc.delong_interval(labels, scores[0], patients)
  back = roc.delong_interval(labels, -scores[0], patients)
  assert (back.value, back.low, back.high) == pytest.approx(
    (1 - there.value, 1 - there.high, 1 - there.low), nan_ok=True, rel=1e-9, abs=1e-12
  )


@given(cases())
def test_exchanged_models_change_the_sign(case):
  labels, scores, patients = case
  there = roc.delong_test(labels, scores[0], scores[1], patients)
  back = roc.delong_test(labels, scores[1], scores[0], patients)
  assert (back.difference, back.z) == pytest.approx(
    (-there.difference, -there.z), nan_ok=True, **close
  )
  assert back.p_value == pytest.approx(there.p_value, nan_ok=True, **close)


@given(cases())
def test_bounds(case):
  labels, scores, patients = case
  interval = roc.delong_interval(labels, scores[0], patients)
  if interval.estimable:
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
  test = roc.delong_test(labels, scores[0], scores[1], patients)
  assert math.isnan(test.p_value) or 0 <= test.p_value <= 1
  curve = roc.roc_curve(labels, scores[0])
  assert (np.diff(curve.sensitivity) >= 0).all() and (np.diff(curve.false_positive_rate) >= 0).all()
  assert curve.sensitivity[-1] == curve.false_positive_rate[-1] == 1
  assert np.trapezoid(curve.sensitivity, curve.false_positive_rate) == pytest.approx(interval.value)


@given(cases())
def test_covariance_is_positive_semidefinite(case):
  labels, scores, patients = case
  _, covariance = roc.delong_covariance(labels, scores, patients)
  if not np.isnan(covariance).any():
    assert np.linalg.eigvalsh(covariance).min() >= -1e-15
