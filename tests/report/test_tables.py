"""How numbers are shown."""

import math

import pandas as pd
import pytest

from nodulax.report import accuracy, reading
from nodulax.report import table as tables
from nodulax.report import tables as layouts
from tests.report.fake_runs import write_runs


def row(value, low, high, nodule=100, normal=100):
  return pd.Series({'auc': value, 'auc_low': low, 'auc_high': high, 'nodule': nodule,
                    'normal': normal})  # fmt: skip


@pytest.mark.parametrize(
  ('numbers', 'text'),
  [
    (row(0.912, 0.887, 0.934), '0.91 (0.89–0.93)'),
    (row(0.912, 0.887, 0.934, nodule=24), '0.91 (0.89–0.93)†'),
    (row(-0.1, -0.2, 0.05), '−0.10 (−0.20 to 0.05)'),
    (row(-0.1, -0.2, -0.001), '−0.10 (−0.20 to 0.00)'),
    (row(1.0, math.nan, math.nan), '1.00 (–)'),
    (row(math.nan, math.nan, math.nan), '–'),
  ],
)
def test_an_estimate_is_shown_with_its_interval(numbers, text):
  assert tables.estimate(numbers, 'auc') == text


@pytest.mark.parametrize(
  ('name', 'counts'),
  [
    ('auc_difference', {'nodule': 100, 'normal': 24}),
    ('dice', {'nodule': 100, 'dice_images': 24}),
    ('dice_difference', {'dice_images': 24}),
    ('mean_sensitivity', {'nodules': 90, 'located': 24}),
    ('jafroc', {'located': 100, 'normal': 24}),
  ],
)
def test_an_interval_from_few_radiographs_is_marked(name, counts):
  numbers = {'nodule': 100, 'normal': 100} | counts
  few = pd.Series({name: 0.5, f'{name}_low': 0.4, f'{name}_high': 0.6} | numbers)
  enough = few.replace(24, 25)
  assert tables.estimate(few, name) == '0.50 (0.40–0.60)†'
  assert tables.estimate(enough, name) == '0.50 (0.40–0.60)'


@pytest.mark.parametrize(
  ('p', 'text'), [(0.0004, '<0.001'), (0.0123, '0.012'), (0.5, '0.50'), (math.nan, '–')]
)
def test_p_values(p, text):
  assert tables.p_value(p) == text


def test_files_of_a_table(tmp_path):
  numbers = pd.DataFrame({'set': ['a_b', 'a_b'], 'share': [0.123456789, 0.5]})
  shown = pd.DataFrame({'Set': ['a_b', 'a_b'], 'Share': ['12% (−1–2)†', '<0.001']})
  tables.Table('key', 'Table 9. Title', numbers, shown, grouped=True).write(tmp_path)
  assert '0.123456789' in (tmp_path / 'key.csv').read_text()
  latex = (tmp_path / 'key.tex').read_text()
  assert r'a\_b & 12\% ($-$1--2)\textsuperscript{\dag} \\' in latex
  assert '\n & $<$0.001' in latex  # the second row does not repeat the set
  assert r'\caption{Title}' in latex


def test_rows_of_a_group_stand_together():
  shown = pd.DataFrame({'Set': ['a', 'a', 'b'], 'Value': ['1', '2', '3']})
  grouped = tables.Table('key', 'title', shown, shown, grouped=True)
  assert grouped.groups() == [('a', 2, [['1'], ['2']]), ('b', 1, [['3']])]
  single = tables.Table('key', 'title', shown, shown, first=2)
  assert single.groups() == [('a', 1, [['1']]), ('a', 1, [['2']])] and single.left_out == 1


def test_models_that_saw_the_set_they_are_tested_on_are_named(tmp_path):
  seen = {'seen': 'nih_chestxray14'}
  write_runs(tmp_path, {'nih': 60}, dataset='nih_chestxray14', pictures=0, **seen)
  write_runs(tmp_path, {'gmc': 60}, dataset='gmc_nodule', pictures=0, **seen)
  numbers = accuracy.performance(reading.read_results(tmp_path))
  note = layouts.performance_table(numbers).note
  assert note.count('started from weights trained on radiographs of') == 1
  assert note.endswith('NIH is part of: these figures may be too high.')


def test_columns_of_numbers_are_known():
  columns = {
    'Set': ['NIH', 'GMC', 'GMC'], 'AUC': ['0.91 (0.89–0.93)†', '–', '0.63'], 'P': ['<0.001'] * 3,
    'Difference': ['−0.02 to 0.03', '+0.030, P 0.20', '–'], 'Nothing': ['–'] * 3,
    'Dice': ['0.41', '0.36 to 0.58', 'above 0.60'], 'Share': ['45% (12)', '1,234', '20 %'],
    'Size': ['up to 10 mm', '10 to 20 mm', '–'],
  }  # fmt: skip
  table = tables.Table('key', 'title', pd.DataFrame(columns), pd.DataFrame(columns))
  assert dict(zip(columns, table.numeric, strict=True)) == {
    'Set': False, 'AUC': True, 'P': True, 'Difference': True, 'Nothing': False, 'Dice': True,
    'Share': True, 'Size': False,
  }  # fmt: skip
