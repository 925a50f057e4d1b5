"""Selects the study's cohort from the tables of a source, and assigns it to splits.

Splits are decided here and nowhere else. They depend only on the tables and the seed: not on the
key of the hashes, the order of rows or the number of processes.
"""

import collections
import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from tfds_builders.records import Fault, Record, SourceError, Table

Normals = Literal['matched', 'all'] | int
Splitting = Literal['random', 'official', 'test']

MISSING = 'image missing'

_SHARES = {'train': 0.7, 'tune': 0.1, 'test': 0.2}
# The other shares if the test split is published: tune is still a tenth of everything.
_SHARES_BESIDE_TEST = {'train': 0.7, 'tune': 0.1}


@dataclasses.dataclass
class Cohort:
  """The cohort of a source.

  Attributes:
    table: the contents of the source's tables.
    splits: the radiographs of each split.
    excluded: how many images each rule kept out, in the order of the rules.
    left_out: (image, reason) for every image of the cohort that is left out: those on the exclusion
      list, missing ones and faulty ones.
    faults: why this cohort must not be built.
  """

  table: Table
  splits: dict[str, list[Record]]
  excluded: dict[str, int]
  left_out: list[tuple[str, str]]
  faults: list[Fault]

  @property
  def records(self) -> list[Record]:
    """All radiographs, split by split."""
    return [record for records in self.splits.values() for record in records]

  def empty_splits(self) -> list[Fault]:
    """A fault for each split without images."""
    return [
      Fault('split empty', split, 'there are too few patients for it; add some')
      for split, records in self.splits.items()
      if not records
    ]

  def splits_of_one_label(self) -> list[Fault]:
    """A suspicion for each split whose images all have the same label."""
    labels = {split: {record.label for record in of} for split, of in self.splits.items()}
    return [
      Fault(
        'split of one label',
        split,
        f'all its images are labelled {next(iter(found))}: nothing can be trained, tuned or tested '
        'on it; add images of the other label',
      )
      for split, found in labels.items()
      if len(found) == 1
    ]

  def without_faulty(self, faults: Iterable[Fault]) -> 'Cohort':
    """The cohort without the images that have a fault, which it lists."""
    reasons: dict[str, str] = {}
    for fault in faults:
      if fault.where not in self.splits:
        reasons.setdefault(fault.where, fault.kind)
    splits = {
      split: [record for record in records if record.name not in reasons]
      for split, records in self.splits.items()
    }
    excluded = self.excluded | {
      f'{kind}, left out on request': count
      for kind, count in collections.Counter(reasons.values()).items()
    }
    return Cohort(self.table, splits, excluded, [*self.left_out, *reasons.items()], [])


def select(
  table: Table,
  *,
  seed: int,
  normals: Normals,
  splitting: Splitting,
  exclude: Collection[str],
  allow_missing: bool,
  one_a_patient: bool,
  where_missing: Callable[[Record], str],
) -> Cohort:
  """Decides who is in the study, and in which split.

  Args:
    table: the contents of the source's tables.
    seed: for drawing normal images and for drawing splits.
    normals: 'matched' draws as many normal images as there are nodule images (all, if there are
      fewer); a number draws that many; 'all' takes all. If the source publishes splits, each
      is matched separately.
    splitting: 'random' draws 70 % of patients for train, 10 % for tune and 20 % for test,
      stratified by whether a patient has a nodule image; 'official' takes the source's own test
      split and draws tune from the rest; 'test' makes everything one test split.
    exclude: images to leave out, as the tables name them; their faults are ignored.
    allow_missing: whether missing images are left out and normal images drawn from those that are
      there; otherwise each missing image is a fault.
    one_a_patient: whether only one image of each patient is taken, of those not left out: the
      first with a nodule, else the first.
    where_missing: says where to get a missing image.

  Raises:
    SourceError: the exclusion list names images that the tables do not have.
  """
  if unknown := set(exclude) - table.names.keys():
    raise SourceError(
      f'--exclude: {len(unknown)} entries name no image of the source; '
      'write images as the table does, one per line'
    )
  kept_out: dict[str, list[Record]] = {'on the exclusion list': [], MISSING: []}
  present = []
  for record in sorted(table.records, key=lambda record: record.key):
    if record.key in exclude:
      kept_out['on the exclusion list'].append(record)
    elif allow_missing and record.path is None:
      kept_out[MISSING].append(record)
    else:
      present.append(record)
  candidates = _one_of_each_patient(present) if one_a_patient else present
  chosen = _with_drawn_normals(candidates, normals, np.random.default_rng((seed, 0)))
  counts = {rule: len(records) for rule, records in kept_out.items()}
  counts['another image of the patient'] = len(present) - len(candidates)
  counts['normal, not drawn'] = len(candidates) - len(chosen)
  excluded = table.excluded | {rule: count for rule, count in counts.items() if count}
  left_out = [(record.name, rule) for rule, records in kept_out.items() for record in records]
  forgiven = {table.names[key] for key in exclude}
  faults = [fault for fault in table.faults if fault.where not in forgiven]
  faults += _patients_under_two_parts(chosen)
  faults += [
    Fault(MISSING, record.name, where_missing(record)) for record in chosen if record.path is None
  ]
  splits = _split(chosen, splitting, np.random.default_rng((seed, 1)))
  cohort = Cohort(table, splits, excluded, left_out, faults)
  cohort.faults += cohort.empty_splits()
  return cohort


