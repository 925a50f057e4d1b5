"""The scripts that train on the real radiographs of JSRT, for one epoch."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
def test_the_way_from_real_radiographs_to_an_evaluation_is_whole(real_data, tmp_path):
  script = ROOT / 'tests' / 'end_to_end' / 'jsrt.py'
  finished = subprocess.run(
    [sys.executable, script, f'--jsrt={real_data}/jsrt', f'--workdir={tmp_path}', '--epochs=1'],
    capture_output=True,
    text=True,
  )
  assert finished.returncode == 0, finished.stdout + finished.stderr
  metrics = json.loads((tmp_path / 'pixel/evaluation/hospital/metrics.json').read_text())
  radiographs = len(list((real_data / 'jsrt' / 'images').glob('*.png')))
  assert 0 < metrics['nodule_images'] < metrics['images'] < radiographs


@pytest.mark.slow
def test_each_half_is_predicted_by_a_network_that_saw_the_other(real_data, tmp_path):
  script = ROOT / 'tests' / 'end_to_end' / 'jsrt_two_fold.py'
  finished = subprocess.run(
    [sys.executable, script, f'--jsrt={real_data}/jsrt', f'--workdir={tmp_path}', '--epochs=1'],
    capture_output=True,
    text=True,
  )
  assert finished.returncode == 0, finished.stdout + finished.stderr
  radiographs = len(list((real_data / 'jsrt' / 'images').glob('*.png')))
  for name in ('before fine-tuning', 'fine-tuned, in two folds'):
    assert f'{name}: {radiographs} radiographs, AUC 0.' in finished.stdout
  seen, asked = (
    {path.name for path in (tmp_path / 'raw' / half / 'images').iterdir()}
    for half in ('half0', 'half1')
  )
  assert not seen & asked and len(seen | asked) == radiographs
