"""Every line of on_gpu.sh works, at a tiny size on the CPU, so that it works the first time."""

import json
import os
import pathlib
import subprocess
import sys

from tests.model import quick

HERE = pathlib.Path(__file__).parent


def test_every_row_of_the_script_on_a_cpu(tmp_path):
  environment = {
    **os.environ,
    'PYTHON': sys.executable,
    'PYTHONPATH': str(HERE.parents[1]),
    'SIZE': 'tiny',
    'PIXELS': '64',
    'SMALL_BATCH': '2',
    'LARGE_BATCH': '4',
    'IMAGES': '40',
    'XLA_FLAGS': quick.FLAGS,
  }
  finished = subprocess.run(
    ['sh', str(HERE / 'on_gpu.sh')],
    env=environment,
    cwd=tmp_path,
    capture_output=True,
    text=True,
  )
  assert finished.returncode == 0, finished.stderr
  rows = [json.loads(line) for line in finished.stdout.splitlines() if line.startswith('{')]
  assert not [row for row in rows if 'failed' in row], finished.stderr
  steps = [row for row in rows if row.get('peer') == 'nodulax']
  assert len(steps) == 12
  asked = {(row['batch'], row['precision'], row['remat']) for row in steps}
  assert len(asked) == 12 and all(row['train_s_per_image'] > 0 for row in steps)
  assert len([row for row in rows if row.get('peer') == 'torch']) == 2
  (profile,) = [row for row in rows if 'profile' in row]
  assert profile['shares'] and sum(profile['shares'].values()) <= 1.01
  training, predicting = [row for row in rows if 'job' in row]
  assert training['images_per_second'] > 0 and 0 <= training['data_wait'] <= 1
  assert predicting['images_per_second'] > 0 and predicting['images'] >= 1


def test_rows_without_time_are_named(tmp_path):
  finished = subprocess.run(
    ['sh', str(HERE / 'on_gpu.sh')],
    env={**os.environ, 'SECONDS_IN_ALL': '0'},
    capture_output=True,
    text=True,
    check=True,
  )
  rows = [json.loads(line) for line in finished.stdout.splitlines()]
  assert len(rows) == 16 and all('left_out' in row for row in rows)
