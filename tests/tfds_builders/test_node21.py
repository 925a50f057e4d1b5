"""NODE21: several rows a radiograph, and no radiograph that another set holds too."""

import csv
import json

import cv2
import numpy as np
import pytest

from tests.fuzz.images import mha

HEADER = ['', 'height', 'img_name', 'label', 'width', 'x', 'y']


@pytest.fixture
def node21(tmp_path, make_radiograph):
  """3 radiographs with nodules, one of them with two, and 4 without."""
  folder = tmp_path / 'node21'
  (folder / 'images').mkdir(parents=True)
  rows = []
  for number in range(7):
    nodule = number < 3
    name = f'{"n" if nodule else "c"}{number:04d}.mha'
    (folder / 'images' / name).write_bytes(mha(make_radiograph(500 + number), 'UCHAR'))
    for box in [(20, 30, 12, 10), (60, 70, 8, 9)][: 1 + (number == 0)]:
      x, y, width, height = box if nodule else (0, 0, 0, 0)
      rows.append([len(rows), height, name, int(nodule), width, x, y])
  with (folder / 'metadata.csv').open('w', newline='') as file:
    csv.writer(file).writerows([HEADER, *rows])
  return folder


def test_rows_of_a_radiograph_are_its_nodules(node21, build):
  outcome = build('node21', node21)
  assert outcome.status == 0, outcome.err
  examples = outcome.all_examples()
  assert len(examples) == 7 and {example['split'] for example in examples.values()} == {'test'}
  two = examples['n0000.mha']
  assert two['boxes'].tolist() == [[20, 30, 32, 40], [60, 70, 68, 79]] and two['label'] == 1
  mask = cv2.imdecode(np.frombuffer(two['mask'], np.uint8), cv2.IMREAD_UNCHANGED)
  assert mask[35, 26] and mask[74, 64] and not mask[50:60].any()
  assert examples['c0003.mha']['label'] == 0 and not len(examples['c0003.mha']['boxes'])
  told = json.loads((outcome.folder / 'cohort.json').read_text())
  assert told['read'] == {'annotations': 8, 'images': 7}


@pytest.mark.parametrize(
  'old, new, word',
  [
    ('n0001.mha,1', 'n0001.mha,2', 'row malformed: 1'),
    ('10,n0001.mha,1,12', '0,n0001.mha,1,12', 'box malformed: 1'),
    ('10,n0001.mha,1,12', 'nan,n0001.mha,1,12', 'box malformed: 1'),
    ('0,n0000.mha,1', '0,n0000.mha,0', None),
  ],
)
def test_rows_that_do_not_fit_are_named(node21, build, old, new, word):
  path = node21 / 'metadata.csv'
  text = path.read_text()
  if word is None:  # one of the two rows of a radiograph says that there is no nodule
    text = text.replace('n0000.mha,1,8', 'n0000.mha,0,8')
    word = 'two labels: 1'
  else:
    assert old in text
    text = text.replace(old, new)
  path.write_text(text)
  outcome = build('node21', node21)
  assert outcome.status == 1 and word in outcome.err, outcome.err


def test_radiographs_that_another_set_holds_are_left_out(node21, hospital, build, make_radiograph):
  # The hospital's third radiograph is NODE21's second, resized and saved again.
  copy = cv2.resize(make_radiograph(501), (300, 250), interpolation=cv2.INTER_AREA)
  cv2.imwrite(str(hospital / 'images' / '3.png'), copy)
  others = build('gmc_nodule', hospital)
  assert others.status == 0, others.err
  outcome = build('node21', node21, f'--against={others.folder}')
  assert outcome.status == 0, outcome.err
  assert 'against_' in outcome.folder.parent.name
  assert 'n0001.mha' not in outcome.all_examples() and len(outcome.all_examples()) == 6
  told = json.loads((outcome.folder / 'cohort.json').read_text())
  assert told['left_out'] == {'looks like a radiograph of gmc_nodule': ['n0001.mha']}


def test_sets_that_are_none_are_refused(node21, build, tmp_path):
  outcome = build('node21', node21, f'--against={tmp_path / "nowhere"}')
  assert outcome.status == 1 and '0 shard sets there; name the folder of one' in outcome.err
