"""What a re-reading is worth, simulated: every network learns from the labels that it should."""

import csv
import json

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import data_quality
from nodulax.errors import OptionError
from nodulax.input.shards import Shards
from nodulax.labels import budget


@pytest.fixture
def config(config):
  """The real config with the tiny network and shards of the tests."""
  config.train.epochs = 1
  config.train.pictures = 0
  config.evaluation.overlays = 0
  config.sources = ConfigDict()
  config.budget = data_quality.get_config().budget
  config.budget.seeds = (0,)
  config.budget.folds = 2
  config.budget.orders = ('random', 'oracle')
  config.budget.counts = (6,)
  return config


def read(path):
  with path.open(newline='') as file:
    return {row['image_id']: int(row['answer'] == 'nodule') for row in csv.DictReader(file)}


def test_each_budget_puts_so_many_labels_right(config, shards, tmp_path):
  folder = budget.run(config, tmp_path / 'run')
  training = Shards(shards, 'train')
  true = dict(zip(training.column('image_id'), training.labels(), strict=True))
  names = ('as_labelled', 'all_right', 'random_6', 'oracle_6')
  labels = {name: read(folder / 'seed_0' / f'{name}.csv') for name in names}
  wrong = {
    name: {image for image in true if given[image] != true[image]} for name, given in labels.items()
  }
  normals = sum(label == 0 for label in true.values())
  assert len(wrong['as_labelled']) == round(0.26 * normals) + round(0.11 * (len(true) - normals))
  assert not wrong['all_right']
  assert len(wrong['oracle_6']) == max(len(wrong['as_labelled']) - 6, 0)
  assert wrong['random_6'] <= wrong['as_labelled']
  told = json.loads((folder / 'budget.json').read_text())['results']
  assert {(row['order'], row['count'], row['set']) for row in told} == {
    ('as labelled', 0, 'hospital'),
    ('all right', 0, 'hospital'),
    ('random', 6, 'hospital'),
    ('oracle', 6, 'hospital'),
  }
  for row in told:
    name = f'{row["order"]}_6' if row['count'] else row['order'].replace(' ', '_')
    assert row['wrong'] == pytest.approx(len(wrong[name]) / len(true))
    assert 0 <= row['auc'] <= 1
  # A network that is asked of the wrong labels' patients never saw them, and is held against the
  # labels that it was given.
  with (folder / 'seed_0' / 'crossfit' / 'out_of_sample' / 'predictions.csv').open() as file:
    asked = {row['image_id']: int(row['label']) for row in csv.DictReader(file)}
  assert asked == {image: labels['as_labelled'][image] for image in true}
  assert (folder / 'budget.png').read_bytes().startswith(b'\x89PNG')
  before = (folder / 'budget.json').read_bytes()
  budget.run(config, tmp_path / 'run')
  assert (folder / 'budget.json').read_bytes() == before


@pytest.mark.parametrize(
  'option, value, word',
  [
    ('orders', ('wrong', 'gain'), 'orders has gain; it may have random, loss, wrong, oracle'),
    ('counts', (), 'must be whole numbers above 0'),
    ('seeds', (), 'must be whole numbers'),
    ('wrong_normal', 1.5, 'wrong_normal is 1.5'),
  ],
)
def test_options_that_cannot_be_are_told(config, tmp_path, option, value, word):
  config.budget[option] = value
  with pytest.raises(OptionError, match=word):
    budget.run(config, tmp_path)


def test_the_oracle_ranks_the_wrong_labels_first():
  labels = budget.Labels({'a': 1, 'b': 0, 'c': 1}, {'a': 0, 'b': 0, 'c': 1}, ['a', 'b', 'c'])
  assert labels.after_reading({'a'}) == labels.true
  assert labels.after_reading({'b'}) == labels.given
  np.testing.assert_equal(labels.after_reading(set()), labels.given)
