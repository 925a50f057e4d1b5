"""The figures of the model card are what the command prints."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def test_the_figures_of_the_model_card_on_jsrt(real_data):
  finished = subprocess.run(
    [sys.executable, 'tests/end_to_end/real_sets.py', 'jsrt'],
    cwd=ROOT,
    env={**os.environ, 'NODULAX_TEST_DATA': str(real_data), 'PYTHONPATH': str(ROOT)},
    capture_output=True,
    text=True,
    check=True,
  )
  rows = [line for line in finished.stdout.splitlines() if ' against ' in line]
  card = (ROOT / 'docs' / 'network.md').read_text()
  # Other machines may round another way: of eight rows most are the same to the last digit.
  assert len(rows) == 8 and sum(row in card for row in rows) >= 6, finished.stdout
