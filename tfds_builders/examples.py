"""Turns inspected radiographs into examples, and examples into shards."""

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from array_record.python import array_record_module
from tensorflow_datasets.core import example_serializer

from nodulax.radiograph.reading import decode_radiograph, encode_png
from tfds_builders import schema
from tfds_builders.inspection import Inspection
from tfds_builders.locations import draw_ellipses, empty_mask_png
from tfds_builders.records import Record, SourceError, read_file
from tfds_builders.truth import decode_mask

_SHARD_BYTES = 64 * 2**20


@dataclasses.dataclass(frozen=True)
class Entry:
  """One radiograph to be written into a shard: all that is known of it except its pixels."""

  record: Record
  inspection: Inspection
  image_id: str
  patient_id: str
  source: str

  @property
  def stored_bytes(self) -> int:
    """An upper estimate of the image's size in a shard, before it is encoded."""
    look = self.inspection
    return look.file_bytes if look.passes_through else look.width * look.height * look.depth // 8


@dataclasses.dataclass(frozen=True)
class Shard:
  """One file to write: its path, its entries, and the depth of its features."""

  path: str
  entries: Sequence[Entry]
  depth: Literal[8, 16]


def divide(entries: Sequence[Entry]) -> list[list[Entry]]:
  """Divides entries into files; the order in which they are given does not matter.

  They are sorted by a hash of their identifiers, which mixes labels and patients, so that the first
  part of a split is a fair sample.
  """
  ordered = sorted(entries, key=lambda entry: hashlib.sha256(entry.image_id.encode()).digest())
  size = sum(entry.stored_bytes for entry in entries)
  count = min(len(entries), math.ceil(size / _SHARD_BYTES))
  bounds = [round(len(entries) * index / count) for index in range(count + 1)]
  return [ordered[start:stop] for start, stop in itertools.pairwise(bounds)]


def write_on_beam(shards: Sequence[Shard], runner: Any, options: Any) -> None:
  """Writes shards on an Apache Beam cluster, whose workers must see the images and the shards."""
  import apache_beam as beam  # an optional extra

  with beam.Pipeline(runner=runner, options=options) as pipeline:
    _ = pipeline | beam.Create(shards) | beam.Reshuffle() | beam.Map(write_shard)


def write_shard(shard: Shard) -> None:
  """Writes one ArrayRecord file of serialised examples; equal examples give equal files.

  Raises:
    SourceError: the disk is full, or a file has changed since it was inspected.
  """
  features = schema.features(shard.depth)
  serializer = example_serializer.ExampleSerializer(features.get_serialized_info())
  try:
    file = array_record_module.ArrayRecordWriter(shard.path, 'group_size:1')
    for example in examples(shard.entries):
      message = serializer.get_tf_example(features.encode_example(example))
      # By default, protocol buffers write their maps in random order.
      file.write(message.SerializeToString(deterministic=True))
    file.close()
  except RuntimeError as error:
    raise SourceError(f'a shard cannot be written; give --data_dir space: {error}') from error


def examples(entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
  """Yields examples as `schema.features` describes it.

  Raises:
    SourceError: a file has changed since it was inspected.
  """
  for entry in entries:
    record, inspection = entry.record, entry.inspection
    yield {
      'image': _image_png(entry),
      'label': record.label,
      'boxes': np.array(inspection.boxes, np.float32).reshape(-1, 4),
      'mask': _mask_png(entry),
      'location_known': record.located,
      'lung_box': np.array(inspection.lung_box, np.float32),
      'lung_box_found': inspection.lung_box_found,
      'image_id': entry.image_id,
      'patient_id': entry.patient_id,
      'sex': inspection.sex,
      'age': inspection.age,
      'view': inspection.view,
      'pixel_spacing_mm': np.array(inspection.spacing_mm, np.float32),
      'nodule_diameter_mm': record.diameter_mm,
      'zone': record.zone,
      'conspicuity': record.conspicuity,
      'source': entry.source,
    }


def _image_png(entry: Entry) -> bytes:
  assert entry.record.path is not None
  data = _read(entry.record.path, entry.record.name, entry.inspection.file_digest)
  if entry.inspection.passes_through:
    return data
  return encode_png(decode_radiograph(data, entry.record.name).pixels)


def _mask_png(entry: Entry) -> bytes:
  height, width = entry.inspection.height, entry.inspection.width
  if entry.record.mask is not None:
    name = f'the mask of {entry.record.name}'
    data = _read(entry.record.mask, name, entry.inspection.mask_digest)
    return encode_png(entry.inspection.turn.upright(decode_mask(data, name)))
  if entry.record.boxes:
    return encode_png(draw_ellipses(entry.inspection.boxes, height, width))
  return empty_mask_png(height, width)


def _read(path: str, name: str, digest: bytes) -> bytes:
  """The bytes of a file, which must not have changed since it was inspected."""
  data = read_file(path, name)
  if hashlib.sha256(data).digest() != digest:
    raise SourceError(f'{name}: the file changed while the shards were built; build them again')
  return data
