"""A workdir of runs with few radiographs, and the report on it, made once."""

import json
import pathlib

import pytest

from nodulax.report import write_report
from tests.report.fake_runs import cohort, write_runs


@pytest.fixture(scope='session')
def runs(tmp_path_factory) -> pathlib.Path:
  """Two of the paper's models on two sets, 40 and 60 radiographs."""
  folder = write_runs(
    tmp_path_factory.mktemp('study') / 'runs',
    {'gmc': 60, 'ward_7': 40},
    {'nih_image': 0.8, 'nih_aihub_pixel': 2.0},
    temperature=1.5,
    provenance={'code_version': '0.1.0', 'data_sha256': 'ab' * 32, 'config': {'seed': 0}},
  )
  for number, path in enumerate(sorted(folder.glob('*/evaluation/*/metrics.json'))):
    about = json.loads(path.read_text())
    about['provenance']['config']['number'] = number  # two experiments, not two seeds of one
    path.write_text(json.dumps(about))
    (path.parent / 'cohort.json').write_text(json.dumps(cohort(about['images'])))
  return folder


@pytest.fixture(scope='session')
def report(runs) -> pathlib.Path:
  """The folder of the report on them."""
  return write_report(runs).parent
