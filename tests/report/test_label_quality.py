"""What `nodulax labels` found, in the report."""

import json
import re

import pandas as pd
import pytest

from nodulax.report import ReportError, write_report
from nodulax.report.label_quality import read_label_quality
from tests.report.fake_runs import write_label_files, write_runs


@pytest.fixture
def labels(tmp_path):
  return write_label_files(tmp_path / 'labels')


def test_everything_is_read(labels):
  found = read_label_quality([labels])
  assert found.audits[['images', 'expected_wrong', 'auc']].to_numpy().tolist() == [[60, 11.6, 0.88]]
  assert found.audit['image_id'].tolist() == [f'gmc_{n:05d}' for n in range(1, 11)]
  assert set(found.noise_rates['method']) == {'network alone', 'second reading'}
  assert found.noise_rates['wrong_nodule_high'].tolist() == [0.3, 0.3]
  assert found.corrected['measure'].tolist() == ['auc', 'sensitivity', 'specificity']
  assert (found.corrected['labelled'] == 0.73).all() and (
    found.corrected['corrected'] == 0.89
  ).all()
  budget, losses = found.studies
  assert '2 training seeds' in budget.caption and 'wrong 100 on gmc 0.75' in budget.alternative
  assert budget.png.startswith(b'\x89PNG') and budget.svg is None
  assert 'forward 0.2 on gmc 0.75' in losses.alternative and 'each loss' in losses.caption


def test_the_page_shows_them_without_patients(tmp_path):
  write_runs(tmp_path / 'runs', {'gmc': 60}, {'mine': 2.0}, pictures=0)
  labels = write_label_files(tmp_path / 'elsewhere')
  plain = write_report(tmp_path / 'runs').read_text()
  assert 'href="#labels"' not in plain
  page = write_report(tmp_path / 'runs', labels=[labels])
  text = ' '.join(page.read_text().split())
  for words in (
    'href="#labels"', 'audit: of 60 labels about 12 are wrong', 'AUC of 0.88 (0.80–0.93)',
    'Most suspect labels', '0.20 (0.10–0.30)', 'Test figures as labelled and corrected',
    '0.89 (0.76–1.00)', 'What reading labels again is worth',
  ):  # fmt: skip
    assert words in text, words
  assert (page.parent / 'figures' / 'figure_budget_1.png').is_file()
  for path in page.parent.rglob('*.[chj]*'):
    assert not re.search(r'\bp000\d\d\b', path.read_text('utf-8')), path


def test_outputs_in_the_workdir_are_found(tmp_path):
  write_runs(tmp_path, {'gmc': 30}, {'mine': 2.0}, pictures=0)
  write_label_files(tmp_path / 'labels')
  text = write_report(tmp_path).read_text()
  assert 'How often labels are wrong' in text and text.count('gmc_00001') >= 1
  # What is given twice is shown once.
  again = write_report(tmp_path, labels=[tmp_path / 'labels'])
  assert len(pd.read_csv(again.parent / 'tables' / 'table_noise_rates.csv')) == 2


def test_other_json_files_are_passed_over(tmp_path):
  for name, text in (('list', '[1]'), ('broken', '{'), ('deep', '[' * 100_000), ('config', '{}')):
    (tmp_path / f'{name}.json').write_text(text)
  found = read_label_quality([tmp_path])
  assert found.audits.empty and found.noise_rates.empty and not found.studies


@pytest.mark.parametrize(
  ('value', 'message'),
  [
    ({'value': 2, 'low': 0, 'high': 1}, 'wrong_normal.value is .2.; it must be a number from 0'),
    ({'value': 0.1}, 'wrong_normal.low is .None.'),
    ('high', 'wrong_normal.value is .None.'),
    ({'value': True, 'low': 0, 'high': 1}, 'wrong_normal.value is .True.'),
  ],
)
def test_damaged_rates_are_refused(tmp_path, value, message):
  (tmp_path / 'rates.json').write_text(json.dumps({'method': 'second', 'wrong_normal': value}))
  with pytest.raises(ReportError, match=message) as error:
    read_label_quality([tmp_path])
  assert 'rates.json' in str(error.value)


def test_a_picture_that_is_none_is_refused(labels):
  (labels / 'study' / 'budget.png').write_bytes(b'<svg onload=alert(1)>')
  with pytest.raises(ReportError, match='not a PNG'):
    read_label_quality([labels])


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
  write_runs(tmp_path, {'gmc': 6}, {'mine': 1}, pictures=0)
  with pytest.raises(ReportError, match='there is no such folder'):
    write_report(tmp_path, labels=[tmp_path / 'nowhere'])


@pytest.mark.parametrize('images', [10**400, float('inf'), float('nan'), 'many'])
def test_counts_that_are_none_are_refused(labels, images):
  path = labels / 'audit' / 'audit.json'
  path.write_text(json.dumps(json.loads(path.read_text()) | {'images': images}))
  with pytest.raises(ReportError, match='audit.json: images is .*must be a number from 0 to 1e.09'):
    read_label_quality([labels])


def test_a_name_that_a_spreadsheet_would_run_is_refused(labels):
  path = labels / 'audit' / 'suspects.csv'
  path.write_text(path.read_text().replace('gmc_00002', '=HYPERLINK(0)'))
  with pytest.raises(ReportError, match='suspects.csv, line 3: image_id is .=HYPERLINK'):
    read_label_quality([labels])


def test_seeds_of_any_type_are_counted(labels):
  rows = [{'seed': seed, 'line': 'wrong', 'set': 'gmc', 'auc': 0.5} for seed in ([1], [1], {})]
  (labels / 'study' / 'budget.json').write_text(json.dumps({'results': rows}))
  budget, _ = read_label_quality([labels]).studies
  assert '2 training seeds' in budget.caption


def test_a_picture_that_would_unpack_to_gigabytes_is_refused(labels):
  path = labels / 'study' / 'budget.png'
  content = path.read_bytes()
  path.write_bytes(content[:16] + (100_000).to_bytes(4) * 2 + content[24:])
  with pytest.raises(ReportError, match='not a PNG of at most'):
    read_label_quality([labels])
