"""Rankings of suspect labels: on planted noise, beside cleanlab on the same probabilities."""

import csv

import numpy as np
import pytest
from sklearn import metrics

from nodulax.labels import queue
from nodulax.labels.audit import audit, ranking, write_suspects
from nodulax.labels.predictions import LabelsError, read_predictions
from tests.labels.planted import cleanlab_ranking, planted


@pytest.mark.parametrize('rates', [(0.1, 0.1), (0.05, 0.3), (0.26, 0.11), (0.02, 0.2)])
def test_the_ranking_is_at_least_as_good_as_cleanlabs(tmp_path, rates):
  ours, theirs, first_ours, first_theirs = [], [], [], []
  for seed in range(5):
    path, wrong = planted(tmp_path, wrong_normal=rates[0], wrong_nodule=rates[1], seed=seed)
    predictions = read_predictions(path)
    found = audit(predictions)
    other = cleanlab_ranking(predictions.labels, predictions.probability)
    ours.append(metrics.roc_auc_score(wrong, found.wrong))
    theirs.append(metrics.roc_auc_score(wrong, other))
    first_ours.append(wrong[found.order[:200]].mean())
    first_theirs.append(wrong[np.argsort(-other, kind='stable')[:200]].mean())
  # Five seeds: alike where both errors are as common among the labels, better where they are not.
  assert np.mean(ours) > np.mean(theirs) - 0.005
  assert np.mean(first_ours) > np.mean(first_theirs) - 0.02
  if rates == (0.26, 0.11):
    assert np.mean(ours) > np.mean(theirs) + 0.01


def test_the_expected_gain_by_hand():
  labels = np.array([1, 1, 0, 0, 0, 0])
  wrong = np.array([0.5, 0.1, 0.2, 0.1, 0.0, 0.1])
  gain = queue.expected_gain(labels, wrong)
  # Of the two labelled nodule 0.6 are wrong, of the four labelled normal 0.4. If the first is, it
  # leaves 0.1 wrong of one for 1.1 of two, and 0.4 of five for 0.4 of four.
  assert gain[0] == pytest.approx(0.5 * (1.1 / 2 - 0.1 + 0.4 / 4 - 0.4 / 5))
  assert gain[2] == pytest.approx(0.2 * (1.2 / 4 - 0.2 / 3 + 0.6 / 2 - 0.6 / 3))
  assert gain[4] == 0

  # As likely wrong, the label of the rarer class counts more.
  labels = np.repeat([1, 0], [10, 90])
  gain = queue.expected_gain(labels, np.full(100, 0.1))
  assert gain[0] == pytest.approx(0.1 * (1.9 / 10 - 0.9 / 9 + 9 / 90 - 9 / 91))
  assert gain[-1] == pytest.approx(0.1 * (9.9 / 90 - 8.9 / 89 + 1 / 10 - 1 / 11))
  assert gain[0] > 4 * gain[-1]


def test_the_probabilities_of_being_wrong_are_calibrated(tmp_path):
  path, wrong = planted(tmp_path, wrong_normal=0.1, wrong_nodule=0.25, images=20_000)
  found = audit(read_predictions(path))
  assert found.wrong.sum() == pytest.approx(wrong.sum(), rel=0.1)
  for low, high in ((0.0, 0.05), (0.1, 0.3), (0.5, 0.8)):
    inside = (found.wrong >= low) & (found.wrong < high)
    assert wrong[inside].mean() == pytest.approx(found.wrong[inside].mean(), abs=0.05)


def test_predictions_of_chance_are_refused(tmp_path):
  path, _ = planted(tmp_path, wrong_normal=0.1, wrong_nodule=0.1, images=300, shift=0.0)
  with pytest.raises(LabelsError, match='may be chance'):
    audit(read_predictions(path))


def test_the_suspects_are_written_in_order(tmp_path):
  path, wrong = planted(tmp_path, wrong_normal=0.1, wrong_nodule=0.2, images=400)
  predictions = read_predictions(path)
  found = audit(predictions)
  write_suspects(tmp_path / 'suspects.csv', predictions, found)
  with (tmp_path / 'suspects.csv').open(newline='') as file:
    rows = list(csv.DictReader(file))
  assert [row['rank'] for row in rows] == [str(rank) for rank in range(1, 401)]
  suspicion = [float(row['wrong']) for row in rows]
  assert suspicion == sorted(suspicion, reverse=True)
  figures = ranking(found, wrong, np.ones(400, bool))
  first = [wrong[predictions.image_ids.index(row['image_id'])] for row in rows[:20]]
  assert figures['precision'][20] == pytest.approx(np.mean(first))
  assert figures['auc']['value'] == pytest.approx(metrics.roc_auc_score(wrong, found.wrong))


def test_boxes_that_the_heat_map_contradicts_are_told(tmp_path):
  folder = tmp_path / 'evaluation'
  folder.mkdir()
  path, _ = planted(tmp_path, wrong_normal=0.1, wrong_nodule=0.1, images=200)
  path.rename(folder / 'predictions.csv')
  # i0: hottest elsewhere; i1: hottest on the nodule; i2: not located; the others have no finding.
  (folder / 'locations.csv').write_text(
    'image_id,finding,score,x,y,nodule\n'
    'i0,1,0.9,1,1,0\ni0,2,0.2,5,5,1\ni1,1,0.8,5,5,1\ni1,2,0.3,1,1,0\ni2,1,0.7,1,1,\n'
  )
  found = audit(read_predictions(folder))
  np.testing.assert_allclose(found.misplaced[:2], [0.7, -0.5])
  assert np.isnan(found.misplaced[2:]).all()


def test_the_queue_takes_the_most_suspect_and_hides_their_order(tmp_path):
  path, _ = planted(tmp_path, wrong_normal=0.1, wrong_nodule=0.2, images=400)
  predictions = read_predictions(path)
  found = audit(predictions)
  worst = {predictions.image_ids[index] for index in found.order[:30]}
  chosen = queue.next_to_read(predictions, 30, 'wrong', ())
  assert set(chosen) == worst and chosen != sorted(chosen)
  later = queue.next_to_read(predictions, 30, 'wrong', chosen)
  assert not worst & set(later)
  random = queue.next_to_read(predictions, 30, 'random', ())
  assert len(set(random)) == 30 and set(random) != worst
  with pytest.raises(LabelsError, match='every radiograph has already been read again'):
    queue.next_to_read(predictions, 5, 'random', predictions.image_ids)
  queue.write_queue(tmp_path / 'queue.csv', chosen)
  assert queue.read_queue(tmp_path / 'queue.csv') == chosen