def _one_of_each_patient(records: Sequence[Record]) -> list[Record]:
  """The first record of each patient that has a nodule, else the first, in the same order."""
  first: dict[str, Record] = {}
  for record in sorted(records, key=lambda record: record.label == 'normal'):
    first.setdefault(record.patient, record)
  return [record for record in records if first[record.patient] is record]


def _with_drawn_normals(
  records: Iterable[Record], normals: Normals, draw: np.random.Generator
) -> list[Record]:
  """All nodule images, and normal images drawn for each published split separately."""
  parts: dict[str, dict[str, list[Record]]] = collections.defaultdict(
    lambda: {'nodule': [], 'normal': []}
  )
  for record in records:
    parts[record.part][record.label].append(record)
  chosen = []
  for _, part in sorted(parts.items()):
    candidates = part['normal']
    match normals:
      case 'all':
        wanted = len(candidates)
      case 'matched':
        wanted = min(len(part['nodule']), len(candidates))
      case number:
        wanted = min(number, len(candidates))
    drawn = draw.choice(len(candidates), wanted, replace=False)
    chosen += part['nodule'] + [candidates[index] for index in sorted(drawn)]
  return chosen


def _patients_under_two_parts(records: Iterable[Record]) -> list[Fault]:
  parts = collections.defaultdict(set)
  for record in records:
    parts[record.patient].add(record.part)
  return [
    Fault(
      'patient under two splits',
      record.name,
      'its patient has images in two published splits; correct the lists or exclude the images',
    )
    for record in records
    if len(parts[record.patient]) > 1
  ]


def _split(
  records: Sequence[Record], splitting: Splitting, draw: np.random.Generator
) -> dict[str, list[Record]]:
  match splitting:
    case 'test':
      return {'test': list(records)}
    case 'random':
      drawn, shares = records, _SHARES
    case 'official':
      drawn = [record for record in records if record.part != 'test']
      shares = _SHARES_BESIDE_TEST
  with_nodule = {record.patient for record in drawn if record.label == 'nodule'}
  labels = {
    record.patient: 'nodule' if record.patient in with_nodule else 'normal' for record in drawn
  }
  split_of = split_patients(labels, shares, draw)
  splits: dict[str, list[Record]] = {split: [] for split in _SHARES}
  for record in records:
    published = splitting == 'official' and record.part == 'test'
    splits['test' if published else split_of[record.patient]].append(record)
  return splits


def split_patients(
  labels: Mapping[str, str], shares: Mapping[str, float], draw: np.random.Generator
) -> dict[str, str]:
  """Draws a split for every patient, separately for each label.

  Args:
    labels: label of each patient.
    shares: share of each split, in any unit.
    draw: the source of randomness.

  Returns:
    The split of every patient. Of `n` patients with a label, the first splits together get
    `round(n * their share)`, so that no split is off by more than one patient.
  """
  ends = np.cumsum(list(shares.values())) / sum(shares.values())
  split_of = {}
  for label in sorted(set(labels.values())):
    patients = sorted(patient for patient in labels if labels[patient] == label)
    order = [patients[index] for index in draw.permutation(len(patients))]
    bounds = [0, *(round(len(order) * end) for end in ends)]
    for split, start, stop in zip(shares, bounds, bounds[1:], strict=False):
      split_of.update(dict.fromkeys(order[start:stop], split))
  return split_of
