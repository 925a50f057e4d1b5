import hashlib
import os
import stat

import pytest

from tfds_builders.identifiers import Hasher, key_path, load_key
from tfds_builders.records import SourceError


def hmac_sha256(key: bytes, message: bytes) -> str:
  """RFC 2104, written out."""
  block = key.ljust(64, b'\0')
  inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + message).digest()
  return hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).hexdigest()


def test_hashes_are_hmac_sha256_of_source_kind_and_identifier():
  key = bytes(range(32))
  expected = hmac_sha256(key, b'gmc_nodule\0patient\0P17')[:16]
  assert Hasher(key, 'gmc_nodule').hash('patient', 'P17') == expected


def test_hashes_differ_between_keys_sources_and_kinds():
  hashes = {
    Hasher(bytes([key]) * 32, source).hash(what, 'P1')
    for key in (1, 2)
    for source in ('gmc_nodule', 'aihub_nodule')
    for what in ('patient', 'image')
  }
  assert len(hashes) == 8


def test_the_key_is_made_once_random_and_for_its_owner_alone(tmp_path):
  one = load_key(tmp_path / 'config' / 'hash.key', tmp_path / 'shards')
  other = load_key(tmp_path / 'other.key', tmp_path / 'shards')
  assert len(one) == 32
  assert one != other
  assert load_key(tmp_path / 'config' / 'hash.key', tmp_path / 'shards') == one
  assert stat.S_IMODE((tmp_path / 'config' / 'hash.key').stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != 'posix', reason='other systems have other permissions')
def test_a_key_that_others_can_read_is_refused(tmp_path):
  path = tmp_path / 'hash.key'
  load_key(path, tmp_path / 'shards')
  path.chmod(0o640)
  with pytest.raises(SourceError, match='others can read the key; run: chmod 600'):
    load_key(path, tmp_path / 'shards')


@pytest.mark.parametrize('content', [b'', b'short', bytes(33)])
def test_what_is_no_key_is_refused_and_left_as_it_is(tmp_path, content):
  path = tmp_path / 'hash.key'
  path.write_bytes(content)
  path.chmod(0o600)
  with pytest.raises(SourceError, match='not a key of 32 bytes'):
    load_key(path, tmp_path / 'shards')
  assert path.read_bytes() == content


def test_a_key_beside_the_shards_is_refused(tmp_path):
  with pytest.raises(SourceError, match='must not be beside the shards'):
    load_key(tmp_path / 'shards' / 'hash.key', tmp_path / 'shards')
  assert not (tmp_path / 'shards').exists()


def test_where_the_key_lies(monkeypatch, tmp_path):
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.setenv('NODULAX_HASH_KEY', '/run/secrets/key')
  assert str(key_path('')) == '/run/secrets/key'
  assert str(key_path('/given')) == '/given'
  monkeypatch.delenv('NODULAX_HASH_KEY')
  assert key_path(None) == tmp_path / '.config' / 'nodulax' / 'hash.key'
