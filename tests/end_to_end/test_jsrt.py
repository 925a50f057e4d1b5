"""The scripts that train on the real radiographs of JSRT, for one epoch."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def printed(name: str, *arguments: str) -> str:
  finished = subprocess.run(
    [sys.executable, ROOT / 'tests' / 'end_to_end' / name, *arguments, '--epochs=1'],
    capture_output=True,
    text=True,
  )
  assert finished.returncode == 0, finished.stdout + finished.stderr
  return finished.stdout


@pytest.mark.slow
def test_real_radiographs_are_built_trained_on_and_evaluated(real_data, tmp_path):
  printed('jsrt.py', f'--jsrt={real_data}/jsrt', f'--workdir={tmp_path}')
  metrics = json.loads((tmp_path / 'pixel/evaluation/hospital/metrics.json').read_text())
  radiographs = len(list((real_data / 'jsrt' / 'images').glob('*.png')))
  assert 0 < metrics['nodule_images'] < metrics['images'] < radiographs


@pytest.mark.slow
def test_each_half_is_predicted_by_a_network_that_saw_the_other(real_data, tmp_path):
  told = printed('jsrt_two_fold.py', f'--jsrt={real_data}/jsrt', f'--workdir={tmp_path}')
  radiographs = len(list((real_data / 'jsrt' / 'images').glob('*.png')))
  for name in ('before fine-tuning', 'fine-tuned, in two folds'):
    assert f'{name}: {radiographs} radiographs, AUC 0.' in told
  seen, asked = (
    {path.name for path in (tmp_path / 'raw' / half / 'images').iterdir()}
    for half in ('half0', 'half1')
  )
  assert not seen & asked and len(seen | asked) == radiographs
