"""`evaluate --labels`: a split scored against a second reading."""

import csv
import json

import numpy as np
import pytest

from nodulax.evaluate import evaluate
from nodulax.input.prepared import prepare
from nodulax.input.relabelled import relabelled
from nodulax.input.shards import Shards
from nodulax.labels import rereading
from nodulax.labels.rereading import Answer, RereadingError, Settled
from nodulax.radiograph.preprocessing import Preprocessing


def read(path):
  with path.open(newline='') as file:
    return list(csv.DictReader(file))


def score(run, shards, output, reading):
  return evaluate(run, shards, 'train', output, batch_size=8, overlays=0, labels=reading)


def test_the_radiographs_that_were_read_again_are_scored_by_their_new_labels(
  trained_run, shards, tmp_path
):
  split = Shards(shards, 'train')
  cases = [split[index][0] for index in range(10)]
  reading = tmp_path / 'reading.csv'
  for number, case in enumerate(cases):
    label = case.label if number > 2 else 1 - case.label
    answer = 'unsure' if number == 9 else 'nodule' if label else 'normal'
    rereading.append_answer(reading, Answer(case.image_id, 'Kim', answer))
  metrics = score(trained_run, shards, tmp_path / 'evaluation', reading)
  assert metrics['images'] == 9
  assert metrics['reading'] == {
    'readers': 1,
    'settled': 9,
    'unsettled': 1,
    'not_read': len(split) - 10,
    'changed': 3,
  }
  rows = {row['image_id']: row for row in read(tmp_path / 'evaluation' / 'predictions.csv')}
  for number, case in enumerate(cases[:9]):
    assert int(rows[case.image_id]['label']) == (case.label if number > 2 else 1 - case.label)
  # The same call finds it done; other answers in the same folder are refused.
  again = score(trained_run, shards, tmp_path / 'evaluation', reading)
  assert again['auc'] == json.loads(json.dumps(metrics['auc']))
  rereading.append_answer(reading, Answer(cases[0].image_id, 'Kim', 'unsure'))
  for other in (reading, ''):
    with pytest.raises(ValueError, match='labels_sha256'):
      score(trained_run, shards, tmp_path / 'evaluation', other)


def test_a_box_of_a_reader_becomes_the_truth(config, shards):
  split = Shards(shards, 'train')
  preprocessing = Preprocessing.from_dict(config.preprocessing.to_dict())
  prepared = prepare(split, preprocessing)
  labels = [case.label for case in prepared.cases]
  normal, nodule = labels.index(0), labels.index(1)
  case = prepared.cases[normal]
  x_min, y_min, x_max, y_max = case.lung_box
  box = (x_min, y_min, (x_min + x_max) / 2, (y_min + y_max) / 2)
  part = relabelled(
    prepared,
    {
      case.image_id: Settled(1, (box,)),
      prepared.cases[nodule].image_id: Settled(0, ()),
    },
    preprocessing,
  )
  ids = [case.image_id for case in part.cases]
  became, lost = ids.index(case.image_id), ids.index(prepared.cases[nodule].image_id)
  assert part.cases[became].label == 1 and part.cases[became].boxes == (box,)
  # A quarter of the lung box, which with its margin of a tenth on each side fills the crop's width.
  assert 0.1 < (np.asarray(part.masks[became]) > 127).mean() < 0.25
  assert part.cases[lost].label == 0 and not part.cases[lost].boxes
  assert not part.masks[lost].any() and part.truth_outside[lost] == 0
  assert prepared.masks[nodule].any()  # the split itself is as it was


def test_a_reading_of_other_radiographs_is_refused(trained_run, shards, tmp_path):
  reading = tmp_path / 'reading.csv'
  rereading.append_answer(reading, Answer('another', 'Kim', 'normal'))
  with pytest.raises(RereadingError, match='not in the split train of gmc_nodule'):
    score(trained_run, shards, tmp_path / 'evaluation', reading)


def test_readers_who_settle_nothing_are_refused(trained_run, shards, tmp_path):
  reading = tmp_path / 'reading.csv'
  case = Shards(shards, 'train')[0][0]
  rereading.append_answer(reading, Answer(case.image_id, 'Kim', 'unsure'))
  with pytest.raises(RereadingError, match='the readers agree on no radiograph'):
    score(trained_run, shards, tmp_path / 'evaluation', reading)


def test_a_reading_that_is_not_there_is_named(trained_run, shards, tmp_path):
  with pytest.raises(RereadingError, match='nowhere.csv: No such file'):
    score(trained_run, shards, tmp_path / 'evaluation', tmp_path / 'nowhere.csv')
