"""How a study prepares a simulated hospital; test_demo.py runs whole studies."""

import pathlib

import pytest
from etils import epath

from configs import study as config
from nodulax.study import run as study


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


def test_a_download_is_built_with_the_options_of_its_builder(tiny, tmp_path):
  whole = tmp_path / 'raw'
  study._simulate(tiny.sources.gmc, epath.Path(whole))
  next(whole.glob('images/*')).unlink()
  tiny.sources.gmc.raw = str(whole)
  with pytest.raises(study.StudyError, match='tfds_builders build gmc_nodule'):
    study.prepare(tiny, epath.Path(tmp_path / 'refused'), 'gmc')
  with tiny.unlocked():
    tiny.sources.gmc.options = {'allow_missing': True, 'allow_faulty': False, 'seed': 3}
  study.prepare(tiny, epath.Path(tmp_path / 'built'), 'gmc')
