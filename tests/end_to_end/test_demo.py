"""The README's first command, shrunk: four virtual hospitals to a report, on two devices."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

EXPERIMENTS = ('nih_image', 'aihub_image', 'nih_aihub_image', 'nih_aihub_pixel')
SOURCES = {'nih': 120, 'aihub': 48, 'gmc': 12, 'vindr': 12}
SMALL = [
  *(f'--config.sources.{name}.images={images}' for name, images in SOURCES.items()),
  *(f'--config.sources.{name}.image_size=96' for name in SOURCES),
  '--config.preprocessing.image_size=64',
  '--config.train.epochs=1',
  '--config.train.batch_size=8',
]


@pytest.fixture(scope='module')
def demo(command, tmp_path_factory):
  """The workdir of the shrunken demo, and what it printed."""
  folder = tmp_path_factory.mktemp('demo') / 'demo'
  return folder, run(command, folder, tmp_path_factory)


def run(command, folder, tmp_path_factory):
  return command('nodulax.main', *arguments(folder), **environment(tmp_path_factory))


def arguments(folder):
  return ['--config=configs/demo.py', f'--workdir={folder}', *SMALL]


def environment(tmp_path_factory):
  return {
    'XLA_FLAGS': os.environ['XLA_FLAGS'].replace('count=4', 'count=2'),
    'NODULAX_HASH_KEY': str(tmp_path_factory.getbasetemp() / 'nodulax-key' / 'hash.key'),
  }


def test_the_demo_ends_with_a_table_and_says_where_everything_lies(demo):
  folder, printed = demo
  for experiment in EXPERIMENTS:
    for source in SOURCES:
      evaluation = folder / experiment / 'evaluation' / source
      with (evaluation / 'predictions.csv').open(newline='') as file:
        assert len(list(csv.DictReader(file))) >= 8
      assert list((evaluation / 'overlays').iterdir())
    assert list((folder / experiment).glob('events.out.tfevents.*'))
    assert experiment in printed
  assert 'Table 2' in printed and 'AUC' in printed and str(folder) in printed
  assert '<html' in (folder / 'report' / 'index.html').read_text()
  assert 'not a medical device' in printed.lower()


def test_every_experiment_starts_from_the_network_of_nodulax(demo):
  folder, printed = demo
  assert printed.count('taken: ') == len(EXPERIMENTS) and 'backbone' in printed
  for experiment in EXPERIMENTS:
    config = json.loads((folder / experiment / 'config.json').read_text())
    assert config['init']['checkpoint'].endswith('nodulax')


def test_the_virtual_nih_is_scored_against_its_true_labels_too(demo):
  folder, _ = demo
  evaluations = folder / 'nih_image' / 'evaluation'
  mined, true = (rows(evaluations / name / 'predictions.csv') for name in ('nih', 'nih_true'))
  scores = [[(row['image_id'], row['probability']) for row in table] for table in (mined, true)]
  assert scores[0] == scores[1]
  with (folder / 'raw' / 'nih' / 'phantom_truth.csv').open(newline='') as file:
    truth = {row['image']: row['label'] for row in csv.DictReader(file)}
  assert all((truth[row['image_id']] == 'nodule') == (row['label'] == '1') for row in true)
  assert [row['label'] for row in mined] != [row['label'] for row in true]


def rows(path):
  with path.open(newline='') as file:
    return list(csv.DictReader(file))


def test_a_second_run_recognises_what_is_done(demo, command, tmp_path_factory):
  folder, _ = demo
  before = {path: os.stat(path).st_mtime_ns for path in folder.rglob('*.csv')}
  printed = run(command, folder, tmp_path_factory)
  assert printed.count('trained already') == 4
  assert {path: os.stat(path).st_mtime_ns for path in folder.rglob('*.csv')} == before


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(command, tmp_path):
  folder = tmp_path / 'study'
  printed = command(
    'nodulax.main', '--config=configs/demo.py', f'--workdir={folder}', *SMALL, '--dry_run'
  )
  assert all(name in printed for name in (*EXPERIMENTS, *SOURCES)) and 'In all about' in printed
  assert not folder.exists()


# What is there while each phase of the study works, and not before.
PHASES = {
  'simulating': 'raw/unfinished-aihub-*/images/*.png',
  'building': 'shards/aihub/**/incomplete.*',
  'training': 'aihub_image/config.json',
  'saving': 'nih_aihub_image/checkpoints/latest/*',
  'evaluating': 'nih_aihub_pixel/evaluation/unfinished-*',
  'reporting': 'unfinished-report-*',
}


@pytest.mark.slow
def test_killed_in_every_phase_the_study_ends_with_the_same_numbers(
  demo, command, tmp_path, tmp_path_factory
):
  folder = tmp_path / 'demo'
  for phase, pattern in PHASES.items():
    kill_when(folder, pattern, environment(tmp_path_factory), phase)
  run(command, folder, tmp_path_factory)
  whole, _ = demo
  for experiment in EXPERIMENTS:
    for source in (*SOURCES, 'nih_true'):
      name = f'{experiment}/evaluation/{source}/predictions.csv'
      assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def kill_when(folder: pathlib.Path, pattern: str, variables: dict[str, str], phase: str) -> None:
  """Starts the study and kills it, and all that it started, once a file matches."""
  process = subprocess.Popen(
    [sys.executable, '-m', 'nodulax.main', *arguments(folder)],
    cwd=pathlib.Path(__file__).parents[2],
    env={**os.environ, **variables},
    stdout=subprocess.DEVNULL,
    start_new_session=True,
  )
  while not any(folder.glob(pattern)):
    assert process.poll() is None, f'the study ended before it was {phase}'
    time.sleep(0.01)
  os.killpg(process.pid, signal.SIGKILL)
  process.wait()
