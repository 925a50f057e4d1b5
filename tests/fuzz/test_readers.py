"""The first inputs of each reader, in this process; `python -m tests.fuzz` reads the rest."""

import os
import signal

import pytest

from tests.fuzz.harness import Guard, OutsideError, Reader
from tests.fuzz.subjects import SUBJECTS

# So many take a second or two; the checkpoint of a network and Keras files are slow to open.
INPUTS = {name: 60 for name in SUBJECTS} | {'checkpoint, weights': 12, 'weights .h5': 20}


@pytest.fixture(scope='module')
def guard() -> Guard:
  """One for all: an audit hook stays as long as the process."""
  return Guard()


@pytest.fixture
def impatience():
  """Ends a reader that hangs."""

  def end(*_):
    raise TimeoutError('a reader hangs')

  before = signal.signal(signal.SIGALRM, end)
  yield signal.alarm
  signal.alarm(0)
  signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(os.name != 'posix', reason='other systems have no alarms')
@pytest.mark.parametrize('name', SUBJECTS)
def test_spoilt_files_are_refused_or_read_well(name, tmp_path, guard, impatience):
  reader = Reader(name, 0, tmp_path, guard)
  results = set()
  for number in range(INPUTS[name]):
    impatience(60)
    results.add(reader.read(number))
  # A reader that refuses them all was given no valid files to begin with.
  assert 'read' in results


@pytest.mark.parametrize(
  'deed',
  [
    lambda folder: (folder / 'x').write_text('x'),
    lambda folder: os.system('true'),
    lambda folder: (folder / 'x').mkdir(),
    lambda folder: os.open(folder / 'x', os.O_CREAT | os.O_WRONLY),
  ],
)
def test_the_guard_lets_nothing_be_written(deed, tmp_path, guard):
  guard.armed = True
  try:
    with pytest.raises(OutsideError):
      deed(tmp_path)
  finally:
    guard.armed = False
  assert not list(tmp_path.iterdir())


def test_the_same_number_is_the_same_input(tmp_path, guard):
  (tmp_path / 'a').mkdir()
  (tmp_path / 'b').mkdir()
  one = Reader('DICOM', 0, tmp_path / 'a', guard)
  other = Reader('DICOM', 0, tmp_path / 'b', guard)
  assert [one.make(number) for number in range(20)] == [other.make(number) for number in range(20)]
  assert Reader('DICOM', 1, tmp_path / 'b', guard).make(0) != one.make(0)
