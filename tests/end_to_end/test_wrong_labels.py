"""The figures of docs/labels.md on the virtual NIH come from a command that works."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
def test_wrong_labels_of_a_virtual_hospital_are_found_and_corrected_for(tmp_path):
  finished = subprocess.run(
    [sys.executable, 'tests/end_to_end/wrong_labels.py', f'--workdir={tmp_path / "it"}'],
    cwd=ROOT,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
    capture_output=True,
    text=True,
    check=True,
  )
  lines = dict(
    line.split(': AUC ') for line in finished.stdout.splitlines() if 'wrong labels found by' in line
  )
  assert float(lines['wrong labels found by nodulax'].split()[0]) > 0.8, finished.stdout
  assert 'corrected' in finished.stdout and 'against the truth' in finished.stdout
