import math

import pytest

from tfds_builders import records
from tfds_builders.records import SourceError, files_in, read_csv


def table(tmp_path, text):
  path = tmp_path / 'table.csv'
  path.write_bytes(text.encode())
  return path


def test_a_table_is_read_with_line_numbers_and_without_blanks(tmp_path):
  path = table(tmp_path, '\ufeffa, b,,\r\n1 ,"x, y",,\r\n\r\n2,\r\n')
  faults = []
  assert list(read_csv(path, ['a'], ['b'], faults=faults)) == [
    (2, {'a': '1', 'b': 'x, y'}),
    (4, {'a': '2', 'b': ''}),
  ]
  assert not faults


def test_rows_of_another_length_are_told_one_by_one_and_the_others_read(tmp_path):
  path = table(tmp_path, 'a,b\n1,2,3\n4,5\n6\n')
  for image, where in (('', ('table.csv line 2', 'table.csv line 4')), ('a', ('1', '6'))):
    faults = []
    rows = list(read_csv(path, ['a', 'b'], faults=faults, image=image))
    assert rows == [(3, {'a': '4', 'b': '5'})]
    assert tuple(fault.where for fault in faults) == where
    assert [str(fault).split(': ', 1)[1].split(';')[0] for fault in faults] == [
      'table.csv line 2: 3 cells under 2 columns',
      'table.csv line 4: 1 cells under 2 columns',
    ]


@pytest.mark.parametrize(
  ('text', 'says'),
  [
    ('a,c\n1,2\n', "lacks the columns 'b' and has unknown columns 'c'"),
    ('a,b,extra\n1,2,3\n', "has unknown columns 'extra'"),
    ('a,b,a\n1,2,3\n', "has columns twice 'a'"),
    ('a,b\n1,"2\n', 'line 2: not a CSV table'),
    ('', 'the first line names none of the columns; it must name a, b'),
  ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, text, says):
  with pytest.raises(SourceError, match='table.csv') as error:
    list(read_csv(table(tmp_path, text), ['a', 'b'], faults=[]))
  assert says in str(error.value)


def test_a_table_without_a_header_does_not_give_its_first_row_away(tmp_path):
  path = table(tmp_path, 'scan.png,KIM^YOUNG,nodule\n')
  with pytest.raises(SourceError) as error:
    list(read_csv(path, ['image', 'patient_id'], faults=[]))
  assert 'KIM' not in str(error.value)


def test_other_encodings_and_absent_tables_are_refused(tmp_path):
  path = tmp_path / 'table.csv'
  path.write_bytes('a,b\n결절,1\n'.encode('euc-kr'))
  with pytest.raises(SourceError, match='UTF-8'):
    list(read_csv(path, ['a', 'b'], faults=[]))
  with pytest.raises(SourceError, match='absent.csv: there is no such file'):
    list(read_csv(tmp_path / 'absent.csv', ['a'], faults=[]))


def test_ages_that_nobody_reaches_are_unknown():
  assert records.parse_age('58') == 58
  assert math.isnan(records.parse_age('414'))
  assert math.isnan(records.parse_age(''))


@pytest.mark.parametrize(
  ('parse', 'text'),
  [
    (records.parse_age, '-1'),
    (records.parse_age, 'old'),
    (records.parse_number, 'inf'),
    (records.parse_number, 'nan'),
    (records.parse_length, '0'),
    (records.parse_length, '-0.0'),
    (records.parse_length, '1e-300'),
    (records.parse_length, '1e308'),
    (records.parse_sex, 'X'),
    (records.parse_view, 'LL'),
  ],
)
def test_cells_that_mean_nothing_are_refused(parse, text):
  with pytest.raises(ValueError):
    parse(text)


def test_files_are_found_by_name_in_several_folders(tmp_path):
  (tmp_path / 'one').mkdir()
  (tmp_path / 'one' / 'a.png').touch()
  (tmp_path / 'one' / 'folder.png').mkdir()
  assert files_in([tmp_path / 'one', tmp_path / 'absent']) == {
    'a.png': str(tmp_path / 'one' / 'a.png')
  }
