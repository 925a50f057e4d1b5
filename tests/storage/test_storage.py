"""Folders in object storage, on a bucket in memory: what arrives, and what is left behind."""

import json
import pathlib
import sys

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nodulax import evaluate, export, exported, predict, train
from nodulax.checkpoints import checkpoint
from nodulax.model import pretrained
from nodulax.storage import folders
from tests.prediction.test_predict import images_in

KNOWN = sys.modules['fsspec.registry']._registry  # file systems by scheme


class Bucket(MemoryFileSystem):
  """Object storage in this process's memory, which can be made to fail."""

  protocol = 's3'
  store: dict = {}
  pseudo_dirs = ['']
  received: list[str] = []
  failing: list[str] = []  # names whose next sending fails, each once

  @classmethod
  def _strip_protocol(cls, path):
    return '/' + str(path).removeprefix('s3://').strip('/')

  def put_file(self, lpath, rpath, **kwargs):
    self._perhaps_fail(rpath)
    super().put_file(lpath, rpath, **kwargs)

  def pipe_file(self, path, value, **kwargs):
    self._perhaps_fail(path)
    super().pipe_file(path, value, **kwargs)

  def get_file(self, rpath, lpath, **kwargs):
    self.received.append(rpath)
    super().get_file(rpath, lpath, **kwargs)

  def _perhaps_fail(self, path):
    for name in [name for name in self.failing if path.endswith(name)]:
      self.failing.remove(name)
      raise ConnectionError('no route to the bucket')


@pytest.fixture
def bucket(monkeypatch, tmp_path) -> Bucket:
  monkeypatch.setitem(KNOWN, 's3', Bucket)
  for name, empty in {'store': {}, 'pseudo_dirs': [''], 'received': [], 'failing': []}.items():
    monkeypatch.setattr(Bucket, name, empty)
  monkeypatch.setattr('nodulax.storage.bucket.PAUSES', (0,))
  on_machine('first', monkeypatch, tmp_path)
  return Bucket()


