"""Networks on the Hugging Face Hub, with a server in its place."""

import os
import pathlib
import subprocess
import sys

import pytest
import yaml

pytest.importorskip('huggingface_hub', reason='the extra `hub` is not installed')

from huggingface_hub import constants

import nodulax
from nodulax import exported
from nodulax.checkpoints import shipped
from nodulax.errors import OptionError
from nodulax.storage import hub
from nodulax.storage.bucket import StorageError
from tests.prediction.test_predict import images_in, rows_of
from tests.storage import hub_server

ROOT = pathlib.Path(__file__).parents[2]
ADDRESS = 'hf://someone/lungs'
CONTENT = bytes(range(256)) * 400
LARGEST = 10**6


@pytest.fixture
def server(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  monkeypatch.setenv('HF_TOKEN', hub_server.TOKEN)
  monkeypatch.setenv('HF_HUB_DISABLE_XET', '1')  # Xet has servers of its own
  monkeypatch.setattr(constants, 'HF_HUB_DISABLE_XET', True)
  monkeypatch.setattr(constants, 'HF_TOKEN_PATH', str(tmp_path / 'token'))
  with hub_server.serving() as served:
    monkeypatch.setenv('HF_ENDPOINT', served.url)
    template = f'{served.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}'
    monkeypatch.setattr(constants, 'ENDPOINT', served.url)
    monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', template)
    yield served


def kept(tmp_path: pathlib.Path) -> list[str]:
  """All files of the cache folder."""
  folder = tmp_path / 'cache' / 'nodulax'
  return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file())


def nodulax_command(*arguments: str) -> subprocess.CompletedProcess:
  return subprocess.run(
    [sys.executable, '-m', 'nodulax', *arguments],
    cwd=ROOT,
    env=dict(os.environ),
    capture_output=True,
    text=True,
  )


def test_a_network_goes_to_the_hub_and_reads_from_there(server, hospital, tmp_path):
  pushed = nodulax_command('export', f'--push={ADDRESS}', '--license=apache-2.0', '--private')
  assert pushed.returncode == 0, pushed.stderr
  repository = server.repositories['someone/lungs']
  (commit,) = repository.commits
  assert (
    f'{ADDRESS}@{commit}: ' in pushed.stdout and 'not a medical device' in pushed.stdout.lower()
  )
  assert repository.private and set(repository.commits[commit]) == {'model.nodulax', 'README.md'}

  _, metadata, card = repository.commits[commit]['README.md'].decode().split('---\n', 2)
  metadata = yaml.safe_load(metadata)
  assert (metadata['license'], metadata['library_name']) == ('apache-2.0', 'nodulax')
  assert metadata['pipeline_tag'] == 'image-classification' and 'lung-nodule' in metadata['tags']
  (index,) = metadata['model-index']
  told = {each['dataset']['name']: each['metrics'][0] for each in index['results']}
  measured = shipped.evaluations()
  assert told.keys() == measured.keys()
  for name, metric in told.items():
    assert (metric['type'], metric['value']) == ('roc_auc', measured[name]['auc']['value'])
  assert nodulax.NOTICE in card and f"nodulax.load('{ADDRESS}')" in card

  image = images_in(hospital)[0]
  expected = nodulax.load()(image, force=True).probability
  for address in (ADDRESS, f'{ADDRESS}@{commit}'):
    found = nodulax.load(address)(image, force=True).probability
    assert found == pytest.approx(expected, abs=1e-5)
  output = tmp_path / 'findings'
  options = (f'--checkpoint={ADDRESS}', f'--output={output}', '--force')
  predicted = nodulax_command('predict', *options, str(image))
  assert predicted.returncode == 0, predicted.stderr
  assert float(rows_of(output)[0]['probability']) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize('large', [True, False])
def test_it_is_downloaded_once_and_again_when_the_hub_has_another(server, tmp_path, large):
  server.large = large
  first = server.add('someone/lungs', {hub.MODEL: CONTENT, 'pytorch_model.bin': b'cos\nsystem\n'})
  path = hub.fetch(ADDRESS, LARGEST)
  assert path.read_bytes() == CONTENT
  assert kept(tmp_path) == ['hub/someone/lungs/main/model.nodulax']  # that file alone
  asked = len(server.asked)
  assert hub.fetch(ADDRESS, LARGEST) == path and len(server.asked) == asked + 1
  server.add('someone/lungs', {hub.MODEL: CONTENT[::-1]})
  assert hub.fetch(ADDRESS, LARGEST).read_bytes() == CONTENT[::-1]
  assert hub.fetch(f'{ADDRESS}@{first}', LARGEST).read_bytes() == CONTENT
  assert not any('pytorch_model' in asked for _, asked in server.asked)
  path.write_bytes(CONTENT[:-1])  # damaged on disk: fetched again
  assert hub.fetch(ADDRESS, LARGEST).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize('large', [True, False])
@pytest.mark.parametrize('fault, word', [('broken', 'could not be reached'), ('wrong', 'lists')])
def test_what_is_not_the_file_leaves_nothing_behind(server, tmp_path, fault, word, large):
  server.fault, server.large = fault, large
  server.add('someone/lungs', {hub.MODEL: CONTENT})
  with pytest.raises(StorageError, match=f'{ADDRESS}: .*{word}') as error:
    hub.fetch(ADDRESS, LARGEST)
  assert '\n' not in str(error.value) and kept(tmp_path) == []


