"""The logs of a run, read back by TensorBoard's own reader."""

import json
import pathlib

import cv2
import numpy as np
import pytest
from etils import epath
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.util import tensor_util

from nodulax.statistics.estimate import Estimate
from nodulax.training.event_file import EventFile
from nodulax.training.logbook import Logbook


def logbook(folder, **options) -> Logbook:
  settings = {'first_step': 0, 'total_steps': 4, 'batch_size': 2, 'log_every': 2, **options}
  return Logbook(epath.Path(folder), name='run', **settings)


def test_tensorboard_reads_scalars_and_pictures_in_groups(tmp_path):
  pictures = [np.full((4, 6, 3), shade, np.uint8) for shade in (10, 200)]
  with logbook(tmp_path) as log:
    log.pictures(0, 'train/images', pictures)
    log.pictures(0, 'tune/images', [])
    for step in (1, 2):
      log.train(step, {'loss': step / 4})
    log.tune(2, 1, {'auc': 0.75}, best=True)
  (path,) = tmp_path.glob('events.out.tfevents.*')
  values = {
    value.tag: (event.step, value)
    for event in EventFileLoader(str(path)).Load()
    for value in event.summary.value
  }
  assert values.keys() == {
    'train/loss',
    'train/images_per_second',
    'train/data_wait',
    'train/images',
    'tune/auc',
  }
  for tag, number in (('train/loss', 0.5), ('tune/auc', 0.75)):
    step, value = values[tag]
    assert value.metadata.plugin_data.plugin_name == 'scalars'
    assert (step, list(value.tensor.float_val)) == (2, [number])
  step, value = values['train/images']
  width, height, *encoded = value.tensor.string_val
  assert value.metadata.plugin_data.plugin_name == 'images'
  assert (step, width, height) == (0, b'6', b'4')
  for png, picture in zip(encoded, pictures, strict=True):
    decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded, picture)


def test_tensorboard_reads_hyperparameters_and_precision_recall_curves(tmp_path):
  labels, scores = [0, 1, 1, 0], np.array([0.2, 0.8, 0.4, 0.6])
  with logbook(tmp_path) as log:
    log.hyperparameters({'model.size': 'tiny', 'train.epochs': 2, 'model.skip': False, 'a': (1, 2)})
    log.precision_recall(2, labels, scores)
  (path,) = tmp_path.glob('events.out.tfevents.*')
  values = {
    value.tag: value for event in EventFileLoader(str(path)).Load() for value in event.summary.value
  }
  told = hparams_metadata.parse_session_start_info_plugin_data(
    values['_hparams_/session_start_info'].metadata.plugin_data.content
  )
  assert told.hparams['model.size'].string_value == 'tiny'
  assert told.hparams['train.epochs'].number_value == 2
  assert told.hparams['model.skip'].bool_value is False and 'a' not in told.hparams
  curve = values['tune/precision_recall']
  assert curve.metadata.plugin_data.plugin_name == 'pr_curves'
  hits, alarms, rejections, misses, precision, recall = tensor_util.make_ndarray(curve.tensor)
  # At a threshold of 0.5 one nodule and one normal are called, one of each is not.
  assert (hits[50], alarms[50], rejections[50], misses[50]) == (1, 1, 1, 1)
  assert precision[50] == recall[50] == 0.5
  assert (precision[0], recall[0], hits[0]) == (0.5, 1, 2) and recall[100] == 0


def test_metrics_jsonl_leaves_the_timings_out(tmp_path):
  with logbook(tmp_path) as log:
    log.train(2, {'loss': 0.5, 'gradient_norm': 1.0})
    log.tune(2, 1, {'auc': 0.75}, best=False)
  lines = (tmp_path / 'metrics.jsonl').read_text().splitlines()
  assert [json.loads(line) for line in lines] == [
    {'step': 2, 'loss': 0.5, 'gradient_norm': 1.0},
    {'step': 2, 'tune_auc': 0.75},
  ]


def test_a_run_shorter_than_log_every_has_a_first_point(tmp_path):
  with logbook(tmp_path, log_every=100) as log:
    for step in (1, 2, 3):
      log.train(step, {'loss': step / 4})
  assert json.loads((tmp_path / 'metrics.jsonl').read_text()) == {'step': 1, 'loss': 0.25}


@pytest.mark.parametrize(
  ('low', 'high', 'told'), [(0.6, 0.9, '0.60 to 0.90'), (np.nan, np.nan, 'unknown')]
)
def test_the_tune_auc_is_told_with_its_interval(tmp_path, capsys, low, high, told):
  with logbook(tmp_path) as log:
    log.tune(2, 1, {'auc': 0.75}, best=True, auc=Estimate(0.75, low, high))
  assert f'epoch 1, tune auc 0.7500, interval of the AUC {told} (best so far)' in (
    ' '.join(capsys.readouterr().out.split())
  )


def test_the_parameters_are_counted_and_listed(tmp_path, capsys):
  with logbook(tmp_path) as log:
    log.network({'conv': {'kernel': np.zeros((3, 3, 1, 8)), 'bias': np.zeros(8)}})
  assert 'run: 80 parameters' in capsys.readouterr().out
  assert '(3, 3, 1, 8)' in (tmp_path / 'parameters.txt').read_text()


def test_a_silent_logbook_writes_and_shows_nothing(tmp_path, capsys):
  with logbook(tmp_path, silent=True) as log:
    log.network({'bias': np.zeros(8)})
    log.train(2, {'loss': 0.5})
    log.tune(2, 1, {'auc': 0.75}, best=True)
    log.flush()
  assert list(tmp_path.iterdir()) == [] and capsys.readouterr().out.strip() == ''


full = pathlib.Path('/dev/full')
needs_full = pytest.mark.skipif(not full.exists(), reason='no /dev/full on this system')


@needs_full
def test_a_full_disk_is_an_error_that_says_what_to_do(tmp_path):
  (tmp_path / 'metrics.jsonl').symlink_to(full)
  log = logbook(tmp_path)
  log.train(2, {'loss': 0.5})
  with pytest.raises(OSError, match=f'(?s){tmp_path}.*No space left on device.*same command'):
    log.flush()
  with pytest.raises(OSError, match='No space left on device'):
    log.__exit__()


@needs_full
def test_an_event_file_on_a_full_disk_fails_where_it_is_written():
  events = EventFile(epath.Path(full))
  events.scalars(1, {'train/loss': 0.5})
  with pytest.raises(OSError, match='No space left on device'):
    events.flush()
  with pytest.raises(OSError, match='No space left on device'):
    events.close()
