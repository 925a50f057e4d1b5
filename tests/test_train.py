"""An experiment from start to end, stopped and killed on its way."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest
from etils import epath
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from nodulax import train
from nodulax.checkpoints import checkpoint
from nodulax.input.shards import Shards, ShardsError
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.training import data, fit, options
from nodulax.training import start as start_
from nodulax.training.data import training_data
from nodulax.training.fit import TrainingError
from nodulax.training.workdir import WorkdirError
from tests.conftest import small_config
from tests.end_to_end.kill_stress import final_state, tensorboard_points

START = """
import sys, json
from ml_collections import ConfigDict
from nodulax import train
from nodulax.training.interruption import Interrupted
config = ConfigDict(json.loads(sys.argv[1]))
try:
  train.train(config, sys.argv[2])
except Interrupted as stopped:
  print(stopped)
"""


def start(config, folder: pathlib.Path) -> subprocess.Popen:
  """The experiment in a process of its own."""
  return subprocess.Popen(
    [sys.executable, '-c', START, config.to_json(), str(folder)],
    cwd=pathlib.Path(__file__).parents[1],
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def wait_for_step(folder: pathlib.Path, step: int, process: subprocess.Popen) -> None:
  """Returns once a checkpoint of at least `step` is on disk."""
  while process.poll() is None and (checkpoint.latest_step(folder) or 0) < step:
    time.sleep(0.01)


@pytest.fixture(scope='module')
def killed(shards, tmp_path_factory) -> pathlib.Path:
  """The workdir of the same run, killed in mid-epoch; to be copied."""
  # Not of the run's config.json: another test may have resumed it with other devices.
  config = small_config(shards)
  config.train.checkpoint_minutes = 0.0  # a checkpoint after every step
  folder = tmp_path_factory.mktemp('killed') / 'run'
  process = start(config, folder)
  wait_for_step(folder, 3, process)
  process.send_signal(signal.SIGKILL)
  process.communicate()
  assert 3 <= checkpoint.latest_step(folder) < 8
  return folder


def test_an_experiment_leaves_checkpoints_logs_and_evaluations(trained_run):
  steps = 2 * (33 // 8)
  assert checkpoint.latest_step(trained_run) == steps
  description = checkpoint.describe(trained_run)
  assert description.model['head'] == 'pixel'
  assert description.preprocessing.image_size == 64
  metrics = json.loads((trained_run / 'evaluation' / 'hospital' / 'metrics.json').read_text())
  assert 0 <= metrics['auc']['value'] <= 1
  logged = [json.loads(line) for line in (trained_run / 'metrics.jsonl').read_text().splitlines()]
  assert [line['step'] for line in logged if 'loss' in line] == list(range(1, steps + 1))
  assert [line['step'] for line in logged if 'tune_auc' in line] == [steps // 2, steps]


def test_tensorboard_groups_what_a_run_of_network_2_tells(trained_run):
  (path,) = trained_run.glob('events.out.tfevents.*')
  tags = {value.tag for event in EventFileLoader(str(path)).Load() for value in event.summary.value}
  losses = {'loss', 'classification_loss', 'localization_loss'}
  train = {*losses, 'gradient_norm', 'learning_rate', 'images_per_second', 'data_wait', 'images'}
  tune = {
    'auc',
    'loss',
    'same_hottest_cell',
    'hottest_cell_on_nodule',
    'precision_recall',
    'images',
  }
  told = {f'train/{name}' for name in train} | {f'tune/{name}' for name in tune}
  assert tags - {'_hparams_/session_start_info'} == told
  assert '_hparams_/session_start_info' in tags


def test_a_tune_split_too_small_to_choose_by_is_told(config, shards, tmp_path, capsys):
  preprocessing = Preprocessing.from_dict(config.preprocessing.to_dict())
  _, tune = training_data(config, epath.Path(tmp_path), Shards(shards, 'train'), preprocessing)
  warning = (
    f'the tune split has {len(tune)} radiographs, 2 of the rarer class: the choice of the best'
  )
  assert warning in ' '.join(capsys.readouterr().out.split())


def test_a_run_killed_in_mid_epoch_ends_like_an_uninterrupted_one(
  config, killed, trained_run, tmp_path
):
  folder = tmp_path / 'killed'
  shutil.copytree(killed, folder)
  train.train(config, folder)
  assert final_state(folder) == final_state(trained_run)
  for name in ('metrics.jsonl', 'evaluation/hospital/predictions.csv'):
    assert (folder / name).read_text() == (trained_run / name).read_text()
  points = tensorboard_points(folder)
  assert len(points) == len(set(points))
  assert points == tensorboard_points(trained_run)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_leaves_cleanly(config, tmp_path, number):
  config.train.epochs = 50
  folder = tmp_path / 'stopped'
  process = start(config, folder)
  wait_for_step(folder, 4, process)
  process.send_signal(number)
  output, _ = process.communicate(timeout=120)
  assert process.returncode == 0, output
  assert 'Traceback' not in output
  step = checkpoint.latest_step(folder)
  assert f'stopped and saved at step {step} of 200' in output


def started_with(patch: str, config, folder: pathlib.Path, sign: str) -> subprocess.Popen:
  """The experiment in a process that was patched, once it has printed `sign`."""
  process = subprocess.Popen(
    [sys.executable, '-c', START.replace('try:', patch + 'try:'), config.to_json(), str(folder)],
    cwd=pathlib.Path(__file__).parents[1],
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )
  for line in process.stdout:
    if sign in line:
      break
  return process


SLOW_PREPARATION = """
import time
from nodulax.radiograph.preprocessing import Preprocessing
image = Preprocessing.image
def slowly(self, *arguments):
  print('preparing one', flush=True)
  time.sleep(1)
  return image(self, *arguments)
