"""Second readings: what is read is what was written, and every fault says where it is."""

import errno
import os

import numpy as np
import pytest

from nodulax.labels import rereading
from nodulax.labels.rereading import Answer, RereadingError


def test_what_is_appended_is_read(tmp_path):
  path = tmp_path / 'reading.csv'
  given = [
    Answer('a', 'Kim', 'nodule', ((1.0, 2.0, 30.5, 40.0), (5, 5, 6, 6)), 12.3, '2026-01-01T10:00'),
    Answer('b', 'Kim', 'unsure'),
    Answer('a', 'Lee', 'normal'),
  ]
  for answer in given:
    rereading.append_answer(path, answer)
  read = rereading.read_answers(path)
  assert [(a.image_id, a.reader, a.answer, a.boxes) for a in read] == [
    (a.image_id, a.reader, a.answer, a.boxes) for a in given
  ]
  assert read[0].seconds == 12.3 and read[0].time == '2026-01-01T10:00'


def test_the_last_answer_of_a_reader_counts(tmp_path):
  path = tmp_path / 'reading.csv'
  for answer in ('nodule', 'unsure', 'normal'):
    rereading.append_answer(path, Answer('a', 'Kim', answer))
  (last,) = rereading.read_answers(path)
  assert last.answer == 'normal'


def test_answers_are_added_in_the_columns_of_the_file(tmp_path):
  path = tmp_path / 'by_hand.csv'
  path.write_text('answer,image_id,reader\nnodule,a,Lee')  # without a line feed at its end
  rereading.append_answer(path, Answer('b', 'Kim', 'normal', seconds=3.0))
  assert path.read_text() == 'answer,image_id,reader\nnodule,a,Lee\nnormal,b,Kim\n'
  assert [answer.reader for answer in rereading.read_answers(path)] == ['Lee', 'Kim']
  before = path.read_bytes()
  with pytest.raises(RereadingError, match='has no column boxes'):
    rereading.append_answer(path, Answer('c', 'Kim', 'nodule', ((0, 0, 9, 9),)))
  assert path.read_bytes() == before


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path, monkeypatch):
  path = tmp_path / 'reading.csv'
  rereading.append_answer(path, Answer('a', 'Kim', 'normal'))
  before, write = path.read_bytes(), os.write

  def half(file, data):
    if len(data) > 5:
      return write(file, data[:5])
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(os, 'write', half)
  with pytest.raises(OSError, match='No space left'):
    rereading.append_answer(path, Answer('b', 'Kim', 'nodule', ((1, 1, 2, 2),)))
  assert path.read_bytes() == before


def test_the_majority_settles_and_a_tie_does_not():
  box = ((0.0, 0.0, 9.0, 9.0),)
  answers = [
    Answer('a', '1', 'nodule'),
    Answer('a', '2', 'nodule', box),
    Answer('a', '3', 'normal'),
    Answer('b', '1', 'nodule'),
    Answer('b', '2', 'normal'),
    Answer('c', '1', 'unsure'),
    Answer('d', '1', 'normal'),
    Answer('d', '2', 'unsure'),
  ]
  settled = rereading.settle(answers)
  assert {image: answer.label for image, answer in settled.items()} == {'a': 1, 'd': 0}
  assert settled['a'].boxes == box


def test_answers_become_the_table_of_statistics():
  answers = [Answer('b', 'y', 'nodule'), Answer('a', 'x', 'normal'), Answer('b', 'x', 'unsure')]
  readers, table = rereading.as_table(answers, ['a', 'b'])
  assert readers == ['x', 'y']
  np.testing.assert_array_equal(table, [[0, np.nan], [np.nan, 1]])


@pytest.mark.parametrize(
  'lines, word',
  [
    ('', 'the file is empty'),
    ('image_id,reader,answer\n', 'it has no answers'),
    ('image_id,answer\na,nodule\n', 'the column reader is missing'),
    ('image_id,reader,answer\na,Kim,yes\n', "line 2: answer is 'yes'; it must be nodule or normal"),
    ('image_id,reader,answer\na,,nodule\n', 'line 2: reader is empty'),
    ('image_id,reader,answer,boxes\na,Kim,normal,1 1 2 2\n', 'a box goes with the answer nodule'),
    ('image_id,reader,answer,boxes\na,Kim,nodule,1 1 2\n', 'write .x_min'),
    ('image_id,reader,answer,boxes\na,Kim,nodule,1 1 nan 9\n', 'write .x_min'),
    ('image_id,reader,answer,boxes\na,Kim,nodule,5 5 5 9\n', 'must lie above its minima'),
    ('image_id,reader,answer,colour\na,Kim,nodule,red\n', 'unknown columns: colour'),
  ],
)
def test_a_reading_that_is_none_is_refused(tmp_path, lines, word):
  path = tmp_path / 'reading.csv'
  path.write_text(lines)
  with pytest.raises(RereadingError, match=word):
    rereading.read_answers(path)


def test_strangers_are_refused():
  with pytest.raises(RereadingError, match="1 of the radiographs .* first is 'z'"):
    rereading.require_known([Answer('z', 'Kim', 'normal')], ['a'], 'the set')
