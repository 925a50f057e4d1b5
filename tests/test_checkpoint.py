"""What a damaged checkpoint says; that an undamaged one is read is held by test_train.py."""

import gc
import json
import shutil

import pytest

from nodulax import checkpoint, inference
from nodulax.checkpoint import CheckpointError


@pytest.fixture
def run(trained_run, tmp_path):
  """A copy of a finished run's best checkpoint, to be spoilt."""
  shutil.copytree(trained_run / 'checkpoints' / 'best', tmp_path / 'run' / 'checkpoints' / 'best')
  return tmp_path / 'run'


def rewrite(run, change) -> None:
  (path,) = run.glob('checkpoints/best/*/description/metadata')
  values = json.loads(path.read_text())
  change(values)
  path.write_text(json.dumps(values))


@pytest.mark.parametrize(
  ('change', 'says'),
  [
    (lambda values: values.pop('step'), 'lacks step'),
    (lambda values: values['thresholds'].update(probability=7), r'thresholds must lie in \[0, 1\]'),
    (lambda values: values['thresholds'].update(temperature=0), 'temperature must be above 0'),
    (lambda values: values['preprocessing'].update(window=[99, 1]), 'preprocessing.window'),
    (lambda values: values['preprocessing'].update(image_size=10**6), 'preprocessing.image_size'),
    (lambda values: values.update(preprocessing=None), 'preprocessing is no JSON object'),
    (lambda values: values['model'].update(size='huge'), 'huge'),
    (lambda values: values['model'].update(attention=True), 'unknown attention'),
    (lambda values: values['model'].update(reduction=0), 'reduction is 0'),
  ],
)
def test_a_description_that_cannot_be_is_refused(run, change, says):
  rewrite(run, change)
  with pytest.raises(CheckpointError, match=f'{run}.*{says}'):
    inference.load_network(run)


def test_weights_that_cannot_be_read_are_told_once(run, monkeypatch, caplog):
  unheard = []
  monkeypatch.setattr('sys.unraisablehook', unheard.append)
  for path in run.glob('checkpoints/best/*/variables/manifest.ocdbt'):
    path.write_bytes(b'nothing of the kind')
  assert checkpoint.describe(run).step > 0
  with pytest.raises(CheckpointError, match='cannot be read'):
    inference.load_network(run)
  gc.collect()  # a task whose exception nobody fetched says so when it is collected
  assert not unheard and not caplog.records
