"""Checks every radiograph of a cohort, then all of them together."""

import collections
import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tfds_builders.appearance import near_duplicates
from tfds_builders.cohort import Cohort
from tfds_builders.inspection import Inspection, inspect
from tfds_builders.processes import map_images
from tfds_builders.records import Fault, Record, SourceError, Table

# How many images with the same fault a message names, and how many different faults of a kind.
_NAMED, _LISTED = 3, 20


class FaultySource(SourceError):
  """A source has faults; the message, only for the terminal, lists them."""

  def __init__(self, faults: Sequence[Fault], table: Table):
    super().__init__(
      f'{len(faults):,} faults\n{table.with_files(list_faults(faults))}\n'
      'Nothing was built. Correct them, or leave these images out: --allow_missing for those '
      'that are missing, --allow_faulty for the others.'
    )
    self.faults = faults


@dataclasses.dataclass(frozen=True)
class Validation:
  """What was found.

  Attributes:
    inspections: inspection of every radiograph of the cohort, by its name.
    faults: faults of the tables, the cohort and the images; with any, nothing may be built.
    suspects: what someone should look at.
  """

  inspections: dict[str, Inspection]
  faults: list[Fault]
  suspects: list[Fault]


def validate(cohort: Cohort, *, processes: int) -> Validation:
  """Reads every image and mask of the cohort once, in parallel processes."""
  records = cohort.records
  found = map_images(inspect, records, processes=processes, doing='Looking at every image')
  inspections = {record.name: look for record, look in zip(records, found, strict=True)}
  faults = [*cohort.faults, *(fault for look in found for fault in look.faults)]
  faults += _same_images(records, inspections)
  suspects = [*cohort.splits_of_one_label()]
  suspects += [suspect for look in found for suspect in look.suspects]
  suspects += _same_masks(records, found)
  suspects += _similar_images(cohort, inspections)
  return Validation(inspections, faults, suspects)


def _same_images(records: Sequence[Record], looks: dict[str, Inspection]) -> Iterator[Fault]:
  """A fault for each image whose pixels also belong to another patient or have another label."""
  same = collections.defaultdict(list)
  for record in records:
    if looks[record.name].digest:
      same[looks[record.name].digest].append(record)
  for group in same.values():
    for record in group:
      for what, question in (('patient', 'whose they are'), ('label', 'what they show')):
        others = [other.name for other in group if getattr(other, what) != getattr(record, what)]
        if others:
          yield Fault(
            f'one image, two {what}s',
            record.name,
            f'the same pixels as {", ".join(others)}; find out {question}, exclude the others',
            tuple(others),
          )
          break  # once it is clear whose image it is, so is its label


def _same_masks(records: Sequence[Record], found: Sequence[Inspection]) -> Iterator[Fault]:
  """A suspicion for each radiograph with the same mask as another one."""
  same = collections.defaultdict(list)
  for record, look in zip(records, found, strict=True):
    if look.mask_digest and record.label == 'nodule':
      same[look.mask_digest].append(record.name)
  for names in same.values():
    if len(names) > 1:
      for name in names:
        others = [other for other in names if other != name]
        yield Fault(
          'one mask, two images', name, f'the same mask as {others[0]}; look at it', tuple(others)
        )


def _similar_images(cohort: Cohort, looks: dict[str, Inspection]) -> Iterator[Fault]:
  """A suspicion for each pair of images of different patients that look alike but differ."""
  placed = [
    (record, split)
    for split, records in cohort.splits.items()
    for record in records
    if looks[record.name].fingerprint
  ]
  if not placed:
    return
  fingerprints = [np.frombuffer(looks[record.name].fingerprint, np.uint8) for record, _ in placed]
  for one, other in near_duplicates(np.stack(fingerprints)):
    (record, split), (similar, its_split) = placed[one], placed[other]
    same = looks[record.name].digest == looks[similar.name].digest
    if record.patient != similar.patient and not same:
      where = f'both in {split}' if split == its_split else f'in {split} and {its_split}'
      yield Fault(
        'maybe a duplicate',
        record.name,
        f'looks like {similar.name} of another patient ({where}); exclude one if they are the same',
        (similar.name,),
      )


def by_remedy(faults: Iterable[Fault]) -> dict[str, dict[str, list[Fault]]]:
  """Faults by kind and remedy, in order of their first occurrence."""
  kinds: dict[str, dict[str, list[Fault]]] = {}
  for fault in sorted(faults, key=_in_reading_order):
    kinds.setdefault(fault.kind, {}).setdefault(fault.remedy, []).append(fault)
  return kinds


def _in_reading_order(fault: Fault) -> str:
  """Sorts line 9 before line 10."""
  return re.sub(r'\d+', lambda number: number[0].zfill(20), fault.where)


def list_faults(faults: Iterable[Fault]) -> str:
  """Lists faults by kind; of many of one kind only the first, and how many more there are.

  Images with the same fault and remedy are counted together.
  """
  lines = []
  for kind, remedies in by_remedy(faults).items():
    lines.append(f'{kind}: {sum(map(len, remedies.values())):,}')
    for remedy, same in list(remedies.items())[:_LISTED]:
      named = ', '.join(fault.where for fault in same[:_NAMED])
      if len(same) > _NAMED:
        named = f'{len(same):,} images ({named}, ...)'
      lines.append(f'  {named}: {remedy}')
    if more := sum(map(len, list(remedies.values())[_LISTED:])):
      lines.append(f'  and {more:,} more of this kind; validate lists all in validation.json')
  return '\n'.join(lines)
