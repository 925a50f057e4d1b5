"""The hottest cells of heat maps: how many lie on nodules, and whether they are always the same."""

import numpy as np
import pytest

from nodulax.evaluation.hottest_cells import hottest_cells
from nodulax.input.prepared import Prepared
from tests.input.test_batches import case


def split(count: int, nodules: int) -> Prepared:
  """Radiographs of 32 pixels, of which the first have a nodule at rows and columns 8 to 16."""
  masks = np.zeros((count, 32, 32), np.uint8)
  masks[:nodules, 8:16, 8:16] = 255
  cases = [case(index, int(index < nodules)) for index in range(count)]
  return Prepared('set', 'tune', cases, np.zeros_like(masks), masks, np.zeros(count), None)


def maps(cells: list[tuple[int, int]]) -> np.ndarray:
  """Heat maps of 4 x 4 cells of 8 pixels, each hottest in one cell."""
  heat = np.full((len(cells), 4, 4), 0.1, np.float32)
  for index, (row, column) in enumerate(cells):
    heat[index, row, column] = 0.9
  return heat


def test_the_shares_by_hand():
  # Two of three nodules are hit; of ten radiographs four are hottest in the cell 3, 0.
  cells = [(1, 1), (1, 1), (2, 1), (3, 0), (3, 0), (3, 0), (3, 0), (0, 0), (0, 1), (0, 2)]
  found = hottest_cells(split(10, 3), maps(cells))
  assert found.on_nodule == pytest.approx(2 / 3) and found.same == pytest.approx(0.4)
  assert (found.row, found.column) == (3, 0) and not found.fixed


def test_a_fixed_hot_spot_and_few_radiographs():
  assert hottest_cells(split(10, 3), maps([(3, 3)] * 9 + [(0, 0)])).fixed
  assert not hottest_cells(split(4, 2), maps([(3, 3)] * 4)).fixed  # which may be chance


def test_without_a_located_nodule_nothing_is_said_of_it():
  assert np.isnan(hottest_cells(split(5, 0), maps([(0, 0)] * 5)).on_nodule)
