"""Agreement of readers by hand, for the cases in which the libraries have nothing to say."""

import numpy as np
import pytest

from nodulax.labels.agreement import agreement


def test_two_readers_by_hand():
  # 20 both yes, 5 and 10 split, 15 both no: observed 0.7, by chance 0.5 (Cohen 1960).
  table = np.array([[1, 1]] * 20 + [[1, 0]] * 5 + [[0, 1]] * 10 + [[0, 0]] * 15, float)
  told = agreement(table)
  assert told['cohen_kappa'] == pytest.approx(0.4)
  assert told['fleiss_kappa'] is None  # of three readers and more
  # Krippendorff: 1 - observed / expected disagreement, of 100 answers 55 are yes.
  expected = 2 * 55 * 45 / (100 * 99)
  assert told['krippendorff_alpha'] == pytest.approx(1 - 0.3 / expected)


def test_three_readers_who_always_agree():
  table = np.array([[1, 1, 1]] * 4 + [[0, 0, 0]] * 6, float)
  assert agreement(table) == pytest.approx(
    {'krippendorff_alpha': 1, 'fleiss_kappa': 1, 'cohen_kappa': 1}
  )


@pytest.mark.parametrize(
  'table',
  [
    [[1.0], [0.0]],  # one reader
    [[1.0, np.nan], [np.nan, 0.0]],  # nobody read the same
    [[1.0, 1.0], [1.0, 1.0]],  # all answers are equal
  ],
)
def test_where_nothing_can_be_told(table):
  assert set(agreement(np.array(table)).values()) == {None}
