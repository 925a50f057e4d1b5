"""`build --labels`: shards with the labels of a second reading."""

import json

import cv2
import numpy as np

from nodulax.labels import rereading
from nodulax.labels.rereading import Answer


def test_shards_have_the_labels_of_a_second_reading(hospital, build, tmp_path):
  before = build('gmc_nodule', hospital).all_examples()
  nodules = sorted(image for image, example in before.items() if example['label'])
  normals = sorted(image for image, example in before.items() if not example['label'])
  reading = tmp_path / 'reading.csv'
  for reader in ('Kim', 'Lee'):
    rereading.append_answer(reading, Answer(nodules[0], reader, 'normal'))
    rereading.append_answer(reading, Answer(normals[0], reader, 'nodule', ((10, 20, 30, 50),)))
    rereading.append_answer(reading, Answer(normals[1], reader, 'nodule'))
    rereading.append_answer(
      reading, Answer(nodules[1], reader, 'normal' if reader == 'Kim' else 'nodule')
    )
    rereading.append_answer(reading, Answer(nodules[2], reader, 'nodule'))
  outcome = build('gmc_nodule', hospital, f'--labels={reading}')
  assert outcome.status == 0, outcome.err
  assert 'labels_' in outcome.folder.parent.name  # another folder than without
  after = outcome.all_examples()
  assert after.keys() == before.keys()
  changed = {image for image in after if after[image]['label'] != before[image]['label']}
  assert changed == {nodules[0], normals[0], normals[1]}
  assert all(after[image]['split'] == before[image]['split'] for image in after)

  def mask(image):
    return cv2.imdecode(np.frombuffer(after[image]['mask'], np.uint8), cv2.IMREAD_UNCHANGED)

  assert not len(after[nodules[0]]['boxes']) and not mask(nodules[0]).any()
  assert after[normals[0]]['boxes'].tolist() == [[10, 20, 30, 50]]
  assert mask(normals[0])[20:50, 10:30].mean() > 127 and not mask(normals[0])[:, 40:].any()
  assert not after[normals[1]]['location_known'] and after[normals[0]]['location_known']
  assert after[nodules[2]]['boxes'].tolist() == before[nodules[2]]['boxes'].tolist()
  told = json.loads((outcome.folder / 'cohort.json').read_text())
  assert told['reading'] == {
    'readers': 2,
    'settled': 4,
    'unsettled': 1,
    'changed_to_nodule': 2,
    'changed_to_normal': 1,
  }
  assert told['cohort']['nodule'] == len(nodules) + 1


def test_a_reading_of_another_hospital_is_refused(hospital, build, tmp_path):
  reading = tmp_path / 'reading.csv'
  rereading.append_answer(reading, Answer('elsewhere', 'Kim', 'normal'))
  outcome = build('gmc_nodule', hospital, f'--labels={reading}')
  assert outcome.status == 1
  assert "are not in this cohort, the first is 'elsewhere'" in outcome.err
