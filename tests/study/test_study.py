"""How a study prepares a simulated hospital; test_demo.py runs whole studies."""

import pathlib

import pytest
from etils import epath

from configs import study as config
from nodulax.distributed import parallel
from nodulax.study import dry_run, plan
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


def test_what_the_full_study_costs_is_counted_without_a_step_of_it(monkeypatch):
  """A step of DenseNet-121 at 512 pixels takes 16 GB of memory."""
  experiment = next(iter(plan.runs(config.get_config(), epath.Path('/nowhere'), {}))).config

  def refuse(*_, **__):
    raise AssertionError('a step was run')

  monkeypatch.setattr(parallel, 'map_devices', refuse)
  monkeypatch.setattr(parallel, 'replicate', refuse)
  seconds = dry_run._seconds_an_image(experiment, bytes_a_second=25e9)
  # It took 1.35 s an image on two cores that moved 23.5 GB a second.
  assert seconds == pytest.approx(1.35 * 23.5 / 25, rel=0.1)
