import operator
import os

import pytest

from tfds_builders.processes import map_images
from tfds_builders.records import SourceError


@pytest.mark.parametrize('processes', [1, 2])
def test_results_are_in_the_order_of_the_items(processes):
  items = list(range(200))
  assert map_images(operator.neg, items, processes=processes, doing='Counting') == [
    -item for item in items
  ]


def test_items_may_be_several_images(capfd):
  results = map_images(sum, [[1, 2], [3]], processes=1, doing='Adding', weights=[2, 1])
  assert results == [3, 3]
  assert '3/3' in capfd.readouterr().err


def test_nothing_to_do():
  assert map_images(operator.neg, [], processes=0, doing='Counting') == []


def test_few_images_are_not_worth_another_process():
  assert set(map_images(os.getpgid, [0] * 8, processes=4, doing='Asking')) == {os.getpgid(0)}


@pytest.mark.parametrize('processes', [1, 2])
def test_an_error_is_that_of_the_item(processes):
  items = [*range(1, 100), 0]
  with pytest.raises(ZeroDivisionError):
    map_images((1).__truediv__, items, processes=processes, doing='Dividing')


def test_a_process_that_is_killed_is_told():
  with pytest.raises(SourceError, match='fewer with --processes'):
    map_images(os._exit, [1] * 100, processes=2, doing='Dying')
