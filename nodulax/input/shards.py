"""Reads the shards that the builders wrote, without importing TensorFlow."""

import dataclasses
import math
from typing import Any, Literal

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from nodulax.errors import NodulaxError
from nodulax.radiograph.reading import decode_png
from nodulax.storage import folders


class ShardsError(NodulaxError):
  """Shards are missing, incomplete or not nodulax's; the message names folder and remedy."""


@dataclasses.dataclass(frozen=True)
class Case:
  """What a shard says about one radiograph, in addition to its pixels.

  Attributes:
    image_id: file name of a public image, keyed hash of a hospital's.
    patient_id: keyed hash.
    label: 1 with a nodule or mass, else 0.
    location_known: False for a nodule image whose nodules were not located.
    boxes: (x_min, y_min, x_max, y_max) of each located nodule, in pixels of the stored image.
    lung_box: the same four numbers around the lungs, without a margin.
    height, width: size of the stored image, in pixels.
    sex: 'female', 'male' or 'unknown'.
    age: in years; this and the numbers below are NaN if unknown.
    view: 'PA', 'AP' or 'unknown'.
    pixel_spacing_mm: (x, y) of the stored pixels, at the detector.
    nodule_diameter_mm: diameter of the largest nodule.
    zone, conspicuity: the source's own words, or 'unknown'.
    source: the builder's name.
  """

  image_id: str
  patient_id: str
  label: int
  location_known: bool
  boxes: tuple[tuple[float, ...], ...]
  lung_box: tuple[float, ...]
  height: int
  width: int
  sex: str
  age: float
  view: str
  pixel_spacing_mm: tuple[float, float]
  nodule_diameter_mm: float
  zone: str
  conspicuity: str
  source: str


class Shards:
  """One split of a shard set, with random access.

  Args:
    directory: the folder that holds `dataset_info.json`, or one above it with a single such folder;
      one in object storage is copied to this machine's disk.
    split: 'train', 'tune' or 'test'.

  Raises:
    ShardsError: there are no complete shards, no such split, or the split is empty.
  """

  def __init__(self, directory: epath.PathLike, split: str):
    self.directory = find_shards(folders.fetch(directory))
    self.split = split
    builder = tfds.builder_from_directory(self.directory)
    self.name = builder.info.name
    sizes = split_sizes(self.directory)
    if split not in sizes:
      available = ', '.join(sorted(sizes))
      raise ShardsError(
        f'{self.directory}: the split {split!r} is absent or empty; it has: {available or "none"}'
      )
    skip = tfds.decode.SkipDecoding()
    self._examples = builder.as_data_source(split, decoders={'image': skip, 'mask': skip})

  def __len__(self) -> int:
    return len(self._examples)

  def labels(self) -> list[int]:
    """The label of each radiograph, 1 with a nodule or mass, else 0; no pixels are decoded."""
    return [int(self._examples[index]['label']) for index in range(len(self))]

  def column(self, name: Literal['image_id', 'patient_id']) -> list[str]:
    """A text feature of each radiograph, such as its name; no pixels are decoded."""
    return [self._examples[index][name].decode() for index in range(len(self))]

  def __getitem__(self, index: int) -> tuple[Case, np.ndarray, np.ndarray | None]:
    """The case, its pixels u8|u16[H, W], and its mask u8[H, W] (None if nothing is marked)."""
    example = self._examples[index]
    image_id = example['image_id'].decode()
    pixels = decode_png(example['image'], image_id)
    mask = None
    if len(example['boxes']):
      mask = decode_png(example['mask'], f'the mask of {image_id}')
      if mask.shape != pixels.shape:
        raise ShardsError(
          f'{self.directory}: {image_id} has a mask of {mask.shape} for an image of '
          f'{pixels.shape}; build the shards again'
        )
    spacing_x, spacing_y = map(float, example['pixel_spacing_mm'])
    case = Case(
      image_id=image_id,
      patient_id=example['patient_id'].decode(),
      label=int(example['label']),
      location_known=bool(example['location_known']),
      boxes=tuple(tuple(map(float, box)) for box in example['boxes']),
      lung_box=tuple(map(float, example['lung_box'])),
      height=pixels.shape[0],
      width=pixels.shape[1],
      sex=example['sex'].decode(),
      age=float(example['age']),
      view=example['view'].decode(),
      pixel_spacing_mm=(spacing_x, spacing_y),
      nodule_diameter_mm=float(example['nodule_diameter_mm']),
      zone=example['zone'].decode(),
      conspicuity=example['conspicuity'].decode(),
      source=example['source'].decode(),
    )
    return case, pixels, mask


def split_sizes(directory: epath.PathLike) -> dict[str, int]:
  """How many radiographs each split of a shard set has, without empty splits.

  Raises:
    ShardsError: there are no complete shards.
  """
  splits = tfds.builder_from_directory(find_shards(directory)).info.splits
  return {name: split.num_examples for name, split in splits.items() if split.num_examples}


def describe_splits(directory: epath.PathLike) -> dict[str, Any]:
  """Identifies the splits train and tune of a shard set, as JSON.

  Returns:
    The name of the set, and for each split the number of radiographs in each of its files and its
    size in bytes.

  Raises:
    ShardsError: there are no complete shards.
  """
  info = tfds.builder_from_directory(find_shards(directory)).info
  return {'name': info.name} | {
    name: {'radiographs': list(split.shard_lengths), 'bytes': int(split.num_bytes)}
    for name, split in info.splits.items()
    if name in ('train', 'tune')
  }


def find_shards(directory: epath.PathLike) -> epath.Path:
  """The one folder at or below `directory` that holds finished shards.

  Raises:
    ShardsError: there is none, or more than one.
  """
  directory = epath.Path(directory)
  if (directory / 'dataset_info.json').exists():
    return directory
  # data_dir/name/config/version: at most three levels deep, and not into half-built ones.
  found = sorted(
    info.parent
    for depth in ('*', '*/*', '*/*/*')
    for info in directory.glob(f'{depth}/dataset_info.json')
    if not any(part.startswith('incomplete.') for part in info.parts)
  )
  if not found:
    raise ShardsError(
      f'{directory}: no finished shards here; build them with python -m tfds_builders build'
    )
  if len(found) > 1:
    listed = '\n  '.join(map(str, found))
    raise ShardsError(f'{directory}: several shard sets; name one of\n  {listed}')
  return found[0]


def case_to_json(case: Case) -> dict:
  """The case as a JSON object: NaN, which JSON lacks, becomes None."""

  def known(value: Any) -> Any:
    if isinstance(value, tuple):
      return [known(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value

  return {name: known(value) for name, value in dataclasses.asdict(case).items()}


def case_from_json(values: dict) -> Case:
  """The inverse of `case_to_json`."""

  def known(value: Any) -> Any:
    if isinstance(value, list):
      return tuple(known(item) for item in value)
    return math.nan if value is None else value

  return Case(**{name: known(value) for name, value in values.items()})
