"""How a study prepares a simulated hospital; test_demo.py runs whole studies."""

import pathlib

import pytest
from etils import epath

from configs import study as config
from nodulax import study


@pytest.fixture
def tiny():
  whole = config.get_config()
  whole.sources.gmc.images = 12
  whole.sources.gmc.image_size = 64
  return whole


def test_simulated_shards_are_the_same_for_everybody(tiny, tmp_path, monkeypatch):
  contents = []
  for user in ('one', 'other'):
    key = tmp_path / f'{user}.key'
    monkeypatch.setenv('NODULAX_HASH_KEY', str(key))
    folder = pathlib.Path(study.prepare(tiny, epath.Path(tmp_path / user), 'gmc'))
    contents.append({path.name: path.read_bytes() for path in folder.rglob('*array_record*')})
    assert not key.exists()  # no patients, no secret
  assert contents[0] == contents[1] and contents[0]
