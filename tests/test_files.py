"""What is written is whole or not there."""

import pytest

from nodulax.files import remove_leftovers, whole_file, whole_folder


def test_a_file_is_the_old_or_the_new_one(tmp_path):
  path = tmp_path / 'below' / 'a.txt'
  with whole_file(path) as unfinished:
    unfinished.write_text('one')
    assert not path.exists()
  with pytest.raises(RuntimeError), whole_file(path) as unfinished:
    unfinished.write_text('two, half')
    raise RuntimeError
  assert path.read_text() == 'one' and list(path.parent.iterdir()) == [path]


def test_a_folder_is_there_once_it_is_whole(tmp_path):
  path = tmp_path / 'below' / 'folder'
  with whole_folder(path) as unfinished:
    (unfinished / 'a').write_text('one')
    assert not path.exists()
  assert (path / 'a').read_text() == 'one' and path.stat().st_mode & 0o777 == 0o755
  with pytest.raises(KeyboardInterrupt), whole_folder(path, replace=True) as unfinished:
    raise KeyboardInterrupt
  with pytest.raises(OSError, match='not empty|exists'), whole_folder(path):
    pass
  assert (path / 'a').read_text() == 'one'
  with whole_folder(path, replace=True) as unfinished:
    (unfinished / 'b').write_text('two')
  assert [file.name for file in path.iterdir()] == ['b'] and list(path.parent.iterdir()) == [path]


def test_what_a_kill_left_is_removed(tmp_path):
  (tmp_path / 'unfinished-folder-x1').mkdir()
  (tmp_path / 'unfinished-other-x1').mkdir()
  remove_leftovers(tmp_path / 'folder')
  assert [path.name for path in tmp_path.iterdir()] == ['unfinished-other-x1']
