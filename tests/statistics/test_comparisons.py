"""Corrected p-values against statsmodels."""

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from nodulax.statistics.comparisons import holm


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
