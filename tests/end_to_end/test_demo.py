"""The README's first command, shrunk: two virtual hospitals to a table, on two devices."""

import csv
import os

import pytest

SMALL = [
  '--config.sources.nih.images=120',
  '--config.sources.hospital.images=60',
  *(f'--config.sources.{name}.image_size=96' for name in ('nih', 'hospital')),
  *(
    f'--config.experiments.{name}.{knob}'
    for name in ('nih_image', 'hospital_pixel')
    for knob in ('preprocessing.image_size=64', 'train.epochs=1', 'train.batch_size=8')
  ),
]


@pytest.fixture(scope='module')
def demo(command, tmp_path_factory):
  """The workdir of the shrunken demo, and what it printed."""
  folder = tmp_path_factory.mktemp('demo') / 'demo'
  return folder, run(command, folder, tmp_path_factory)


def run(command, folder, tmp_path_factory):
  return command(
    'nodulax.main',
    '--config=configs/demo.py',
    f'--workdir={folder}',
    *SMALL,
    XLA_FLAGS='--xla_force_host_platform_device_count=2',
    NODULAX_HASH_KEY=str(tmp_path_factory.getbasetemp() / 'nodulax-key' / 'hash.key'),
  )


def test_the_demo_ends_with_a_table_and_says_where_everything_lies(demo):
  folder, printed = demo
  for experiment in ('nih_image', 'hospital_pixel'):
    for source in ('nih', 'hospital'):
      evaluation = folder / experiment / 'evaluation' / source
      with (evaluation / 'predictions.csv').open(newline='') as file:
        assert len(list(csv.DictReader(file))) > 5
      assert list((evaluation / 'overlays').iterdir())
    assert list((folder / experiment).glob('events.out.tfevents.*'))
    assert experiment in printed
  assert 'AUC' in printed and str(folder) in printed
  assert '<html' in (folder / 'report' / 'index.html').read_text()
  assert 'not a medical device' in printed.lower()


def test_network_2_starts_from_network_1(demo):
  _, printed = demo
  assert 'taken: ' in printed and 'backbone' in printed


def test_a_second_run_recognises_what_is_done(demo, command, tmp_path_factory):
  folder, _ = demo
  before = {path: os.stat(path).st_mtime_ns for path in folder.rglob('*.csv')}
  printed = run(command, folder, tmp_path_factory)
  assert printed.count('trained already') == 2
  assert {path: os.stat(path).st_mtime_ns for path in folder.rglob('*.csv')} == before
