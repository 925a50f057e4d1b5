"""The real readers' tables give the figures that docs/labels.md states."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def test_the_rates_of_the_real_labels_are_as_documented(real_data):
  printed = subprocess.run(
    [sys.executable, 'tests/labels/real_readers.py'],
    env={**os.environ, 'NODULAX_TEST_DATA': str(real_data), 'PYTHONPATH': str(ROOT)},
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stdout
  assert '55 of 172 labelled nodule have none, 157 of 1889 labelled normal have one' in printed
  assert 'in all 65,601 of the cohort' in printed
  # By hand: 8.31 % of those labelled normal and 68.0 % of those labelled nodule have one, so that
  # the missed are .0831 n0 of .0831 n0 + .680 n1, with n0 = 60,361 and n1 = 5,240 labels.
  missed, found = 157 / 1889 * 60361, 117 / 172 * 5240
  assert f'nodules labelled normal: {missed / (missed + found):.3f}' in printed
  assert 'krippendorff_alpha: 0.58' in printed
