"""The table of docs/labels.md is printed by its command."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def test_the_table_and_the_coverage_are_printed():
  finished = subprocess.run(
    [sys.executable, '-m', 'tests.labels.rankings', '--seeds=1', '--repeats=2'],
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert finished.returncode == 0, finished.stderr
  assert '(0.26, 0.11, 0.3): 0.9' in finished.stdout
  assert finished.stdout.count('cover in') == 2
