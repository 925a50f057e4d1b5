import collections

import numpy as np
import pytest

from tfds_builders.cohort import select, split_patients
from tfds_builders.records import Fault, Record, SourceError, Table


def record(key: str, label: str = 'normal', patient: str = '', **values) -> Record:
  values = {'path': f'/{key}'} | values
  return Record(key=key, name=key, patient=patient or key, label=label, **values)


def table(records: list[Record]) -> Table:
  return Table(
    {'images': len(records)}, {record.key: record.name for record in records}, list(records)
  )


def choose(records, **changes):
  arguments = {
    'seed': 0,
    'normals': 'all',
    'splitting': 'random',
    'exclude': (),
    'allow_missing': False,
    'one_a_patient': False,
    'where_missing': lambda record: 'look for it',
  }
  return select(table(records), **arguments | changes)


def hundred(nodules: int = 40) -> list[Record]:
  return [record(f'{n:03d}', 'nodule' if n < nodules else 'normal') for n in range(100)]


def counts(cohort):
  return {
    split: dict(collections.Counter(record.label for record in records))
    for split, records in cohort.splits.items()
  }


def test_splits_are_70_10_20_percent_of_the_patients_with_each_label():
  assert counts(choose(hundred(40))) == {
    'train': {'nodule': 28, 'normal': 42},
    'tune': {'nodule': 4, 'normal': 6},
    'test': {'nodule': 8, 'normal': 12},
  }


def test_each_patient_is_in_one_split_with_all_images():
  records = [
    record(f'{n:04d}', 'nodule' if n % 3 == 0 else 'normal', patient=f'P{n % 61}')
    for n in range(400)
  ]
  cohort = choose(records)
  patients = [{record.patient for record in records} for records in cohort.splits.values()]
  assert sum(map(len, patients)) == len(set.union(*patients)) == 61
  assert sorted(record.key for record in cohort.records) == sorted(r.key for r in records)


def test_a_patient_counts_as_nodule_when_any_image_shows_one():
  records = [record(f'{n}a', 'normal', patient=str(n)) for n in range(20)]
  records += [record(f'{n}b', 'nodule', patient=str(n)) for n in range(10)]
  splits = choose(records).splits
  sick = {str(n) for n in range(10)}
  for split, expected in {'train': 7, 'tune': 1, 'test': 2}.items():
    assert len({record.patient for record in splits[split]} & sick) == expected
    assert len({record.patient for record in splits[split]} - sick) == expected


def test_splits_depend_on_the_seed_and_on_nothing_else():
  records = hundred()
  keys = [[record.key for record in choose(records).splits['test']] for _ in range(2)]
  backwards = [record.key for record in choose(records[::-1]).splits['test']]
  other = [record.key for record in choose(records, seed=1).splits['test']]
  assert keys[0] == keys[1] == backwards
  assert keys[0] != other


def test_splits_stay_what_they_were_in_earlier_releases():
  labels = {f'P{n}': 'nodule' if n < 5 else 'normal' for n in range(10)}
  shares = {'train': 0.6, 'tune': 0.2, 'test': 0.2}
  split_of = split_patients(labels, shares, np.random.default_rng(7))
  # What NumPy's default_rng(7).permutation(5) gives, called twice.
  nodule, normal = ['P2', 'P0', 'P4', 'P1', 'P3'], ['P5', 'P6', 'P9', 'P8', 'P7']
  order = ['train'] * 3 + ['tune', 'test']
  expected = dict(zip(nodule, order, strict=True)) | dict(zip(normal, order, strict=True))
  assert split_of == expected


def test_as_many_normal_images_are_drawn_as_there_are_nodule_images():
  cohort = choose(hundred(30), normals='matched')
  assert collections.Counter(r.label for r in cohort.records) == {'nodule': 30, 'normal': 30}
  assert cohort.excluded == {'normal, not drawn': 40}
  other = choose(hundred(30), normals='matched', seed=1)
  assert {r.key for r in cohort.records} != {r.key for r in other.records}


def test_all_normal_images_are_taken_where_there_are_too_few():
  cohort = choose(hundred(70), normals='matched')
  assert collections.Counter(r.label for r in cohort.records) == {'nodule': 70, 'normal': 30}


def test_a_number_of_normal_images_is_drawn():
  cohort = choose(hundred(30), normals=12, splitting='test')
  assert counts(cohort) == {'test': {'nodule': 30, 'normal': 12}}


