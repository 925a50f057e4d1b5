"""Every job of whole_jobs.py runs, at a tiny size."""

import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).with_name('whole_jobs.py')
NETWORK = ('--images=24', '--pixels=96', '--network_pixels=64', '--size=tiny', '--batch=2')


def lines_of(job: str, *options: str) -> list[str]:
  command = [sys.executable, str(SCRIPT), job, '--rounds=1', *options]
  finished = subprocess.run(command, capture_output=True, text=True)
  assert finished.returncode == 0, finished.stderr
  return finished.stdout.splitlines()


@pytest.mark.parametrize(
  ('job', 'needs', 'ours'),
  [('predict', ('torch',), 4), ('epoch', ('torch', 'albumentations'), 2)]
  + [('shards', ('webdataset',), 1)],
)
def test_a_job_beside_its_peer(job, needs, ours, tmp_path):
  for package in needs:
    pytest.importorskip(package)
  peer, *rows = map(json.loads, lines_of(job, *NETWORK, f'--folder={tmp_path}'))
  assert 'ratio' not in peer and peer['seconds'] > 0
  assert len(rows) == ours
  for row in rows:
    assert row['of'].startswith('nodulax')
    assert row['ratio'] == pytest.approx(row['seconds'] / peer['seconds'], rel=0.02)
    assert row['processor_ratio'] > 0 and row['gigabytes'] > 0


def test_the_report_and_delong():
  assert '4 models x 200 radiographs' in lines_of('report', '--radiographs=200')[-1]
  assert '10,000 scores' in lines_of('delong', '--scores=10000')[0]
