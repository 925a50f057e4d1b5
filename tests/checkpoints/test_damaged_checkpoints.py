"""Checkpoints that are damaged in all ways that a disk and a user know."""

import gc
import os
import resource
import shutil

import numpy as np
import pytest

from nodulax.checkpoints.checkpoint import CheckpointError, Checkpoints

STATE = {'weights': np.arange(6, dtype=np.float32).reshape(2, 3), 'step': np.array(0, np.int32)}


def state(step: int) -> dict[str, np.ndarray]:
  return {'weights': STATE['weights'] + step, 'step': np.array(step, np.int32)}


@pytest.fixture(autouse=True)
def collected():
  yield
  gc.collect()


@pytest.fixture
def saved(tmp_path):
  """The folder of the checkpoints of steps 1 and 2."""
  with Checkpoints(tmp_path) as checkpoints:
    for step in (1, 2):
      checkpoints.save_latest(step, state(step), {'tuned': step})
    checkpoints.wait()
  return tmp_path / 'checkpoints' / 'latest'


def restored(folder):
  with Checkpoints(folder.parents[1]) as checkpoints:
    return checkpoints.restore_latest(STATE)


def files(folder):
  return [path for path in folder.rglob('*') if path.is_file()]


def overwrite(folder):
  for path in files(folder / 'state'):
    path.write_bytes(os.urandom(100))


def truncate(folder):
  for path in files(folder / 'state'):
    os.truncate(path, path.stat().st_size // 2)


def empty(folder):
  for path in files(folder):
    os.truncate(path, 0)


def lose_the_state(folder):
  shutil.rmtree(folder / 'state')


def lose_the_progress(folder):
  shutil.rmtree(folder / 'progress')


def spoil_the_progress(folder):
  for path in files(folder / 'progress'):
    path.write_text('{"tuned": ')


def lose_everything(folder):
  for path in list(folder.iterdir()):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


DAMAGES = [
  overwrite,
  truncate,
  empty,
  lose_the_state,
  lose_the_progress,
  spoil_the_progress,
  lose_everything,
]


def test_the_newest_checkpoint_is_restored(saved):
  step, found, progress = restored(saved)
  assert step == 2 and progress == {'tuned': 2}
  np.testing.assert_array_equal(found['weights'], state(2)['weights'])


@pytest.mark.parametrize('damage', DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(saved, damage, caplog):
  damage(saved / '2')
  step, found, progress = restored(saved)
  assert step == 1 and progress == {'tuned': 1}
  np.testing.assert_array_equal(found['weights'], state(1)['weights'])
  assert 'The checkpoint of step 2 is damaged' in caplog.text
  assert not (saved / '2').exists()


def test_where_none_can_be_read_the_user_is_told_and_nothing_is_removed(saved):
  for step in ('1', '2'):
    overwrite(saved / step)
  with pytest.raises(CheckpointError, match=r'none of the checkpoints \[2, 1\] can be read'):
    restored(saved)
  assert (saved / '1').exists() and (saved / '2').exists()


def test_a_step_can_be_saved_again(saved):
  with Checkpoints(saved.parents[1]) as checkpoints:
    checkpoints.save_latest(2, state(2), {'tuned': 7})
    checkpoints.wait()
  step, _, progress = restored(saved)
  assert (step, progress) == (2, {'tuned': 7})


def test_a_disk_that_takes_no_more_is_told_and_costs_no_checkpoint(saved, tmp_path):
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  with Checkpoints(saved.parents[1]) as checkpoints:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))  # bytes in a file
    try:
      with pytest.raises(
        CheckpointError, match=r'could not be written: .*\n.*latest/2\. Make room'
      ):
        checkpoints.save_latest(3, state(3), {'tuned': 3})
        checkpoints.wait()
    finally:
      resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
  # Elsewhere: threads of the save that failed may still write here, until their process ends.
  later = tmp_path / 'later' / 'checkpoints' / 'latest'
  shutil.copytree(saved, later, ignore=shutil.ignore_patterns('*-tmp*'))
  step, _, progress = restored(later)
  assert (step, progress) == (2, {'tuned': 2})
