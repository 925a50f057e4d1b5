"""The way in: what a user sees of right and wrong commands."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess:
  command = [sys.executable, '-m', *arguments]
  return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_an_unknown_knob_is_an_error_that_suggests_the_right_name(tmp_path):
  finished = run(
    'nodulax.main',
    '--config=configs/nih_image.py',
    f'--workdir={tmp_path}/run',
    '--config.optimizer.learning_rat=1',
  )
  assert finished.returncode != 0
  assert 'learning_rate' in finished.stderr


def test_missing_shards_are_an_error_without_a_stack_trace(tmp_path):
  finished = run('nodulax.main', '--config=configs/nih_image.py', f'--workdir={tmp_path}/run')
  assert finished.returncode == 1
  assert 'python -m tfds_builders build' in finished.stderr
  assert 'Traceback' not in finished.stderr


def test_a_workdir_of_another_config_is_an_error_that_names_the_knob(trained_run, shards):
  finished = run(
    'nodulax.main',
    '--config=configs/nih_image.py',
    f'--workdir={trained_run}',
    f'--config.data.shards.nih={shards}',
  )
  assert finished.returncode == 1
  assert 'optimizer' not in finished.stderr
  assert "model.size: 'tiny' there, '121' now" in finished.stderr
  assert 'Traceback' not in finished.stderr


def test_a_finished_experiment_is_shown_in_a_table(trained_run, shards):
  finished = run(
    'nodulax.main',
    '--config=configs/default.py',
    f'--workdir={trained_run}',
    '--config.data.train=hospital',
    f'--config.data.shards.hospital={shards}',
    "--config.data.evaluate=('hospital',)",
    '--config.preprocessing.image_size=64',
    '--config.model.head=pixel',
    '--config.model.size=tiny',
    '--config.model.cell_prior=0.3',
    '--config.train.epochs=2',
    '--config.train.batch_size=8',
  )
  assert finished.returncode == 0, finished.stderr
  assert 'trained already' in finished.stdout and 'AUC' in finished.stdout
  assert 'not a medical device' in finished.stdout.lower()
  assert finished.stderr == ''


@pytest.mark.parametrize('module', ['main', 'evaluate', 'predict'])
def test_help_teaches(module):
  finished = run(f'nodulax.{module}', '--help')
  assert f'python -m nodulax.{module} --' in finished.stdout


def test_evaluate_without_a_run_is_an_error_without_a_stack_trace(shards, tmp_path):
  finished = run(
    'nodulax.evaluate',
    f'--checkpoint={tmp_path}',
    f'--dataset={shards}',
    f'--output={tmp_path}/out',
  )
  assert finished.returncode == 1
  assert 'no checkpoint here' in finished.stderr and 'Traceback' not in finished.stderr


def test_evaluate_ends_with_a_table(trained_run, shards, tmp_path):
  finished = run(
    'nodulax.evaluate',
    f'--checkpoint={trained_run}',
    f'--dataset={shards}',
    f'--output={tmp_path}/out',
    '--overlays=0',
  )
  assert finished.returncode == 0, finished.stderr
  for words in ('small on gmc_nodule test', 'AUC', 'sensitivity', 'Dice', 'frozen on tune'):
    assert words in finished.stdout
  assert '{' not in finished.stdout and len(finished.stdout.splitlines()) < 30
