"""What a damaged checkpoint says; that an undamaged one is read is held by test_train.py."""

import dataclasses
import gc
import json
import shutil

import jax
import numpy as np
import pytest

from nodulax.checkpoints import checkpoint, networks
from nodulax.checkpoints.checkpoint import CheckpointError


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
    (lambda values: values['thresholds'].update(probability=7), r'threshold is 7.0; .*\[0, 1\]'),
    (lambda values: values['thresholds'].update(temperature=0), 'temperature is 0.0; it must'),
    (lambda values: values.update(lung_network_sha256='0' * 64), 'crops of another lung network'),
    (lambda values: values['preprocessing'].update(window=[99, 1]), 'preprocessing.window'),
    (lambda values: values['preprocessing'].update(image_size=10**6), 'preprocessing.image_size'),
    (lambda values: values.update(preprocessing=None), 'preprocessing is not a JSON object'),
    (lambda values: values['model'].update(size='huge'), 'huge'),
    (lambda values: values['model'].update(attention=True), 'unknown attention'),
    (lambda values: values['model'].update(reduction=0), 'reduction is 0'),
  ],
)
def test_a_description_that_cannot_be_is_refused(run, change, says):
  rewrite(run, change)
  with pytest.raises(CheckpointError, match=f'{run}.*{says}'):
    networks.load_network(run)


def test_one_flipped_bit_is_told(run):
  """Orbax alone answers most of these with other weights."""
  network, variables = networks.load_network(run)
  path = max(run.glob('checkpoints/best/*/variables/**/d/*'), key=lambda path: path.stat().st_size)
  content = path.read_bytes()
  refused = 0
  for place in range(1000, len(content), len(content) // 8):
    spoilt = bytearray(content)
    spoilt[place] ^= 1
    path.write_bytes(spoilt)
    try:
      _, loaded = networks.load_network(run)
    except CheckpointError as error:
      assert str(run) in str(error)
      refused += 1
    else:
      jax.tree.map(np.testing.assert_array_equal, loaded, variables)
  assert refused >= 4


def test_weights_that_cannot_be_read_are_told_once(run, monkeypatch, caplog):
  unheard = []
  monkeypatch.setattr('sys.unraisablehook', unheard.append)
  for path in run.glob('checkpoints/best/*/variables/manifest.ocdbt'):
    path.write_bytes(b'nothing of the kind')
  assert checkpoint.describe(run).step > 0
  with pytest.raises(CheckpointError, match='cannot be read'):
    networks.load_network(run)
  gc.collect()  # a task whose exception nobody fetched says so when it is collected
  assert not unheard and not caplog.records


def test_a_run_that_goes_back_a_checkpoint_has_the_best_network_of_then(run, tmp_path):
  description = checkpoint.describe(run)
  state = {'count': np.arange(3)}
  with checkpoint.Checkpoints(tmp_path / 'new') as checkpoints:
    for step in (10, 20):
      checkpoints.save_best(state, dataclasses.replace(description, step=step))
      checkpoints.save_latest(step, state, {'tuned': step})
    checkpoints.wait()
    shutil.rmtree(tmp_path / 'new' / 'checkpoints' / 'latest' / '20')  # lost while it was written
  with checkpoint.Checkpoints(tmp_path / 'new') as again:
    assert again.restore_latest(state)[0] == 10
  assert checkpoint.describe(tmp_path / 'new').step == 10
