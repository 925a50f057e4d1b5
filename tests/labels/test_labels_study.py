"""The study of wrong labels: every network learns from the labels that it should."""

import csv
import json
import pathlib
import shutil

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import data_quality
from nodulax import cli, train
from nodulax.errors import NodulaxError, OptionError
from nodulax.input.shards import Shards
from nodulax.labels import budget, robustness, study
from nodulax.training.options import check_options

PARTS = ('losses', 'noise')
OWN = ('parts', 'seeds', 'budget', 'losses', 'noise')


@pytest.fixture
def config(config):
  """The real config with the tiny network and shards of the tests, and few trainings."""
  real = data_quality.get_config()
  config.train.epochs = 1
  config.train.pictures = 0
  config.evaluation.overlays = 0
  config.sources = ConfigDict()
  for name in OWN:
    config[name] = real[name]
  config.seeds = (0,)
  config.budget.folds = 2
  config.budget.orders = ('random', 'oracle')
  config.budget.counts = (6,)
  return config


def read(path):
  with path.open(newline='') as file:
    return {row['image_id']: int(row['answer'] == 'nodule') for row in csv.DictReader(file)}


@pytest.fixture(scope='module')
def finished(tmp_path_factory) -> pathlib.Path:
  """Where the study of budgets is once a test has run it; its shards lie in it."""
  return tmp_path_factory.mktemp('study') / 'finished'


def run_budget(config, shards, folder) -> pathlib.Path:
  """Runs the study of budgets, or resumes it."""
  if not folder.exists():
    shutil.copytree(shards, folder / 'shards' / 'hospital')
  config.parts = ('budget',)
  config.data.shards.hospital = str(folder / 'shards' / 'hospital')
  return study.run(config, folder)


def test_each_budget_puts_so_many_labels_right(config, shards, finished):
  folder = run_budget(config, shards, finished)
  training = Shards(shards, 'train')
  true = dict(zip(training.column('image_id'), training.labels(), strict=True))
  names = ('as_labelled', 'all_read_again', 'random_6', 'oracle_6')
  labels = {name: read(folder / 'seed_0' / f'budget_{name}.csv') for name in names}
  wrong = {
    name: {image for image in true if given[image] != true[image]} for name, given in labels.items()
  }
  normals = sum(label == 0 for label in true.values())
  assert len(wrong['as_labelled']) == round(0.26 * normals) + round(0.11 * (len(true) - normals))
  assert not wrong['all_read_again']
  assert len(wrong['oracle_6']) == max(len(wrong['as_labelled']) - 6, 0)
  assert wrong['random_6'] <= wrong['as_labelled']
  rows = json.loads((folder / 'budget.json').read_text())['results']
  assert [(row['line'], row['amount'], row['set']) for row in rows] == [
    ('as labelled', 0, 'hospital'),
    ('all read again', 0, 'hospital'),
    ('random', 6, 'hospital'),
    ('oracle', 6, 'hospital'),
  ]
  for row in rows:
    name = f'{row["line"]}_6' if row['amount'] else row['line'].replace(' ', '_')
    assert row['wrong'] == pytest.approx(len(wrong[name]) / len(true))
    assert 0 <= row['auc'] <= 1
  # A network that is asked of the wrong labels' patients never saw them, and is held against the
  # labels that it was given.
  with (folder / 'seed_0' / 'crossfit' / 'out_of_sample' / 'predictions.csv').open() as file:
    asked = {row['image_id']: int(row['label']) for row in csv.DictReader(file)}
  assert asked == {image: labels['as_labelled'][image] for image in true}
  assert (folder / 'budget.png').read_bytes().startswith(b'\x89PNG')
  before = (folder / 'budget.json').read_bytes()
  run_budget(config, shards, folder)
  assert (folder / 'budget.json').read_bytes() == before


def test_losses_and_noise_share_the_trainings_that_are_the_same(config, tmp_path, capsys):
  config.parts = ('losses', 'noise')
  config.losses.rates = (0.2,)
  with config.unlocked():
    config.losses.compared = {'cross_entropy': {}, 'forward': {'classification': 'forward'}}
    config.noise = {
      name: {'options': options, 'amounts': (0.2,), 'by_conspicuity': False}
      for name, options in (
        ('labels wrong', ('wrong_normal', 'wrong_nodule')),
        ('outlines enlarged', ('enlarged',)),
      )
    }
  file, folder = tmp_path / 'config.py', tmp_path / 'run'
  file.write_text(
    'from ml_collections import ConfigDict\nimport json\n'
    f'def get_config():\n  return ConfigDict(json.loads({config.to_json()!r}))\n'
  )
  with pytest.raises(SystemExit) as ended:
    cli.run('labels', ('study', f'--config={file}', f'--workdir={folder}'))
  assert ended.value.code == 0
  assert str(folder / 'noise.png') in capsys.readouterr().out
  rows = {part: json.loads((folder / f'{part}.json').read_text())['results'] for part in PARTS}
  found = {part: {row['line']: row['auc'] for row in of_part} for part, of_part in rows.items()}
  assert list(found['losses']) == ['all labels right', 'cross_entropy', 'forward']
  assert list(found['noise']) == ['all labels right', 'labels wrong', 'outlines enlarged']
  assert found['losses']['cross_entropy'] == found['noise']['labels wrong']
  runs = {path.parent.name for path in folder.glob('seed_0/*/config.json')}
  assert runs == {
    *('losses_all_labels_right', 'losses_cross_entropy_0.2', 'losses_forward_0.2'),
    'noise_outlines_enlarged_0.2',
  }
  forward = json.loads((folder / 'seed_0' / 'losses_forward_0.2' / 'config.json').read_text())
  assert forward['loss']['wrong_normal'] == forward['data']['noise']['wrong_nodule'] == 0.2
  for part in PARTS:
    assert (folder / f'{part}.png').read_bytes().startswith(b'\x89PNG')