Preprocessing.image = slowly
"""


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_preparation_leaves_cleanly_and_at_once(config, tmp_path, number):
  config.data.cache_dir = str(tmp_path / 'cache')
  process = started_with(SLOW_PREPARATION, config, tmp_path / 'run', sign='preparing one')
  began = time.monotonic()
  process.send_signal(number)
  output, _ = process.communicate(timeout=60)
  assert time.monotonic() - began < 20  # all 33 radiographs would take half a minute
  assert process.returncode == 0 and 'Traceback' not in output, output
  assert f'stopped by {number.name}' in output
  assert list((tmp_path / 'cache').iterdir()) == []


SLOW_EVALUATION = """
import time
from nodulax.training import fit
batches = fit.evaluation_batches
def slowly(*arguments, **keywords):
  print('evaluating', flush=True)
  time.sleep(5)
  return batches(*arguments, **keywords)
fit.evaluation_batches = slowly
"""


def test_a_signal_during_an_evaluation_saves_and_the_evaluation_is_done_later(
  config, trained_run, tmp_path
):
  folder = tmp_path / 'run'
  process = started_with(SLOW_EVALUATION, config, folder, sign='evaluating')
  process.send_signal(signal.SIGTERM)
  output, _ = process.communicate(timeout=120)
  assert 'stopped and saved at step 4 of 8' in output
  assert 'tune_auc' not in (folder / 'metrics.jsonl').read_text()
  train.train(config, folder)
  assert final_state(folder) == final_state(trained_run)
  assert (folder / 'metrics.jsonl').read_text() == (trained_run / 'metrics.jsonl').read_text()


def test_a_finished_run_is_recognised(config, trained_run, capsys):
  before = {path: path.stat().st_mtime for path in trained_run.rglob('*.json*')}
  train.train(config, trained_run)
  assert 'trained already' in capsys.readouterr().out
  del before[trained_run / 'config.json']
  for path, modified in before.items():
    assert path.stat().st_mtime == modified


def test_a_workdir_of_another_config_is_refused(config, trained_run):
  config.optimizer.learning_rate = 0.5
  with pytest.raises(WorkdirError, match=r'learning_rate: 0.0001 there, 0.5 now'):
    train.train(config, trained_run)


def test_where_and_how_fast_may_change_between_starts(config, trained_run):
  config.data.worker_processes = 2
  config.train.devices = 1
  train.train(config, trained_run)


@pytest.mark.parametrize('precision', ['float32', 'float16'])
def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_images(config, tmp_path, precision):
  config.optimizer.learning_rate = 1e30
  config.model.precision = precision
  # In float16 steps are skipped at first, and it may be the tune split where it shows.
  images = '' if precision == 'float16' else r'The batch was \w{16}(, \w{16}){7}\..*'
  message = rf'(?s)step \d+: .*not finite.*{images}The last good checkpoint is None'
  with pytest.raises(TrainingError, match=message):
    train.train(config, tmp_path)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
  config, killed, trained_run, tmp_path, caplog
):
  folder = tmp_path / 'damaged'
  shutil.copytree(killed, folder)
  step = checkpoint.latest_step(folder)
  state = folder / 'checkpoints' / 'latest' / str(step) / 'state'
  for path in state.rglob('*'):
    if path.is_file():
      path.write_bytes(os.urandom(100))
  train.train(config, folder)
  assert f'The checkpoint of step {step} is damaged' in caplog.text
  assert final_state(folder) == final_state(trained_run)


def test_a_run_may_draw_no_pictures(config, tmp_path):
  config.train.pictures = 0
  config.train.epochs = 1
  train.train(config, tmp_path / 'run')
  assert checkpoint.latest_step(tmp_path / 'run') == 33 // 8


def test_missing_data_and_too_little_data_say_what_to_do(config, tmp_path):
  config.data.train = 'gmc'
  with pytest.raises(ValueError, match='--config.data.shards.gmc=DIR'):
    train.train(config, tmp_path)
  config.data.train = 'hospital'  # in the same workdir, as whoever reads the error goes on
  config.train.batch_size = 64
  with pytest.raises(ValueError, match='--config.train.batch_size'):
    train.train(config, tmp_path)
  config.data.shards.hospital = str(tmp_path)
  with pytest.raises(ShardsError, match='no finished shards'):
    train.train(config, tmp_path)


def test_a_run_goes_on_with_its_own_data_alone(config, trained_run, tmp_path):
  folder = shutil.copytree(trained_run, tmp_path / 'small')
  train.train(config, folder)  # the same data: nothing is left to do
  record = json.loads((folder / 'data.json').read_text())
  record['train']['radiographs'][0] -= 8  # as if it had begun with other shards
  (folder / 'data.json').write_text(json.dumps(record))
  with pytest.raises(WorkdirError, match='began with other data'):
    train.train(config, folder)


def test_a_run_refuses_other_labels_at_the_same_path(config, trained_run, tmp_path):
  folder = shutil.copytree(trained_run, tmp_path / 'small')
  config.train.epochs = 3
  record = json.loads((folder / 'config.json').read_text())
  record['train']['epochs'] = 3  # as if it had been stopped after the second
  (folder / 'config.json').write_text(json.dumps(record))
  digests = json.loads((folder / 'cases.json').read_text())
  assert set(digests) == {'train', 'tune'}
  # The digest is of labels, boxes and names: shards of as many files and bytes differ in it.
  (folder / 'cases.json').write_text(json.dumps({**digests, 'tune': '0' * 64}))
  with pytest.raises(WorkdirError, match='began with other data'):
    train.train(config, folder)
  (folder / 'cases.json').write_text(json.dumps(digests))
  train.train(config, folder)


def test_answers_that_are_not_finite_on_the_tune_split_stop_the_run(config, tmp_path, monkeypatch):
  predictor = fit.inference.Predictor.__call__

  def spoilt(*arguments):
    probability, heat_maps = predictor(*arguments)
    return probability, heat_maps * float('nan')

  monkeypatch.setattr(fit.inference.Predictor, '__call__', spoilt)
  with pytest.raises(TrainingError, match='on the tune split are not finite.*\n.*learning rate'):
    train.train(config, tmp_path)


@pytest.mark.parametrize(
  ('option', 'value', 'says'),
  [
    ('optimizer.drop_epochs', ('a',), 'drop_epochs=.* must be whole numbers of epochs'),
    ('optimizer.drop_epochs', (-1,), 'drop_epochs=.* must be whole numbers of epochs'),
    ('preprocessing.image_size', 65, '--config.preprocessing.image_size=65 must be a multiple'),
    ('preprocessing.window', ('a', 'b'), 'must be two percentiles'),
    ('model.precision', 'half', "config.model.precision is 'half'"),
    ('model.precision', 'float64', "config.model.precision is 'float64'"),
    ('train.accumulate', -1, '--config.train.accumulate=-1'),
    ('train.batch_size', 0, '--config.train.batch_size=0'),
    ('train.log_every', 0, '--config.train.log_every=0 must be at least 1'),
    ('train.pictures', -1, '--config.train.pictures=-1 must be at least 0'),
    ('data.worker_processes', -1, '--config.data.worker_processes=-1'),
    ('evaluation.batch_size', 0, '--config.evaluation.batch_size=0'),
    ('train.devices', 99, '--config.train.devices=99'),
    ('seed', -1, '--config.seed=-1 must be from 0'),
    ('data.train', 'mimic', "names the source 'mimic', which is none of aihub"),
    ('data.evaluate', ('gmc', 'mimic'), "names the source 'mimic', which is none of aihub"),
    ('data.train_images', 10_000, 'more than the 33 radiographs'),
    ('data.noise.wrong_nodule', 1.5, 'wrong_nodule is 1.5; it must lie between 0 and 1'),
    ('init.imagenet', 'nowhere.h5', '--config.init.imagenet=nowhere.h5: there is no such file'),
    ('init.checkpoint', 'nowhere', 'nowhere'),
    ('init.imagenet', 'keras', 'for the sizes 121, 169, 201, not for config.model.size=tiny'),
    ('init.chest', 'torchxrayvision', 'needs --config.model.size=121 --config.model.mean=0.5'),
    ('augmentation.flip', 2.0, '--config.augmentation.flip=2.0 must be from 0 to 1'),
    ('optimizer.learning_rate', -1e-4, '--config.optimizer.learning_rate=-0.0001 must be'),
    ('optimizer.learning_rate', float('nan'), '--config.optimizer.learning_rate=nan must be'),
    ('preprocessing.window', (0.5,), 'must be two percentiles'),
    ('preprocessing.window', (50.0, 50.0), 'preprocessing.window'),
  ],
)
def test_an_option_that_cannot_be_is_told_before_any_work(
  config, tmp_path, monkeypatch, option, value, says
):
  monkeypatch.setattr(data, 'prepare', lambda *_: pytest.fail('the data were prepared'))
  with config.ignore_type():
    config.update_from_flattened_dict({option: value})
  with pytest.raises(ValueError, match=says):
    train.train(config, tmp_path)


def test_a_step_that_does_not_fit_into_memory_is_refused_or_taken_in_parts(
  config, tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(start_.compiling, 'free_bytes', lambda _: 2**20)
  with pytest.raises(start_.MemoryShortage, match=r'needs .* GB and 0.0 GB are free.*accumulate=2'):
    train.train(config, tmp_path / 'refused')
  needs = iter([6e9, 2e9])  # whole, in two parts
  monkeypatch.setattr(start_.compiling, 'free_bytes', lambda _: 4e9)
  monkeypatch.setattr(start_.compiling, 'needed_bytes', lambda *_: next(needs))
  config.train.accumulate, config.train.epochs = 0, 1
  train.train(config, tmp_path / 'chosen')
  assert 'each in 2 parts, which fit into memory' in capsys.readouterr().out


def test_weights_that_saw_a_public_set_are_marked_from_run_to_run(config, tmp_path, monkeypatch):
  monkeypatch.setattr(start_.published, 'find_chest_weights', lambda name: tmp_path / name)
  monkeypatch.setattr(options, '_check_chest', lambda _: None)
  report = start_.pretrained.Report((), (), ())
  monkeypatch.setattr(start_.pretrained, 'load_published', lambda _, variables: (variables, report))
  config.train.epochs, config.init.chest = 1, 'converted'
  train.train(config, tmp_path / 'first')
  config.init.chest, config.init.checkpoint = '', str(tmp_path / 'first')
  train.train(config, tmp_path / 'second')
  for run in ('first', 'second'):
    assert checkpoint.describe(tmp_path / run).seen == 'nih_chestxray14'
    metrics = tmp_path / run / 'evaluation' / 'hospital' / 'metrics.json'
    assert json.loads(metrics.read_text())['seen'] == 'nih_chestxray14'
