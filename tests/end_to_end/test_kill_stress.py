"""A few kills of tests/end_to_end/kill_stress.py, which does fifty."""

import pytest

from tests.end_to_end.kill_stress import Stress


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 1])
def test_killed_runs_end_like_an_undisturbed_one(shards, tmp_path, workers):
  assert Stress(shards, tmp_path, epochs=5, workers=workers).run(kills=6, seed=workers) == []