def test_every_training_of_the_real_study_has_options_that_can_be():
  config = data_quality.get_config()
  robustness.check(config)
  own = config.copy_and_resolve_references()
  with own.unlocked():
    for name in (*OWN, 'sources'):
      del own[name]
  planned = [
    training
    for plan in (robustness.plan_losses, robustness.plan_noise)
    for training in plan(config, own, pathlib.Path())
  ]
  assert len(planned) == (1 + 6 * 3) + (1 + 6 * 3)
  for training in planned:
    changed = own.copy_and_resolve_references()
    changed.update_from_flattened_dict(training.changes)
    check_options(changed)
  by_name = {training.name: training.changes for training in planned}
  assert by_name['inconspicuous_missed_0.2'] == {
    'data.noise.wrong_nodule': 0.2,
    'data.noise.by_conspicuity': True,
  }


@pytest.mark.parametrize(
  'option, value, word',
  [
    ('budget.orders', ('wrong', 'best'), 'orders has best; it may have wrong, gain, loss, random'),
    ('budget.counts', (), 'must be whole numbers above 0'),
    ('budget.wrong_normal', 1.5, 'wrong_normal is 1.5'),
    ('seeds', (), 'must be whole numbers of at least 0'),
    ('parts', ('budget', 'rest'), 'parts has rest; it may have budget, losses, noise'),
    ('seeds', (0, 1, 0), 'must differ: equal ones train equal networks'),
    ('parts', (), 'must name at least one part'),
    ('parts', ('noise', 'noise'), 'each once'),
    ('data.evaluate', (), 'data.evaluate is empty'),
    ('budget.folds', 1, 'budget.folds=1 must be a whole number of at least 2'),
    ('losses.rates', (), 'losses.rates is empty; it must list at least one'),
    ('losses.rates', (0.1, 0.5), 'rates has 0.5; a rate must lie between 0 and 0.5'),
  ],
)
def test_options_that_cannot_be_are_told(config, tmp_path, option, value, word):
  config.update_from_flattened_dict({option: value})
  with pytest.raises(OptionError, match=word):
    study.run(config, tmp_path)


@pytest.mark.parametrize(
  'part, name, value, word',
  [
    ('noise', None, {}, 'config.noise is empty; it must list at least one'),
    (
      'noise',
      'options',
      ('jiter',),
      'config.noise..outlines shifted...options has .*unknown jiter',
    ),
    ('noise', 'options', 'jitter', "options is the text 'jitter'; it must list"),
    ('noise', 'amounts', (), 'amounts is empty; it must list at least one'),
    ('losses', 'own', {'smothing': 0.2}, 'compared has the unknown smothing'),
  ],
)
def test_misspelt_and_empty_comparisons_are_told(config, tmp_path, part, name, value, word):
  with config.ignore_type(), config.unlocked():
    if part == 'losses':
      config.losses.compared[name] = ConfigDict(value)
    elif name is None:
      config.noise = ConfigDict()
    else:
      config.noise['outlines shifted'][name] = value
  with pytest.raises(NodulaxError, match=word):
    study.run(config, tmp_path)


def test_more_radiographs_to_read_than_there_are_is_told_before_training(
  config, tmp_path, monkeypatch
):
  monkeypatch.setattr(train, 'train', lambda *_: pytest.fail('a network was trained'))
  config.parts = ('budget',)
  config.budget.counts = (6, 100_000)
  with pytest.raises(OptionError, match='counts has 100000, more than the .* radiographs of the'):
    study.run(config, tmp_path)


def test_a_study_that_was_moved_resumes(config, shards, finished, tmp_path, monkeypatch):
  before = (run_budget(config, shards, finished) / 'budget.json').read_bytes()
  moved = finished.rename(tmp_path / 'moved')
  monkeypatch.setattr(train, 'fit', lambda *_: pytest.fail('a network was trained again'))
  run_budget(config, shards, moved)
  assert (moved / 'budget.json').read_bytes() == before


def test_labels_after_a_reading():
  labels = budget.Labels({'a': 1, 'b': 0, 'c': 1}, {'a': 0, 'b': 0, 'c': 1}, ['a', 'b', 'c'])
  assert labels.after_reading({'a'}) == labels.true
  assert labels.after_reading({'b'}) == labels.given
  np.testing.assert_equal(labels.after_reading(set()), labels.given)
