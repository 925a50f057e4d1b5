"""Finds radiographs that another shard set also holds, so that no network is tested on its own
training images."""

import concurrent.futures
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets.public_api as tfds
from rich.progress import track

from nodulax.radiograph.reading import decode_png
from tfds_builders.appearance import NEAR_DUPLICATE_BITS, fingerprint
from tfds_builders.cohort import Cohort
from tfds_builders.inspection import Inspection
from tfds_builders.records import Fault, SourceError


def parse_sets(text: str) -> list[pathlib.Path]:
  """The shard sets that --against names.

  Args:
    text: folders, separated by commas; each is the folder of a set, or one above it.

  Raises:
    SourceError: there are no shards in one of them, or several sets.
  """
  sets = []
  for name in filter(None, (part.strip() for part in text.split(','))):
    folder = pathlib.Path(name)
    found = [folder] if (folder / 'dataset_info.json').is_file() else []
    found = found or [path.parent for path in sorted(folder.glob('**/dataset_info.json'))]
    if len(found) != 1:
      raise SourceError(f'--against={name}: {len(found)} shard sets there; name the folder of one')
    sets += found
  return sets


def without_known(
  cohort: Cohort, looks: dict[str, Inspection], sets: Sequence[pathlib.Path]
) -> Cohort:
  """Leaves out the radiographs that look like one of other sets, and lists them.

  Args:
    cohort: cohort of the study.
    looks: the inspections of its images, by name.
    sets: folders of the other sets of shards.
  """
  faults = []
  records = [record for record in cohort.records if looks[record.name].fingerprint]
  for folder in sets:
    name, theirs = _fingerprints(folder)
    for record in records:
      own = np.frombuffer(looks[record.name].fingerprint, np.uint64)
      distance = np.bitwise_count(theirs ^ own).sum(axis=1, dtype=np.uint16)
      if distance.min(initial=NEAR_DUPLICATE_BITS + 1) <= NEAR_DUPLICATE_BITS:
        faults.append(Fault(f'looks like a radiograph of {name}', record.name, 'left out'))
  return cohort.without_faulty(faults)


def _fingerprints(folder: pathlib.Path) -> tuple[str, np.ndarray]:
  """A set's name, and the perceptual hashes of all its radiographs: u64[N, 4]."""
  builder = tfds.builder_from_directory(folder)
  skip = {'image': tfds.decode.SkipDecoding(), 'mask': tfds.decode.SkipDecoding()}
  sources = [
    builder.as_data_source(split, decoders=skip)
    for split, info in builder.info.splits.items()
    if info.num_examples
  ]
  places = [(source, index) for source in sources for index in range(len(source))]

  def one(place: tuple) -> bytes:
    source, index = place
    example = source[index]
    return fingerprint(decode_png(example['image'], example['image_id'].decode()))

  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
    hashes = list(
      track(threads.map(one, places), f'Looking at {builder.info.name}', total=len(places))
    )
  return builder.info.name, np.frombuffer(b''.join(hashes), np.uint64).reshape(-1, 4)
