import dataclasses
from typing import Any, Literal

import pytest

from nodulax.checkpoints.typed_json import construct


@dataclasses.dataclass
class Inner:
  window: tuple[float, float]


@dataclasses.dataclass
class Outer:
  count: int
  share: float
  head: Literal['image', 'pixel']
  inner: Inner
  anything: dict[str, Any]
  temperature: float | None = None


GOOD = {
  'count': 3,
  'share': 1,
  'head': 'image',
  'inner': {'window': [0, 99.5]},
  'anything': {'a': [None]},
}


def test_json_becomes_dataclasses():
  made = construct(Outer, GOOD)
  assert made == Outer(3, 1.0, 'image', Inner((0.0, 99.5)), {'a': [None]}, None)
  assert isinstance(made.share, float)
  assert construct(Outer, GOOD | {'temperature': 2.5}).temperature == 2.5
  assert construct(Outer, GOOD | {'temperature': None}).temperature is None


def test_json_becomes_the_arguments_of_a_function():
  def area(*, width: int, height: int = 2) -> int:
    return width * height

  assert construct(area, {'width': 3}) == 6
  with pytest.raises(ValueError, match='unknown depth'):
    construct(area, {'width': 3, 'depth': 1})


@pytest.mark.parametrize(
  ('change', 'says'),
  [
    ({'count': 3.5}, 'count is 3.5'),
    ({'count': True}, 'count is True'),
    ({'share': '1'}, "share is '1'"),
    ({'share': float('nan')}, 'share is nan'),
    ({'share': 10**400}, 'share is 1000'),
    ({'head': 'both'}, "head is 'both'"),
    ({'head': []}, r'head is \[\]'),
    ({'inner': [1]}, r'inner is not a JSON object but \[1\]'),
    ({'inner': {}}, 'inner lacks window'),
    ({'inner': {'window': [0, 1], 'x': 1}}, 'inner has the unknown x'),
    ({'inner': {'window': [0, 1, 2]}}, r'inner.window is \[0, 1, 2\]'),
    ({'inner': {'window': [0, 'b']}}, "inner.window is 'b'"),
    ({'anything': []}, r'anything is \[\]'),
    ({'temperature': 'hot'}, "temperature is 'hot'"),
    ({'more': 1}, 'it has the unknown more'),
  ],
)
def test_what_does_not_fit_is_named(change, says):
  with pytest.raises(ValueError, match=says):
    construct(Outer, GOOD | change)


def test_what_is_missing_is_named():
  with pytest.raises(ValueError, match='it lacks count, head'):
    construct(Outer, {name: GOOD[name] for name in ('share', 'inner', 'anything')})
  with pytest.raises(ValueError, match='it is not a JSON object but None'):
    construct(Outer, None)
