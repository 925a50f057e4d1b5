"""Networks that answer together, and mirrored radiographs: means, spread, and what is compared."""

import csv
import json

import numpy as np
import pytest

from nodulax import train
from nodulax.errors import OptionError
from nodulax.evaluate import evaluate
from nodulax.evaluation import members
from nodulax.input.prepared import prepare
from nodulax.input.shards import Shards
from nodulax.statistics import roc


@pytest.fixture(scope='module')
def second_run(shards, tmp_path_factory):
  """Another seed's network."""
  from tests.conftest import small_config

  config = small_config(shards)
  config.seed, config.name = 1, 'second'
  config.train.epochs = 1
  folder = tmp_path_factory.mktemp('second') / 'run'
  train.train(config, folder)
  return folder


def read(folder, column):
  with (folder / 'predictions.csv').open(newline='') as file:
    return {row['image_id']: float(row[column]) for row in csv.DictReader(file)}


def score(runs, shards, output, **options):
  return evaluate(runs, shards, 'train', output, batch_size=8, overlays=0, **options)


def test_the_mean_of_two_networks_is_scored_beside_the_best(
  trained_run, second_run, shards, tmp_path
):
  score(trained_run, shards, tmp_path / 'one')
  score(second_run, shards, tmp_path / 'other')
  metrics = score([trained_run, second_run], shards, tmp_path / 'both')
  one, other, both = (read(tmp_path / name, 'probability') for name in ('one', 'other', 'both'))
  spread = read(tmp_path / 'both', 'spread')
  for image, probability in both.items():
    pair = [one[image], other[image]]
    assert probability == pytest.approx(np.mean(pair), abs=1e-6)
    assert spread[image] == pytest.approx(np.std(pair, ddof=1), rel=1e-3, abs=1e-6)
  labels = list(read(tmp_path / 'both', 'label').values())
  areas = [roc.auc(labels, list(scores.values())) for scores in (one, other)]
  told = metrics['ensemble']
  assert [member['auc'] for member in told['members']] == pytest.approx(areas)
  assert told['minus_best']['run'] == ('small', 'second')[int(np.argmax(areas))]
  assert told['minus_best']['value'] == pytest.approx(metrics['auc']['value'] - max(areas))
  assert metrics['run'] == 'small + second' and metrics['temperature'] is None
  thresholds = [
    json.loads((tmp_path / name / 'metrics.json').read_text())['probability_threshold']
    for name in ('one', 'other')
  ]
  assert metrics['probability_threshold'] == pytest.approx(np.mean(thresholds))
  assert metrics['specificity_90_threshold'] is not None


def test_mirrored_answers_are_averaged_where_they_belong(trained_run, shards):
  (member,) = members.read_members([trained_run])
  prepared = prepare(Shards(shards, 'tune'), member.description.preprocessing)
  plain = members.answers([member], prepared, 4, flip=False, title='plain')
  both = members.answers([member], prepared, 4, flip=True, title='both')
  mirrored = prepared.subset(range(len(prepared)))
  mirrored.images[:] = mirrored.images[:, :, ::-1]
  other = members.answers([member], mirrored, 4, flip=False, title='mirrored')
  np.testing.assert_allclose(both.each, (plain.each + other.each) / 2, atol=1e-7)
  expected = (plain.heat_maps + other.heat_maps[:, :, ::-1]) / 2
  np.testing.assert_allclose(both.heat_maps, expected, atol=1e-6)
  assert not np.allclose(plain.each, other.each)
  assert plain.spread is None


def test_an_evaluation_with_flips_is_no_plain_one(trained_run, shards, tmp_path):
  assert score(trained_run, shards, tmp_path / 'flipped', flip=True)['flip'] is True
  score(trained_run, shards, tmp_path / 'plain')
  for folder, flip, word in (('plain', True, 'False there, True now'), ('flipped', False, 'True')):
    with pytest.raises(OptionError, match=f'flip {word}'):
      score(trained_run, shards, tmp_path / folder, flip=flip)


def test_an_evaluation_of_an_earlier_release_is_recognised(trained_run, shards, tmp_path):
  score(trained_run, shards, tmp_path / 'it')
  path = tmp_path / 'it' / 'metrics.json'
  metrics = json.loads(path.read_text())
  del metrics['flip'], metrics['labels_sha256']
  path.write_text(json.dumps(metrics))
  assert score(trained_run, shards, tmp_path / 'it') == metrics


def test_the_same_network_twice_is_refused(trained_run):
  with pytest.raises(OptionError, match='the same network twice'):
    members.read_members([trained_run, trained_run])


def test_networks_that_see_radiographs_in_other_ways_are_refused(trained_run):
  with pytest.raises(OptionError, match='prepare radiographs differently'):
    members.read_members([trained_run, 'nodulax'])
