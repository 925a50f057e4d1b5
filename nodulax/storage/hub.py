"""Exported networks on the Hugging Face Hub: hf://OWNER/NAME, or hf://OWNER/NAME@REVISION.

A repository holds the network in model.nodulax and its model card in README.md. Reading takes that
one file, checks it against the digest that the Hub lists, and keeps it in the cache folder. The
token is that of `hf auth login`, or the variable HF_TOKEN. Needs the extra `hub`.
"""

import hashlib
import importlib
import logging
import os
import pathlib
import re
import tempfile
from collections.abc import Mapping
from typing import Any

from nodulax.errors import OptionError, missing_extra
from nodulax.files import UNFINISHED
from nodulax.storage import folders
from nodulax.storage.bucket import StorageError

SCHEME = 'hf://'
MODEL = 'model.nodulax'
CARD = 'README.md'
_NAME = r'\w[\w.-]*'
_ADDRESS = re.compile(rf'{SCHEME}({_NAME}/{_NAME})(?:@({_NAME}(?:/{_NAME})*))?', re.ASCII)


def is_address(source: str | os.PathLike) -> bool:
  """Whether `source` names a repository of the Hub."""
  return os.fspath(source).startswith(SCHEME)


def library() -> Any:
  """The package huggingface_hub.

  Raises:
    StorageError: it is not installed.
  """
  logging.getLogger('huggingface_hub').setLevel(logging.ERROR)  # it warns of each try
  try:
    return importlib.import_module('huggingface_hub')
  except ImportError as error:
    raise StorageError(missing_extra(SCHEME, 'hub', error)) from error


def fetch(address: str, largest: int) -> pathlib.Path:
  """The path of a repository's network in the cache folder, downloaded if the Hub's is different.

  Where the Hub cannot be reached, or is out of order, a copy that was downloaded before is used,
  with a warning.

  Args:
    address: hf://OWNER/NAME, with @REVISION for a branch, tag or commit; main by default.
    largest: largest size in bytes that is downloaded.

  Raises:
    OptionError: it is not such an address.
    StorageError: it cannot be downloaded, or is not what the Hub lists; nothing of it is kept.
  """
  repository, revision = _parts(address)
  api = library().HfApi()
  path = folders.home() / 'hub' / repository / (revision or 'main') / MODEL
  try:
    found = api.model_info(repository, revision=revision, files_metadata=True)
  except Exception as error:  # of three libraries
    if path.is_file() and _may_pass(error):
      logging.warning('%s; the copy from the last download is used', _failure(address, error))
      return path
    raise _failure(address, error) from error
  listed = next((file for file in found.siblings or () if file.rfilename == MODEL), None)
  if listed is None or listed.size is None:
    raise StorageError(
      f'{address}: the repository has no {MODEL}; nodulax export --push writes one'
    )
  if listed.size > largest:
    raise StorageError(
      f'{address}: {MODEL} has {listed.size:,} bytes; at most {largest:,} are read'
    )
  if path.is_file() and _is_listed(path, listed):
    return path
  home = folders.home() / 'hub'
  home.mkdir(parents=True, exist_ok=True, mode=0o700)
  with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=home) as folder:
    try:
      arrived = api.hf_hub_download(repository, MODEL, revision=found.sha, local_dir=folder)
    except Exception as error:
      raise _failure(address, error) from error
    if not _is_listed(pathlib.Path(arrived), listed):
      raise StorageError(
        f'{address}: what arrived is not the {MODEL} that the Hub lists; try again'
      )
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(arrived, path)
  return path


def check(address: str) -> str:
  """The repository OWNER/NAME of an address to push to.

  Raises:
    OptionError: it is not an address, or it names a revision.
    StorageError: the extra is missing.
  """
  repository, revision = _parts(address)
  if revision:
    raise OptionError(f'{address}: a commit goes to the main branch; leave out @{revision}')
  library()
  return repository


def push(address: str, files: Mapping[str, pathlib.Path | bytes], *, private: bool) -> str:
  """Uploads files to a repository in one commit; makes the repository if there is none.

  Args:
    address: hf://OWNER/NAME.
    files: each file by its name in the repository.
    private: whether only its owner can see a new repository.

  Returns:
    The address with the commit as its revision.

  Raises:
    OptionError: it is not such an address, or it names a revision.
    StorageError: the files cannot be uploaded; the repository is as it was, or new and empty.
  """
  repository = check(address)
  hub = library()
  try:
    api = hub.HfApi()
    # None leaves it to the owner's default.
    api.create_repo(repository, private=private or None, exist_ok=True)
    commit = api.create_commit(
      repository,
      [hub.CommitOperationAdd(name, content) for name, content in files.items()],
      commit_message='A network exported by nodulax',
    )
  except Exception as error:  # of three libraries
    raise _failure(address, error) from error
  return f'{address}@{commit.oid}'


def _parts(address: str) -> tuple[str, str | None]:
  """The repository OWNER/NAME and the revision."""
  parts = _ADDRESS.fullmatch(address)
  if parts is None:
    raise OptionError(f'{address}: not an address; give {SCHEME}OWNER/NAME or with @REVISION')
  return parts[1], parts[2]


def _is_listed(path: pathlib.Path, listed: Any) -> bool:
  """Whether a file has the digest that the Hub lists: SHA-256 of a large file, else Git's."""
  if listed.lfs:
    with path.open('rb') as file:
      return hashlib.file_digest(file, 'sha256').hexdigest() == listed.lfs.sha256
  content = path.read_bytes()
  return hashlib.sha1(b'blob %d\0' % len(content) + content).hexdigest() == listed.blob_id


def _status(error: Exception) -> int | None:
  """The status of the HTTP response that an error is about."""
  return getattr(getattr(error, 'response', None), 'status_code', None)


def _may_pass(error: Exception) -> bool:
  """Whether an error may pass: the Hub did not answer, is down, or was asked too often."""
  status = _status(error)
  return status is None or status == 429 or status >= 500


def _failure(address: str, error: Exception) -> StorageError | OptionError:
  if type(error).__name__ == 'HFValidationError':
    return OptionError(f'{address}: not an address: {error}')
  if type(error).__name__ == 'RevisionNotFoundError':
    return StorageError(f'{address}: the repository has no such revision')
  if type(error).__name__ == 'GatedRepoError':
    return StorageError(
      f'{address}: its owner asks for your consent; give it at https://huggingface.co, and log in '
      'with `hf auth login` or set HF_TOKEN'
    )
  if _status(error) in (401, 403, 404):
    return StorageError(
      f'{address}: the Hub has no such repository, or not for your token ({_status(error)}); check '
      'the name, and log in with `hf auth login` or set HF_TOKEN'
    )
  # The query of an address may hold a signature, with which anybody could download the file.
  reason = re.sub(r'\?[^\s\']+', '', ' '.join(str(error).split())) or type(error).__name__
  return StorageError(f'{address}: the Hub could not be reached, or refused: {reason[:300]}')
