"""A server that stands in for the Hugging Face Hub, as far as huggingface_hub asks it here."""

import base64
import dataclasses
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import yaml

TOKEN = 'hf_right'


@dataclasses.dataclass
class Repository:
  private: bool = False
  commits: dict[str, dict[str, bytes]] = dataclasses.field(default_factory=dict)

  def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
    """The commit and its files."""
    commit = list(self.commits)[-1] if revision == 'main' and self.commits else revision
    return (commit, self.commits[commit]) if commit in self.commits else None


class Hub(http.server.ThreadingHTTPServer):
  """Repositories in memory.

  Attributes:
    large: file names that go to large file storage, whose digest is SHA-256.
    fault: of downloads: '' for none, 'broken' to end in the middle, 'wrong' for other bytes;
      'down' refuses every request.
    asked: (method, path) of each request.
  """

  daemon_threads = True

  def __init__(self) -> None:
    super().__init__(('127.0.0.1', 0), Handler)
    self.url = f'http://127.0.0.1:{self.server_port}'
    self.repositories: dict[str, Repository] = {}
    self.objects: dict[str, bytes] = {}
    self.large = True
    self.fault = ''
    self.asked: list[tuple[str, str]] = []

  def add(self, repository: str, files: dict[str, bytes], private: bool = False) -> str:
    """A commit with these files alone, which it returns."""
    commit = hashlib.sha1(repr((repository, sorted(files.items()))).encode()).hexdigest()
    self.repositories.setdefault(repository, Repository(private)).commits[commit] = files
    return commit


class Handler(http.server.BaseHTTPRequestHandler):
  server: Hub
  protocol_version = 'HTTP/1.1'

  def do_POST(self) -> None:
    self._answer()

  do_GET = do_HEAD = do_PUT = do_POST

  def log_message(self, *_) -> None:
    pass

  def _answer(self) -> None:
    path = self.path.split('?')[0]
    self.server.asked.append((self.command, path))
    body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
    if self.server.fault == 'down':
      return self._refuse(500, '', 'Out of order')
    if self.command == 'PUT':
      self.server.objects[path.split('/')[-1]] = body
      return self._send(200)
    if path == '/api/validate-yaml':
      metadata = yaml.safe_load(json.loads(body)['content'].split('---\n')[1])
      missing = [name for name in ('license', 'tags', 'library_name') if name not in metadata]
      errors = [{'message': name} for name in missing]
      return self._json({'warnings': [], 'errors': errors}, 400 if errors else 200)
    known = self.headers.get('Authorization') == f'Bearer {TOKEN}'
    if self.command == 'POST' and not known:
      return self._refuse(401, '', 'Invalid username or password.')
    if path == '/api/repos/create':
      given = json.loads(body)
      name = f'{given["organization"]}/{given["name"]}'
      taken = name in self.server.repositories
      self.server.repositories.setdefault(name, Repository(given.get('visibility') == 'private'))
      return self._json({'url': f'{self.server.url}/{name}'}, 409 if taken else 200)
    pattern = r'/(?:api/models/)?([\w.-]+/[\w-]+)(?:\.git)?(?:/(.*))?'
    name, rest = re.fullmatch(pattern, path).groups(default='')
    repository = self.server.repositories.get(name)
    if repository is None or (repository.private and not known):
      return self._refuse(404 if known else 401, 'RepoNotFound', 'Repository not found')
    if self.command == 'POST':
      return self._write(repository, name, rest, body)
    kind, _, rest = rest.partition('/')
    if kind == 'resolve':
      return self._download(repository, *rest.split('/', 1))
    found = repository.at(rest or 'main')
    if found is None:
      return self._refuse(404, 'RevisionNotFound', 'Revision not found')
    commit, files = found
    siblings = [self._listed(*file) for file in files.items()]
    return self._json({'id': name, 'sha': commit, 'siblings': siblings, 'private': False})

  def _write(self, repository: Repository, name: str, rest: str, body: bytes) -> None:
    if rest.startswith('preupload'):
      files = [
        {'path': file['path'], 'uploadMode': 'lfs' if self._large(file['path']) else 'regular'}
        for file in json.loads(body)['files']
      ]
      return self._json({'files': [{**file, 'shouldIgnore': False} for file in files]})
    if rest.endswith('objects/batch'):
      objects = [
        {**each, 'actions': {'upload': {'href': f'{self.server.url}/objects/{each["oid"]}'}}}
        for each in json.loads(body)['objects']
      ]
      return self._json({'transfer': 'basic', 'objects': objects})
    files = {}
    for line in map(json.loads, body.splitlines()):
      value = line['value']
      if line['key'] == 'file':
        files[value['path']] = base64.b64decode(value['content'])
      elif line['key'] == 'lfsFile':
        files[value['path']] = self.server.objects[value['oid']]
    commit = self.server.add(name, files)
    return self._json({'commitUrl': f'{self.server.url}/{name}/commit/x', 'commitOid': commit})

  def _large(self, file: str) -> bool:
    return self.server.large and file.endswith('.nodulax')

  def _listed(self, name: str, data: bytes) -> dict:
    git = hashlib.sha1(b'blob %d\0' % len(data) + data).hexdigest()
    listed = {'rfilename': name, 'size': len(data), 'blobId': git}
    if self._large(name):
      sha = hashlib.sha256(data).hexdigest()
      listed['lfs'] = {'sha256': sha, 'size': len(data), 'pointerSize': 130}
    return listed

  def _download(self, repository: Repository, revision: str, file: str) -> None:
    commit, files = repository.at(revision)
    data = files[file]
    headers = {
      'X-Repo-Commit': commit,
      'ETag': f'"{hashlib.sha256(data).hexdigest()}"',
      'Content-Length': str(len(data)),
    }
    if self.command == 'HEAD' or not self.server.fault:
      return self._send(200, data, headers)
    if self.server.fault == 'wrong':
      return self._send(200, bytes([data[0] ^ 1]) + data[1:], headers)
    self._send(200, data[: len(data) // 2], headers)
    self.close_connection = True

  def _refuse(self, status: int, code: str, message: str) -> None:
    headers = {'X-Error-Message': message, **({'X-Error-Code': code} if code else {})}
    self._send(status, json.dumps({'error': message}).encode(), headers)

  def _json(self, value: dict, status: int = 200) -> None:
    self._send(status, json.dumps(value).encode(), {'Content-Type': 'application/json'})

  def _send(self, status: int, data: bytes = b'', headers: dict | None = None) -> None:
    self.send_response(status)
    for name, value in {'Content-Length': str(len(data)), **(headers or {})}.items():
      self.send_header(name, value)
    self.end_headers()
    if self.command != 'HEAD':
      self.wfile.write(data)


@contextmanager
def serving() -> Iterator[Hub]:
  """A hub that answers until the block ends."""
  with Hub() as hub:
    thread = threading.Thread(target=hub.serve_forever)
    thread.start()
    try:
      yield hub
    finally:
      hub.shutdown()
      thread.join()
