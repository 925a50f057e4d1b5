"""Corrected p-values against statsmodels."""

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from nodulax.statistics import roc
from nodulax.statistics.comparisons import compare_models, holm


def test_holm_is_statsmodels():
  for seed in range(20):
    generator = np.random.default_rng(seed)
    p_values = np.round(generator.random(generator.integers(1, 40)) ** 3, 2)
    np.testing.assert_allclose(
      holm(p_values), multipletests(p_values, method='holm')[1], rtol=0, atol=1e-10
    )


def test_what_could_not_be_tested_does_not_count():
  np.testing.assert_allclose(holm([0.03, math.nan, 0.01]), [0.03, math.nan, 0.02])
  assert np.isnan(holm([math.nan])).all()
  assert holm([]).size == 0


@pytest.mark.parametrize('p_values', [[0.5, 1.1], [-0.1], [[0.1]]])
def test_bad_p_values_are_told(p_values):
  with pytest.raises(ValueError, match='p_values'):
    holm(p_values)


def test_every_two_models_are_compared():
  generator = np.random.default_rng(0)
  labels, patients = np.arange(200) % 2, np.arange(200) // 3
  scores = {
    name: generator.normal(size=200) + gain * labels
    for name, gain in (('first', 0.2), ('second', 1.0), ('third', 1.2), ('fourth', 2.0))
  }
  comparisons = compare_models(labels, scores, patients)
  assert [(c.model_a, c.model_b) for c in comparisons] == [
    ('first', 'second'),
    ('first', 'third'),
    ('first', 'fourth'),
    ('second', 'third'),
    ('second', 'fourth'),
    ('third', 'fourth'),
  ]
  for comparison in comparisons:
    assert comparison.test == roc.delong_test(
      labels, scores[comparison.model_a], scores[comparison.model_b], patients
    )
    assert comparison.p_holm >= comparison.test.p_value
  expected = multipletests([c.test.p_value for c in comparisons], method='holm')[1]
  np.testing.assert_allclose([c.p_holm for c in comparisons], expected, atol=1e-10)