def on_machine(name: str, monkeypatch, tmp_path) -> None:
  """From here on nothing is known of what other machines copied."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / name))


def files(folder) -> dict[str, str]:
  folder = pathlib.Path(folder)
  return {
    path.relative_to(folder).as_posix(): path.read_text()
    for path in folder.rglob('*')
    if path.is_file()
  }


def write(folder, contents: dict[str, str]) -> None:
  for name, text in contents.items():
    path = pathlib.Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_folder_on_disk_is_itself(tmp_path):
  assert folders.fetch(tmp_path) == folders.check_out(tmp_path) == tmp_path
  assert not folders.is_copy(tmp_path)
  folders.publish(tmp_path)
  assert files(tmp_path) == {}


def test_what_others_put_there_is_copied_once(bucket):
  bucket.pipe({'s3://data/shards/a': b'one', 's3://data/shards/deep/b': b'two'})
  assert files(folders.fetch('s3://data/shards')) == {'a': 'one', 'deep/b': 'two'}
  bucket.received.clear()
  bucket.pipe('s3://data/shards/a', b'longer')
  bucket.rm('s3://data/shards/deep/b')
  assert files(folders.fetch('s3://data/shards/')) == {'a': 'longer'}
  assert bucket.received == ['/data/shards/a']


def test_what_is_not_needed_is_not_copied(bucket):
  bucket.pipe({f's3://runs/x/{name}': b'' for name in ('best/1', 'best_of_all', 'latest/2')})
  assert set(files(folders.fetch('s3://runs/x', only=['best']))) == {'best/1'}


def test_a_published_folder_arrives_on_another_machine(bucket, monkeypatch, tmp_path):
  contents = {'config.json': '{}', 'checkpoints/latest/4/state': 'weights'}
  folder = folders.check_out('s3://runs/x')
  write(folder, {**contents, 'raw/a.png': 'made again', 'cache/a.npy': 'made again'})
  assert folders.is_copy(folder / 'checkpoints')
  folders.publish(folder / 'checkpoints')  # whatever part is named, the whole is sent
  modified = (folder / 'config.json').stat().mtime
  on_machine('second', monkeypatch, tmp_path)
  folder = folders.check_out('s3://runs/x')
  assert files(folder) == contents
  assert (folder / 'config.json').stat().mtime == modified


def test_only_what_changed_is_sent_and_what_is_gone_is_removed(bucket):
  folder = folders.check_out('s3://runs/x')
  write(folder, {'4/state': 'old', 'config.json': '{}'})
  folders.publish(folder)
  (folder / '4' / 'state').unlink()
  write(folder, {'8/state': 'new'})
  bucket.failing.append('config.json')
  folders.publish(folder)
  assert bucket.failing == ['config.json']
  assert sorted(bucket.find('s3://runs/x')) == [
    '/runs/x/8/state',
    '/runs/x/config.json',
    '/runs/x/files.json',
  ]


@pytest.mark.parametrize('lost_at', ['8/state', '8/more', 'files.json'])
def test_a_machine_lost_while_sending_leaves_the_folder_of_before(
  bucket, monkeypatch, tmp_path, lost_at
):
  folder = folders.check_out('s3://runs/x')
  write(folder, {'4/state': 'old'})
  folders.publish(folder)
  write(folder, {'8/state': 'new', '8/more': 'new'})
  (folder / '4' / 'state').unlink()
  bucket.failing.extend([lost_at] * 2)
  with pytest.raises(folders.StorageError, match='s3://runs/x: .*no route to the bucket'):
    folders.publish(folder)
  on_machine('second', monkeypatch, tmp_path)
  assert files(folders.check_out('s3://runs/x')) == {'4/state': 'old'}


def test_sending_is_tried_again(bucket):
  folder = folders.check_out('s3://runs/x')
  write(folder, {'a': 'text'})
  bucket.failing.append('/a')
  folders.publish(folder)
  assert bucket.cat('s3://runs/x/a') == b'text'


def test_a_start_takes_back_what_was_not_sent(bucket, monkeypatch, tmp_path):
  folder = folders.check_out('s3://runs/x')
  write(folder, {'4/state': 'old', 'log': 'one'})
  folders.publish(folder)
  write(folder, {'8/state': 'new', 'log': 'one and two'})
  monkeypatch.setattr(folders.fcntl, 'flock', lambda *_: None)  # as when the process ended
  assert files(folders.check_out('s3://runs/x')) == {'4/state': 'old', 'log': 'one'}
  assert not (folder / '8').exists()


def test_one_process_at_a_time_works_in_a_folder(bucket):
  folders.check_out('s3://runs/x')
  with pytest.raises(folders.StorageError, match='another process'):
    folders.check_out('s3://runs/x')
  folders.check_out('s3://runs/y')


def test_nothing_there_is_an_error_for_a_reader_alone(bucket):
  with pytest.raises(folders.StorageError, match='s3://runs/x: there is nothing here'):
    folders.fetch('s3://runs/x')
  assert not folders.check_out('s3://runs/x').exists()


@pytest.mark.parametrize(
  'name', ['../outside', '/etc/outside', 'a/../../outside'], ids=['up', 'absolute', 'within']
)
def test_a_listing_never_leads_outside_the_folder(bucket, tmp_path, name):
  bucket.pipe('s3://runs/x/files.json', json.dumps({name: '1-1'}).encode())
  with pytest.raises(folders.StorageError, match='outside the folder'):
    folders.fetch('s3://runs/x')
  assert not list(tmp_path.rglob('outside'))


@pytest.mark.parametrize('text', ['[]', '{"a": 1}', '{"a": "x-y"}', '{'])
def test_a_damaged_listing_is_an_error_that_names_it(bucket, text):
  bucket.pipe('s3://runs/x/files.json', text.encode())
  with pytest.raises(folders.StorageError, match='s3://runs/x: '):
    folders.fetch('s3://runs/x')


def test_a_file_is_fetched_afresh_under_its_own_name(bucket, tmp_path):
  for data in (b'one', b'other'):
    bucket.pipe('s3://data/weights/densenet.h5', data)
    fetched = folders.fetch_file('s3://data/weights/densenet.h5')
    assert fetched.name == 'densenet.h5' and fetched.read_bytes() == data
  assert folders.fetch_file(tmp_path / 'a') == tmp_path / 'a'
  with pytest.raises(folders.StorageError, match='s3://data/none.h5'):
    folders.fetch_file('s3://data/none.h5')


def test_a_file_is_sent_when_it_is_whole_or_not_at_all(bucket, tmp_path):
  with folders.file_to_send('s3://data/model') as file:
    file.write_text('whole')
  assert bucket.cat('s3://data/model') == b'whole'
  with pytest.raises(KeyboardInterrupt), folders.file_to_send('s3://data/model') as file:
    file.write_text('ha')
    raise KeyboardInterrupt
  assert bucket.cat('s3://data/model') == b'whole'
  with folders.file_to_send(tmp_path / 'here') as file:
    assert file == tmp_path / 'here'


def test_training_starts_from_weights_in_a_bucket(bucket, config, shards, monkeypatch, tmp_path):
  def load_published(path, variables):
    raise ValueError(f'{path.name} holds {path.read_text()}')

  monkeypatch.setattr(pretrained, 'load_published', load_published)
  bucket.pipe('s3://data/densenet121.pth', b'weights')
  config.data.shards.hospital = str(shards)
  config.init.imagenet = 's3://data/densenet121.pth'
  with pytest.raises(ValueError, match='densenet121.pth holds weights'):
    train.train(config, tmp_path)


def test_predictions_are_sent_on_the_way_and_go_on_on_another_machine(
  bucket, trained_run, hospital, monkeypatch, tmp_path
):
  files = predict.radiographs_in([str(path) for path in images_in(hospital)[:8]])
  publish, read, sent, seen = folders.publish, predict.read, [], []

  def lost_after_one_batch(folder):
    if sent:
      raise KeyboardInterrupt
    sent.append(folder)
    publish(folder)

  with monkeypatch.context() as lost:
    lost.setattr(predict, 'SECONDS_UNSENT', 0)
    lost.setattr(folders, 'publish', lost_after_one_batch)
    with pytest.raises(KeyboardInterrupt):
      predict.predict(trained_run, files, folders.check_out('s3://out/x'), batch_size=4)
  on_machine('second', monkeypatch, tmp_path)
  monkeypatch.setattr(predict, 'read', lambda *args: seen.append(args[0]) or read(*args))
  assert predict.predict(trained_run, files, folders.check_out('s3://out/x'), batch_size=4) == {}
  assert sorted(seen) == sorted(files.values())[4:]
  predict.predict(trained_run, files, tmp_path / 'here', batch_size=4)
  for name in ('findings.csv', 'findings.json'):
    assert bucket.cat(f's3://out/x/{name}') == (tmp_path / 'here' / name).read_bytes()
  assert len(bucket.find('s3://out/x/overlays')) == 8


def test_a_network_in_a_bucket_is_exported_with_what_it_was_measured_at(
  bucket, trained_run, tmp_path
):
  for path in sorted(trained_run.rglob('*')):
    if path.is_file():
      bucket.put_file(str(path), f's3://runs/small/{path.relative_to(trained_run)}')
  bucket.received.clear()
  export.export('s3://runs/small', tmp_path / 'from_bucket')
  export.export(trained_run, tmp_path / 'from_disk')
  cards = [exported.load(tmp_path / name).card for name in ('from_bucket', 'from_disk')]
  assert cards[0] == cards[1] and 'hospital, test' in cards[0]
  assert not [name for name in bucket.received if 'heat_maps' in name or 'latest' in name]


def test_without_the_extra_the_error_names_it(monkeypatch, tmp_path):
  on_machine('first', monkeypatch, tmp_path)
  monkeypatch.setitem(sys.modules, 'gcsfs', None)
  monkeypatch.delitem(KNOWN, 'gs', raising=False)
  with pytest.raises(folders.StorageError, match=r"pip install -e '\.\[gcs\]'"):
    folders.fetch('gs://runs/x')


def test_a_run_is_sent_with_its_checkpoints_and_read_from_there(bucket, config, shards, tmp_path):
  for path in sorted(pathlib.Path(shards).rglob('*')):
    if path.is_file():
      bucket.put_file(str(path), f's3://data/shards/{path.relative_to(shards)}')
  config.data.shards.hospital = 's3://data/shards'
  config.data.evaluate = ()
  config.train.epochs = 1
  train.train(config, folders.check_out('s3://runs/small'))
  sent = json.loads(bucket.cat('s3://runs/small/files.json'))
  steps = {name.split('/')[2] for name in sent if name.startswith('checkpoints/latest/')}
  assert '4' in steps and 'metrics.jsonl' in sent
  assert checkpoint.describe('s3://runs/small').step == 4
  metrics = evaluate.evaluate(
    's3://runs/small', 's3://data/shards', 'test', tmp_path / 'out', batch_size=8, overlays=0
  )
  assert metrics['run'] == 'small'


def test_copies_are_their_owners_alone_where_the_cache_folder_is_not(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  folders.home().mkdir(mode=0o755)
  folders._copy('gs://bucket/shards', 'read')
  assert (folders.home() / 'read').stat().st_mode & 0o077 == 0
