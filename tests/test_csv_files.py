"""Foreign CSV files: what is read, and that every fault says where it is."""

import numpy as np
import pytest

from nodulax.csv_files import CsvFile
from nodulax.errors import NodulaxError


@pytest.fixture
def read(tmp_path):
  def read(text, required=('name',), optional=None):
    path = tmp_path / 'some.csv'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return CsvFile(path, required, optional)

  return read


def test_columns_are_read_as_what_they_should_be(read):
  file = read('name,age,sex\n"a, b",61.5,male\n\nc,,\n')
  assert len(file) == 2 and file.lines == [2, 4]
  assert file.text('name') == ['a, b', 'c']
  assert file.choice('sex', ('female', 'male'), empty='unknown') == ['male', 'unknown']
  np.testing.assert_array_equal(file.numbers('age', 0, 150), [61.5, np.nan])
  assert file.text('absent', empty='unknown') == ['unknown'] * 2
  assert np.isnan(file.numbers('absent', 0, 1, required=True)).all()


def test_a_spreadsheets_byte_order_mark_is_no_part_of_a_name(read):
  assert read('\ufeffname\nx\n'.encode()).text('name') == ['x']


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('', 'the file is empty'),
    ('other\nx\n', 'column name is missing'),
    ('name,name\nx,y\n', 'a column appears twice: name'),
    ('name,colour\nx,red\n', 'unknown columns: colour; allowed are name, age'),
    ('name,age\nx,1\ny\n', 'line 3: 1 cells for 2 columns'),
    ('name,age\nx,1,2\n', 'line 2: 3 cells for 2 columns'),
    ('name\n"x\n', 'not a CSV file in UTF-8'),
    (b'name\n\xff\xfe\n', 'not a CSV file in UTF-8'),
  ],
)
def test_a_file_that_is_no_table_is_named(read, text, message):
  with pytest.raises(NodulaxError, match=message) as error:
    read(text, ('name',), ('age',))
  assert 'some.csv' in str(error.value)


@pytest.mark.parametrize('cell', ['', 'old', 'nan', 'inf', '-1', '151', '0x10'])
def test_a_cell_that_is_no_such_number_is_named(read, cell):
  file = read(f'name,age\nx,50\ny,{cell}\n')
  with pytest.raises(NodulaxError, match='line 3: age is .* a number from 0 to 150'):
    file.numbers('age', 0, 150, required=True)


def test_empty_and_unknown_words_are_named(read):
  file = read('name,sex\n ,F\n')
  with pytest.raises(NodulaxError, match='line 2: name is empty'):
    file.text('name')
  with pytest.raises(NodulaxError, match="line 2: sex is 'F'; it must be female or male"):
    file.choice('sex', ('female', 'male'), empty='unknown')


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(NodulaxError, match='absent.csv: there is no such file'):
    CsvFile(tmp_path / 'absent.csv', ())