def test_official_test_list_is_kept_and_tune_carved_from_the_rest():
  records = [
    record(f'{n:03d}', 'nodule' if n % 2 else 'normal', part='test' if n < 20 else 'train_val')
    for n in range(100)
  ]
  cohort = choose(records, splitting='official')
  assert counts(cohort) == {
    'train': {'nodule': 35, 'normal': 35},
    'tune': {'nodule': 5, 'normal': 5},
    'test': {'nodule': 10, 'normal': 10},
  }
  assert {record.part for record in cohort.splits['test']} == {'test'}
  assert not cohort.faults


def test_official_lists_are_matched_with_normal_images_each_by_itself():
  records = [record(f't{n}', 'nodule', part='test') for n in range(10)]
  records += [record(f'v{n}', 'nodule', part='train_val') for n in range(20)]
  records += [record(f'n{n}', part='test') for n in range(50)]
  records += [record(f'm{n}', part='train_val') for n in range(50)]
  cohort = choose(records, splitting='official', normals='matched')
  assert counts(cohort)['test'] == {'nodule': 10, 'normal': 10}


def test_a_patient_on_two_official_lists_is_a_fault_of_each_image():
  records = [
    record(f'{n:03d}', 'nodule', part='test' if n < 20 else 'train_val') for n in range(50)
  ]
  records.append(record('again', patient='003', part='train_val'))
  faults = choose(records, splitting='official').faults
  assert {(fault.kind, fault.where) for fault in faults} == {
    ('patient under two splits', '003'),
    ('patient under two splits', 'again'),
  }


def test_missing_images_are_faults_of_the_drawn_cohort():
  records = [*hundred(), record('gone', path=None)]
  assert choose(records).faults == [Fault('image missing', 'gone', 'look for it')]


def test_missing_images_are_left_out_on_request_before_normal_images_are_drawn():
  records = [*hundred(40)[:60], *(record(f'gone{n}', path=None) for n in range(50))]
  cohort = choose(records, normals='matched', allow_missing=True)
  assert len(cohort.records) == 60
  assert not cohort.faults
  assert cohort.excluded == {'image missing': 50}
  assert ('gone7', 'image missing') in cohort.left_out


def test_one_image_of_each_patient_is_the_first_of_those_that_are_not_left_out():
  records = [
    record('a', patient='P'),
    record('b', 'nodule', patient='P'),
    record('c', 'nodule', patient='P'),
    record('d', 'nodule', patient='P', path=None),
    record('e', patient='Q'),
    record('f', patient='Q'),
  ]

  def chosen(**changes):
    cohort = choose(records, splitting='test', one_a_patient=True, **changes)
    return [record.key for record in cohort.records], cohort.excluded

  assert chosen() == (['b', 'e'], {'another image of the patient': 4})
  assert chosen(exclude={'b', 'e'})[0] == ['c', 'f']
  assert chosen(exclude={'b', 'c'})[0] == ['d', 'e']
  assert chosen(exclude={'b', 'c'}, allow_missing=True)[0] == ['a', 'e']


def test_the_exclusion_list_leaves_out_images_and_forgives_their_faults():
  source = table(hundred())
  source.names['bad'] = 'line 9'
  source.faults = [Fault('label unknown', 'line 9', 'correct it')]
  cohort = select(
    source,
    seed=0,
    normals='all',
    splitting='random',
    exclude={'003', 'bad'},
    allow_missing=False,
    one_a_patient=False,
    where_missing=lambda record: '',
  )
  assert '003' not in {record.key for record in cohort.records}
  assert cohort.excluded == {'on the exclusion list': 1}
  assert not cohort.faults


def test_an_exclusion_list_of_another_source_is_refused():
  with pytest.raises(SourceError, match='2 entries name no image') as error:
    choose(hundred(), exclude={'000', 'KIM.dcm', 'LEE.dcm'})
  assert 'KIM' not in str(error.value)


def test_a_split_that_nobody_falls_into_is_a_fault():
  faults = choose([record('1', 'nodule'), record('2')]).faults
  assert [(fault.kind, fault.where) for fault in faults] == [
    ('split empty', 'tune'),
    ('split empty', 'test'),
  ]


def test_faulty_images_leave_the_cohort_and_are_listed():
  cohort = choose(hundred())
  smaller = cohort.without_faulty(
    [
      Fault('image blank', '004', 'x'),
      Fault('box empty', '004', 'y'),
      Fault('image blank', '080', 'x'),
      Fault('label unknown', 'line 9', 'z'),
    ]
  )
  assert len(smaller.records) == 98
  assert smaller.left_out == [
    ('004', 'image blank'),
    ('080', 'image blank'),
    ('line 9', 'label unknown'),
  ]
  assert smaller.excluded == {
    'image blank, left out on request': 2,
    'label unknown, left out on request': 1,
  }
