"""A split as the network sees it, preprocessed once and cached.

Decoding costs a hundred times more than augmenting, so epochs after the first read the preprocessed
crops from memory, or from a file that all worker processes share.
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from rich.progress import track

from nodulax.files import whole_folder
from nodulax.input import shards as shards_lib
from nodulax.input.shards import Case, Shards
from nodulax.radiograph.preprocessing import Preprocessing, input_fingerprint


@dataclasses.dataclass(frozen=True)
class Prepared:
  """A preprocessed split of N radiographs.

  Attributes:
    name: name of the shard set.
    split: 'train', 'tune' or 'test'.
    cases: the shard's entry for each radiograph, without pixels.
    images: u8[N, S, S].
    masks: u8[N, S, S], the share of each pixel that is nodule, times 255.
    truth_outside: f64[N], the mask's area outside the crop, in pixels of the crop.
    folder: folder of the cache; None if the arrays are in memory.
  """

  name: str
  split: str
  cases: list[Case]
  images: np.ndarray
  masks: np.ndarray
  truth_outside: np.ndarray
  folder: pathlib.Path | None

  def __len__(self) -> int:
    return len(self.cases)

  def digest(self) -> str:
    """The SHA-256 of all that is known of each radiograph: labels, boxes and names, in order."""
    cases = json.dumps([shards_lib.case_to_json(case) for case in self.cases])
    return hashlib.sha256(cases.encode()).hexdigest()

  def subset(self, chosen: Sequence[int]) -> 'Prepared':
    """Some of the radiographs, in memory."""
    return dataclasses.replace(
      self,
      cases=[self.cases[index] for index in chosen],
      images=np.asarray(self.images[chosen]),
      masks=np.asarray(self.masks[chosen]),
      truth_outside=self.truth_outside[chosen],
      folder=None,  # because the cache holds other radiographs
    )

  def truth(self, index: int) -> np.ndarray:
    """The pixels that are at least half nodule, bool[S, S].

    For a nodule too small for that, the pixels that hold most of it, so that no nodule vanishes.
    """
    mask = np.asarray(self.masks[index])
    return mask >= np.clip(mask.max(), 1, 128)

  def __reduce__(self) -> tuple:
    # A worker process opens the cache's files itself and is not sent a copy of the arrays.
    if self.folder is not None:
      return _load, (self.folder, self.name, self.split)
    return Prepared, tuple(getattr(self, field.name) for field in dataclasses.fields(self))


def prepare(
  shards: Shards, preprocessing: Preprocessing, cache_dir: str | os.PathLike = ''
) -> Prepared:
  """Preprocesses a split, or finds the finished result in `cache_dir`.

  Args:
    shards: the split.
    preprocessing: its parameters, with the shards' identity, are the cache's key.
    cache_dir: folder for the cached crops; '' keeps them in memory, for this process only.
  """
  if not cache_dir:
    return _fill(shards, preprocessing, None)
  folder = pathlib.Path(cache_dir) / f'{shards.name}-{shards.split}-{_key(shards, preprocessing)}'
  if not folder.exists():
    try:
      with whole_folder(folder) as unfinished:
        _fill(shards, preprocessing, unfinished)
    except OSError:
      if not folder.exists():  # otherwise another process finished the same work first
        raise
  return _load(folder, shards.name, shards.split)


def _key(shards: Shards, preprocessing: Preprocessing) -> str:
  """The cache's key: a digest of the shards' files and the preprocessing's parameters and code."""
  paths = sorted(shards.directory.iterdir())
  files = [(path.name, path.stat().length, path.stat().mtime) for path in paths]
  parameters = [dataclasses.asdict(preprocessing), input_fingerprint()]
  identity = json.dumps([files, shards.split, *parameters])
  return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _fill(shards: Shards, preprocessing: Preprocessing, folder: pathlib.Path | None) -> Prepared:
  """Preprocesses every radiograph of the split into memory, or into files in `folder`."""
  count, size = len(shards), preprocessing.image_size

  def empty(name: str) -> np.ndarray:
    shape = (count, size, size)
    if folder is None:
      return np.zeros(shape, np.uint8)
    return np.lib.format.open_memmap(folder / f'{name}.npy', 'w+', np.uint8, shape)

  images, masks, truth_outside = empty('images'), empty('masks'), np.zeros(count)

  def prepare_one(index: int) -> Case:
    case, pixels, mask = shards[index]
    images[index] = preprocessing.image(pixels, case.lung_box)
    if mask is not None:  # pages of the file that stay zero take no disk space
      masks[index] = preprocessing.mask(mask, case.lung_box)
      truth_outside[index] = preprocessing.truth_outside(mask, case.lung_box)
    return case

  # Decoding, resizing and CLAHE all release the GIL.
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
    try:
      done = threads.map(prepare_one, range(count))
      cases = list(track(done, f'preprocessing {shards.name} {shards.split}', total=count))
    except BaseException:  # otherwise leaving would wait for the whole split
      threads.shutdown(cancel_futures=True)
      raise
  if folder is not None:
    listing = {
      'cases': [shards_lib.case_to_json(case) for case in cases],
      'truth_outside': truth_outside.tolist(),
    }
    (folder / 'cases.json').write_text(json.dumps(listing))
  return Prepared(shards.name, shards.split, cases, images, masks, truth_outside, folder)


def _load(folder: pathlib.Path, name: str, split: str) -> Prepared:
  listing = json.loads((folder / 'cases.json').read_text())
  return Prepared(
    name,
    split,
    [shards_lib.case_from_json(values) for values in listing['cases']],
    np.load(folder / 'images.npy', mmap_mode='r'),
    np.load(folder / 'masks.npy', mmap_mode='r'),
    np.array(listing['truth_outside']),
    folder,
  )
