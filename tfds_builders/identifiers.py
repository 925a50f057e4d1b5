"""Keyed hashes instead of identifiers: HMAC-SHA256 (RFC 2104) with a random key.

Without the key, no one can find out who is in the shards, not even by hashing every possible
patient number.
"""

import hashlib
import hmac
import os
import pathlib
import secrets

from tfds_builders.records import SourceError

KEY_VARIABLE = 'NODULAX_HASH_KEY'
_KEY_BYTES = 32
_DIGITS = 16


class Hasher:
  """Hashes the identifiers of one source.

  Args:
    key: 32 random bytes.
    source: name of the builder, so that patient 1 of one source differs from that of another.
  """

  def __init__(self, key: bytes, source: str):
    self._key = key
    self._source = source

  def hash(self, what: str, identifier: str) -> str:
    """Returns 16 hexadecimal digits for an identifier of the kind `what` ('patient' or 'image')."""
    message = '\0'.join((self._source, what, identifier)).encode()
    return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:_DIGITS]


def key_path(given: str | os.PathLike[str] | None) -> pathlib.Path:
  """The path of the key: as given, else `$NODULAX_HASH_KEY`, else in the user's configuration."""
  default = pathlib.Path.home() / '.config' / 'nodulax' / 'hash.key'
  return pathlib.Path(given or os.environ.get(KEY_VARIABLE) or default).expanduser()


def load_key(path: pathlib.Path, shards: pathlib.Path) -> bytes:
  """Reads the key; creates it at first use, random and readable only by its owner.

  Args:
    path: path of the key file.
    shards: the folder to which shards are written, which must not hold the key.

  Raises:
    SourceError: the key would be beside the shards, others can read it, it is not a key, or it can
      neither be read nor created.
  """
  if path.resolve().is_relative_to(shards.resolve()):
    raise SourceError(
      f'{path}: the key must not be beside the shards, where it would be copied with them; '
      f'give --hash_key or ${KEY_VARIABLE} another place'
    )
  try:
    with open(path, 'rb') as file:
      if os.name == 'posix' and os.fstat(file.fileno()).st_mode & 0o077:
        raise SourceError(f'{path}: others can read the key; run: chmod 600 {path}')
      key = file.read(_KEY_BYTES + 1)
  except FileNotFoundError:
    return _make_key(path)
  except OSError as error:
    raise _unusable(path, error) from error
  if len(key) != _KEY_BYTES:
    raise SourceError(
      f'{path}: not a key of {_KEY_BYTES} bytes; restore it from a backup, or remove it to have '
      'a new one made (patients then get other hashes than in earlier shards)'
    )
  return key


def _make_key(path: pathlib.Path) -> bytes:
  key = secrets.token_bytes(_KEY_BYTES)
  try:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb') as file:
      file.write(key)
  except OSError as error:
    raise _unusable(path, error) from error
  return key


def _unusable(path: pathlib.Path, error: OSError) -> SourceError:
  return SourceError(
    f'{path}: {error.strerror}; give --hash_key or ${KEY_VARIABLE} a file that can be read or made'
  )
