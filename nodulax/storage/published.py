"""Downloads published weights once, checks their publisher's digest, and keeps them."""

import contextlib
import hashlib
import logging
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import pooch
import requests
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from nodulax.errors import OptionError
from nodulax.storage import folders
from nodulax.storage.bucket import StorageError

_KERAS = 'https://storage.googleapis.com/tensorflow/keras-applications/densenet/'
_TORCHVISION = 'https://download.pytorch.org/models/'
_TIMEOUT = 30  # seconds without a byte


class Published(NamedTuple):
  """A file that somebody publishes.

  Attributes:
    url: address of the file.
    algorithm: algorithm of the digest, 'md5' or 'sha256'.
    digest: digest of the file, in hexadecimal; for torchvision its first eight digits, which are in
      the file's name.
  """

  url: str
  algorithm: str
  digest: str


def _keras(size: str, digest: str) -> Published:
  name = f'densenet{size}_weights_tf_dim_ordering_tf_kernels_notop.h5'
  return Published(_KERAS + name, 'md5', digest)


def _torchvision(size: str, digest: str) -> Published:
  return Published(f'{_TORCHVISION}densenet{size}-{digest}.pth', 'sha256', digest)


# Keras's digests are those of keras/src/applications/densenet.py.
WEIGHTS = {
  'keras': {
    '121': _keras('121', '30ee3e1110167f948a6b9946edeeb738'),
    '169': _keras('169', 'b8c4d4c20dd625c148057b9ff1c1176b'),
    '201': _keras('201', 'c13680b51ded0fb44dff2d8f86ac8bb1'),
  },
  'torchvision': {
    '121': _torchvision('121', 'a639ec97'),
    '169': _torchvision('169', 'b2777c0a'),
    '201': _torchvision('201', 'c1103571'),
  },
}


# The weights for chest radiographs that launch/convert_torchxrayvision.py writes. They were trained
# on ChestX-ray14 among others, and expect pixels from -1024 to 1024.
CHEST = 'torchxrayvision'
CHEST_SIZE, CHEST_MEAN, CHEST_STD = '121', 0.5, 2.0**-11
CHEST_SEEN = 'nih_chestxray14'


def find_chest_weights(name: str) -> pathlib.Path:
  """The file of converted weights that `name` names: in the cache folder, or by its path.

  Raises:
    StorageError: there is no such file; the message says how to make one.
  """
  path = pathlib.Path(name)
  if name == CHEST:
    path = folders.home() / 'weights' / 'torchxrayvision-densenet121-res224-all.safetensors'
  if not path.is_file():
    raise StorageError(
      f'config.init.chest={name}: {path} is not there; where torch and torchxrayvision are '
      f'installed, python launch/convert_torchxrayvision.py --output={path} writes it'
    )
  return path


def find_weights(publisher: str, size: str) -> Published:
  """The weights that a publisher has for a DenseNet.

  Raises:
    OptionError: there are none of this size.
  """
  files = WEIGHTS[publisher]
  if size not in files:
    raise OptionError(
      f'config.init.imagenet={publisher} has weights for the sizes {", ".join(files)}, not for '
      f'config.model.size={size}'
    )
  return files[size]


def fetch(file: Published) -> pathlib.Path:
  """The file in the cache folder, downloaded if it is not there.

  Raises:
    StorageError: it could not be downloaded, or its digest is wrong; nothing of it is kept, and the
      message says where to put a copy.
  """
  folder = folders.home() / 'weights'
  name = file.url.split('/')[-1]
  path = folder / name
  if path.exists() and _digest(path, file).startswith(file.digest):
    return path
  pooch.get_logger().setLevel(logging.ERROR)  # it would report every download on stderr
  try:
    folder.mkdir(parents=True, exist_ok=True)
    with _progress(name) as progress:
      downloader = pooch.HTTPDownloader(progressbar=progress, chunk_size=1 << 18, timeout=_TIMEOUT)

      def download(url: str, output: str, pup: Any) -> None:
        downloader(url, output, pup)
        if not _digest(pathlib.Path(output), file).startswith(file.digest):
          raise StorageError(f'its {file.algorithm} is not {file.digest}')

      path.unlink(missing_ok=True)  # not the publisher's: damaged, or another file
      pooch.retrieve(file.url, known_hash=None, fname=name, path=folder, downloader=download)
  except (requests.RequestException, OSError) as error:
    raise StorageError(
      f'{file.url} could not be downloaded ({error}); try again, or put the file into {folder}, or '
      'give the path of a copy in config.init.imagenet'
    ) from error
  return path


def _digest(path: pathlib.Path, file: Published) -> str:
  with open(path, 'rb') as opened:
    return hashlib.file_digest(opened, file.algorithm).hexdigest()


class _Bar:
  """The progress bar that pooch updates, drawn by rich."""

  def __init__(self, progress: Progress, task: Any):
    self._progress, self._task = progress, task
    self.total: int | None = None

  def update(self, amount: int) -> None:
    self._progress.update(self._task, advance=amount, total=self.total)

  def reset(self) -> None:
    self._progress.reset(self._task)

  def close(self) -> None:
    """Does nothing: the progress ends with its block."""


@contextlib.contextmanager
def _progress(name: str) -> Iterator[_Bar]:
  columns = (TextColumn('{task.description}'), BarColumn(), DownloadColumn(), TimeRemainingColumn())
  with Progress(*columns, transient=True) as progress:
    yield _Bar(progress, progress.add_task(f'downloading {name}', total=None))
