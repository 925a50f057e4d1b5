"""Published weights from a server that stands in for theirs: whole, broken, wrong, absent."""

import functools
import gc
import hashlib
import http.server
import re
import threading

import pytest
from rich.console import Console
from rich.progress import Progress

from nodulax.errors import OptionError
from nodulax.storage import published
from nodulax.storage.bucket import StorageError
from nodulax.storage.published import Published

CONTENT = bytes(range(256)) * 4000


class Handler(http.server.BaseHTTPRequestHandler):
  """Serves /whole.h5, ends /broken.h5 in the middle, and has nothing else."""

  asked: list[str] = []

  def do_GET(self):
    self.asked.append(self.path)
    if self.path not in ('/whole.h5', '/broken.h5'):
      self.send_error(503, 'proxy error')
      return
    self.send_response(200)
    self.send_header('Content-Length', str(len(CONTENT)))
    self.end_headers()
    self.wfile.write(CONTENT if self.path == '/whole.h5' else CONTENT[: len(CONTENT) // 2])

  def log_message(self, *_):
    pass


@pytest.fixture
def server(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  Handler.asked.clear()
  served = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
  thread = threading.Thread(target=served.serve_forever)
  thread.start()
  yield f'http://127.0.0.1:{served.server_port}'
  served.shutdown()
  thread.join()
  served.server_close()


def of(server, name, algorithm='md5', digest=None):
  return Published(
    f'{server}/{name}', algorithm, digest or hashlib.new(algorithm, CONTENT).hexdigest()
  )


@pytest.mark.parametrize('algorithm, digits', [('md5', 32), ('sha256', 8)])
def test_a_file_is_downloaded_once_and_kept(server, tmp_path, algorithm, digits):
  digest = hashlib.new(algorithm, CONTENT).hexdigest()[:digits]
  file = of(server, 'whole.h5', algorithm, digest)
  path = published.fetch(file)
  assert path == tmp_path / 'nodulax' / 'weights' / 'whole.h5' and path.read_bytes() == CONTENT
  assert published.fetch(file) == path and Handler.asked == ['/whole.h5']
  path.write_bytes(CONTENT[:-1])  # damaged on disk: fetched again
  assert published.fetch(file).read_bytes() == CONTENT and len(Handler.asked) == 2


def test_a_download_shows_its_progress(server, monkeypatch, capsys):
  on_terminal = functools.partial(Progress, console=Console(force_terminal=True, width=100))
  monkeypatch.setattr(published, 'Progress', on_terminal)
  published.fetch(of(server, 'whole.h5'))
  assert re.search(r'downloading whole\.h5 .*1\.0/1\.0 MB', capsys.readouterr().out)


# requests leaves the connection of a broken download to the garbage collector.
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
@pytest.mark.filterwarnings('ignore::ResourceWarning')
@pytest.mark.parametrize(
  'name, digest, word',
  [
    ('broken.h5', None, 'could not be downloaded'),
    ('whole.h5', '0' * 32, 'its md5 is not 0000'),
    ('absent.h5', None, '503'),
  ],
)
def test_what_is_not_the_file_leaves_nothing_behind(server, tmp_path, name, digest, word):
  with pytest.raises(StorageError, match=word) as error:
    published.fetch(of(server, name, digest=digest))
  folder = tmp_path / 'nodulax' / 'weights'
  assert f'put the file into {folder}' in str(error.value)
  assert list(folder.iterdir()) == []
  del error
  gc.collect()


def test_without_a_network_it_says_what_to_put_where(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  with pytest.raises(StorageError, match='http://127.0.0.1:9/x.h5 could not be downloaded'):
    published.fetch(Published('http://127.0.0.1:9/x.h5', 'md5', '0' * 32))
  folder = tmp_path / 'nodulax' / 'weights'
  folder.mkdir(parents=True, exist_ok=True)
  (folder / 'x.h5').write_bytes(CONTENT)  # put there by hand
  file = Published('http://127.0.0.1:9/x.h5', 'md5', hashlib.md5(CONTENT).hexdigest())
  assert published.fetch(file) == folder / 'x.h5'


def test_a_size_that_nobody_publishes_is_told():
  with pytest.raises(OptionError, match='for the sizes 121, 169, 201, not for .*size=tiny'):
    published.find_weights('keras', 'tiny')
  assert published.find_weights('torchvision', '121').url.endswith('densenet121-a639ec97.pth')