def test_what_the_hub_does_not_have_is_told(server, tmp_path, monkeypatch):
  server.add('someone/empty', {'README.md': b''})
  server.add('someone/lungs', {hub.MODEL: CONTENT})
  server.add('someone/secret', {hub.MODEL: CONTENT}, private=True)
  for address, largest, word in [
    ('hf://someone/nothing', LARGEST, 'no such repository, or not for your token .*hf auth login'),
    ('hf://someone/empty', LARGEST, 'has no model.nodulax; nodulax export --push writes one'),
    (f'{ADDRESS}@v2', LARGEST, 'no such revision'),
    (ADDRESS, 1000, 'model.nodulax has 102,400 bytes; at most 1,000 are read'),
  ]:
    with pytest.raises(StorageError, match=f'{address}: .*{word}') as error:
      hub.fetch(address, largest)
    assert '\n' not in str(error.value)
  assert hub.fetch('hf://someone/secret', LARGEST).read_bytes() == CONTENT
  monkeypatch.setenv('HF_TOKEN', 'hf_wrong')
  with pytest.raises(StorageError, match='not for your token .401.*set HF_TOKEN'):
    hub.fetch('hf://someone/secret', LARGEST)  # also where a copy is in the cache
  assert kept(tmp_path) == ['hub/someone/secret/main/model.nodulax']


def test_a_refused_or_absent_token_uploads_nothing(server, monkeypatch):
  for token in ('hf_wrong', None):
    monkeypatch.setenv('HF_TOKEN', token) if token else monkeypatch.delenv('HF_TOKEN')
    with pytest.raises(StorageError, match=f'{ADDRESS}: .*.401.*hf auth login.* or set HF_TOKEN'):
      hub.push(ADDRESS, {hub.MODEL: CONTENT}, private=False)
  assert server.repositories == {}


def test_without_a_network_the_last_copy_is_used_or_the_reason_told(
  server, tmp_path, monkeypatch, caplog
):
  server.add('someone/lungs', {hub.MODEL: CONTENT})
  hub.fetch(ADDRESS, LARGEST)
  monkeypatch.setattr(constants, 'ENDPOINT', 'http://127.0.0.1:9')
  assert hub.fetch(ADDRESS, LARGEST).read_bytes() == CONTENT
  assert 'the copy from the last download is used' in caplog.text
  with pytest.raises(StorageError, match='hf://someone/other: the Hub could not be reached'):
    hub.fetch('hf://someone/other', LARGEST)
  assert len(kept(tmp_path)) == 1
  monkeypatch.setenv('HF_ENDPOINT', 'http://127.0.0.1:9')
  for arguments in [
    ('export', '--push=hf://someone/other'),
    ('predict', '--checkpoint=hf://someone/other', f'--output={tmp_path / "out"}', __file__),
  ]:
    finished = nodulax_command(*arguments)
    assert finished.returncode == 1 and len(finished.stderr.splitlines()) == 1, finished.stderr
    assert finished.stderr.startswith('nodulax: hf://someone/other: the Hub could not be reached')
  assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
  'address',
  [
    'hf://lungs',
    'hf://../lungs',
    'hf://a/..',
    'hf://a/b@../../c',
    'hf://a/b@',
    'hf://a/b/c',
    'hf://',
  ],
)
def test_what_is_no_address_is_refused(address):
  with pytest.raises(OptionError, match='not an address; give hf://OWNER/NAME'):
    hub.fetch(address, LARGEST)


@pytest.mark.parametrize('address', ['hf://a/b--c', 'hf://a/b..c', 'hf://a/b.git'])
def test_names_that_the_hub_does_not_allow_are_refused(server, address):
  with pytest.raises(OptionError, match=f'{address}: not an address: '):
    hub.fetch(address, LARGEST)
  assert server.asked == []


def test_while_the_hub_is_out_of_order_the_last_copy_is_used(server, caplog):
  server.add('someone/lungs', {hub.MODEL: CONTENT})
  hub.fetch(ADDRESS, LARGEST)
  server.fault = 'down'
  assert hub.fetch(ADDRESS, LARGEST).read_bytes() == CONTENT
  assert '500' in caplog.text and 'the copy from the last download is used' in caplog.text
  with pytest.raises(StorageError, match='could not be reached, or refused: .*500'):
    hub.fetch('hf://someone/other', LARGEST)


def test_the_hubs_reason_to_refuse_a_card_is_told(server):
  card = b'---\ntags: [a]\nlibrary_name: nodulax\n---\n'
  with pytest.raises(StorageError, match='Invalid metadata in README.md.* license') as error:
    hub.push(ADDRESS, {hub.MODEL: CONTENT, hub.CARD: card}, private=False)
  assert '\n' not in str(error.value)


def test_no_signature_of_an_address_is_told():
  error = OSError("no answer from 'https://cdn.example/model?Expires=1&Signature=secret' now")
  told = str(hub._failure(ADDRESS, error))
  assert 'secret' not in told and told.endswith("'https://cdn.example/model' now")


def test_a_push_takes_no_revision():
  with pytest.raises(OptionError, match='leave out @v1'):
    hub.push(f'{ADDRESS}@v1', {}, private=False)


def test_a_file_that_is_no_network_is_refused_unread(server):
  server.add('someone/lungs', {hub.MODEL: CONTENT})
  with pytest.raises(exported.ExportError, match='not an exported network'):
    nodulax.load(ADDRESS)


def test_without_the_extra_its_name_is_told(monkeypatch):
  monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
  with pytest.raises(StorageError, match=r"pip install -e '\.\[hub\]'"):
    nodulax.load(ADDRESS)
  with pytest.raises(StorageError, match=r"pip install -e '\.\[hub\]'"):
    hub.check(ADDRESS)
