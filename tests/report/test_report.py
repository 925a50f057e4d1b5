"""The whole report: its files, what it survives and what it refuses."""

import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from nodulax import NOTICE
from nodulax.report import ReportError, write_report
from nodulax.report.highlights import highlights
from nodulax.report.table import Table
from tests.report.fake_runs import write_csv, write_evaluation, write_metrics, write_runs


class Links(html.parser.HTMLParser):
  """Whatever a page could load or lead to, and its images' alternative texts."""

  def __init__(self, text):
    super().__init__()
    self.loaded, self.led, self.images = [], [], []
    self.feed(text)

  def handle_starttag(self, tag, attributes):
    values = dict(attributes)
    self.loaded += [values[name] for name in ('src', 'srcset', 'data', 'poster') if name in values]
    self.led += [values['href']] if 'href' in values else []
    self.images += [values] if tag == 'img' else []


@pytest.fixture(scope='module')
def page(report):
  return (report / 'index.html').read_text()


def test_the_page_loads_nothing(page):
  links = Links(page)
  assert links.loaded and all(source.startswith('data:') for source in links.loaded)
  assert all(not re.match('[a-z]+:', target) for target in links.led)
  assert "default-src 'none'" in page
  assert '@import' not in page and 'url(' not in page


def test_tables_and_figures_are_numbered_as_they_appear(page):
  titles = re.findall(r'<h3[^>]*>(Table|Figure) (\d+)\. ', page)
  for kind in ('Table', 'Figure'):
    numbers = [int(number) for which, number in titles if which == kind]
    assert len(numbers) > 9 and numbers == list(range(1, len(numbers) + 1))


def test_every_link_leads_somewhere(page, report):
  for target in Links(page).led:
    if target.startswith('#'):
      assert f'id="{target[1:]}"' in page
    else:
      assert (report / target).is_file(), target


def test_every_image_has_an_alternative(page):
  images = Links(page).images
  assert all('alt' in image for image in images)
  assert all(image['alt'] for image in images if 'heat' not in image.get('class', ''))


def test_it_says_that_it_is_no_medical_device(page, report):
  assert page.count(NOTICE) >= 2
  assert (report / 'NOTICE.txt').read_text().strip() == NOTICE
  assert json.loads((report / 'numbers.json').read_text())['notice'] == NOTICE


def test_every_table_and_figure_has_its_files(page, report):
  tables = {path.stem for path in (report / 'tables').glob('*.tex')}
  assert tables == {path.stem for path in (report / 'tables').glob('*.csv')} - {'failures'}
  figures = {path.stem for path in (report / 'figures').glob('*.svg')}
  assert figures == {path.stem for path in (report / 'figures').glob('*.png')}
  assert all(f'id="{name}"' in page for name in (*figures, *tables))


@pytest.mark.parametrize('kind', ['Figure', 'Table'])
def test_figures_and_tables_are_numbered_as_they_appear(page, kind):
  titles = re.findall(rf'<h3[^>]*>{kind} (\d+)\. ', page)
  assert [int(number) for number in titles] == list(range(1, len(titles) + 1))
  assert len(titles) > 8
  mentioned = {int(number) for number in re.findall(rf'{kind} (\d+)', page)}
  assert mentioned <= set(range(1, len(titles) + 1))


def test_models_are_numbered_with_a_legend(page):
  assert '<dt>Model 1</dt><dd>NIH, image labels</dd>' in page
  assert '<dt>Model 4</dt><dd>NIH then AI-HUB, pixel labels</dd>' in page
  assert 'NIH, image<' not in page


def test_numbers_are_json_and_agree_with_the_tables(report):
  def refuse(constant):
    raise AssertionError(f'{constant} is no JSON')

  numbers = json.loads((report / 'numbers.json').read_text(), parse_constant=refuse)
  table = pd.read_csv(report / 'tables' / 'table_performance.csv')
  rows = numbers['tables']['table_performance']
  assert [row['auc'] for row in rows] == table['auc'].tolist()
  assert rows[0]['published_auc'] == 0.71 and rows[-1]['published_auc'] is None
  assert {curve['model'] for curve in numbers['curves']} == {'nih_image', 'nih_aihub_pixel'}
  assert len(numbers['curves'][0]['roc']['sensitivity']) == 201


def test_no_patient_is_named(report):
  for path in report.rglob('*'):
    if path.suffix in {'.html', '.json', '.csv', '.tex'}:
      assert not re.search(r'\bp000\d\d\b', path.read_text()), path


def test_it_shows_what_was_asked_for(page):
  for text in (
    'AUC, published', '0.36 to 0.58', 'P, Holm',
    'PPV', '90 % specificity', 'Flow of radiographs',
    'Free-response ROC', 'JAFROC', 'Decision curves',
    'Calibration error', 'behind heart', 'below diaphragm', 'Conspicuity', '80 years and above',
    'misses and', 'CLAIM 2024', 'TRIPOD+AI', 'For the author to fill.', 'Intended use',
    'abab', 'A remark.', 'normal, not drawn', 'seed = 0',
    '0.40; located tune images: 50', 'left to the author',
  ):  # fmt: skip
    assert text in page, text
  assert page.count('class="film') >= 12 and 'class="truth"' in page


def test_a_single_runs_report_takes_an_earlier_reports_place(runs, report, tmp_path):
  folder = shutil.copytree(report, tmp_path / 'report')
  (folder / 'figures' / 'old.svg').write_text('from another time')
  page = write_report(runs / 'nih_image', folder)
  assert not (folder / 'figures' / 'old.svg').exists()
  assert list(tmp_path.iterdir()) == [folder]
  text = ' '.join(page.read_text().split())
  assert 'nih_image: 1 model, 2 sets' in text and 'Models against each other' not in text


def test_something_else_is_never_overwritten(runs, tmp_path):
  (tmp_path / 'thesis.txt').write_text('ten years of work')
  with pytest.raises(ReportError, match='something other than a report'):
    write_report(runs, tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == ['thesis.txt']


def test_nothing_to_report_is_said_so(tmp_path):
  (tmp_path / 'nih_image' / 'evaluation').mkdir(parents=True)
  with pytest.raises(ReportError, match='nothing to report'):
    write_report(tmp_path)
  with pytest.raises(ReportError, match='prevalence must lie between 0 and 1'):
    write_report(tmp_path, prevalence=2)
  assert not (tmp_path / 'report').exists()


def test_few_radiographs_of_odd_names(tmp_path):
  """One class, two radiographs, a perfect model, no pictures, and names that want to be code."""
  odd = '<script>alert($x_1$)</script> & co'
  write_runs(tmp_path, {'one_class': 3}, {'a': 1, 'b': 2}, nodule_share=1.0, pictures=0)
  write_runs(tmp_path, {odd.replace('/', '|'): 2}, {odd.replace('/', '|'): 9}, pictures=0)
  shutil.rmtree(tmp_path / 'b' / 'evaluation' / 'one_class' / 'thumbnails')
  text = write_report(tmp_path, prevalence=0.02).read_text()
  assert '<script>alert' not in text
  assert '&lt;script&gt;alert($x 1$)' in text
  assert 'no AUC' in text and 'No failures with pictures.' in text


def test_a_run_without_a_config_has_a_card(tmp_path):
  """As `evaluate` writes it where the run has no config.json."""
  provenance = {'code_version': '0.1.0', 'data_sha256': 'ab' * 32, 'config': None}
  write_runs(tmp_path, {'gmc': 6}, {'mine': 1}, pictures=0, provenance=provenance)
  text = write_report(tmp_path).read_text()
  assert '<dd>0.1.0</dd>' in text and '<strong>Config</strong>' not in text


def test_another_tool_stands_beside(tmp_path):
  write_evaluation(tmp_path / 'run' / 'evaluation' / 'gmc', 40, pictures=40)
  rows = [(f'gmc_{number:05d}', (40 - number) / 41, 0.5) for number in range(40)]
  tool = write_csv(tmp_path / 'mine.csv', ('image_id', 'probability', 'threshold'), rows)
  page = write_report(tmp_path, predictions=[tool])
  table = pd.read_csv(page.parent / 'tables' / 'table_performance.csv').set_index('model')
  assert table.loc['mine', ['auc', 'sensitivity', 'specificity']].tolist() == [1, 1, 1]
  pairs = pd.read_csv(page.parent / 'tables' / 'table_pairs.csv')
  assert pairs[['model_a', 'model_b']].to_numpy().tolist() == [['mine', 'run']]
  assert 'another tool&#39;s predictions, as given' in page.read_text()


def test_a_model_is_ahead_only_where_the_difference_is_significant(tmp_path):
  write_runs(tmp_path / 'near', {'gmc': 60}, {'a': 1.0, 'b': 1.05}, pictures=0)
  write_runs(tmp_path / 'far', {'gmc': 200}, {'a': 0.2, 'b': 3.0}, pictures=0)
  near, far = (write_report(tmp_path / name).read_text() for name in ('near', 'far'))
  assert 'Ahead of' not in near and 'No significant difference from' in near
  assert 'Ahead of a' in far


def test_training_curves_are_drawn_where_a_run_kept_its_numbers(runs, tmp_path):
  folder = shutil.copytree(runs, tmp_path / 'runs', ignore=shutil.ignore_patterns('report'))
  write_metrics(folder / 'nih_image')
  page = write_report(folder)
  assert 'Training curves' in page.read_text()
  points = json.loads((page.parent / 'numbers.json').read_text())['training']
  aucs = [point['value'] for point in points if point['measure'] == 'tune_auc']
  kept = [
    json.loads(line)
    for line in (folder / 'nih_image' / 'metrics.jsonl').read_text().split('\n')[:-1]
  ]
  assert aucs == [line['tune_auc'] for line in kept if 'tune_auc' in line]
  assert {point['model'] for point in points} == {'nih_image'}
  (folder / 'nih_image' / 'metrics.jsonl').write_text('[1]\n')
  with pytest.raises(ReportError, match='metrics.jsonl, line 1: not a JSON object'):
    write_report(folder)


@pytest.mark.parametrize(
  'line', [f'{{"step": 1{"0" * 400}, "loss": 1}}', '[' * 100_000, '{"step": -1, "loss": 1}']
)
def test_a_damaged_log_of_metrics_is_named(tmp_path, line):
  write_runs(tmp_path, {'gmc': 6}, {'mine': 1}, pictures=0)
  (tmp_path / 'mine' / 'metrics.jsonl').write_text(line + '\n')
  with pytest.raises(ReportError, match='metrics.jsonl, line 1'):
    write_report(tmp_path)


def test_a_loss_beyond_all_numbers_is_not_drawn(tmp_path):
  write_runs(tmp_path, {'gmc': 6}, {'mine': 1}, pictures=0)
  lines = f'{{"step": 1, "loss": 1{"0" * 400}}}\n{{"step": 2, "loss": 0.5}}\n'
  (tmp_path / 'mine' / 'metrics.jsonl').write_text(lines)
  page = write_report(tmp_path)
  points = json.loads((page.parent / 'numbers.json').read_text())['training']
  assert [(point['step'], point['value']) for point in points] == [(2, 0.5)]


def test_the_best_model_on_average_is_not_ahead_of_one_that_beats_it():
  columns = {'set': 'gmc', 'images': 60, 'nodule': 30, 'normal': 30, 'auc_low': 0.5, 'auc_high': 1}
  performance = pd.DataFrame([{**columns, 'model': 'a', 'auc': 0.9},
                              {**columns, 'model': 'b', 'auc': 0.8}])  # fmt: skip
  pairs = pd.DataFrame([{'set': 'gmc', 'model_a': 'a', 'model_b': 'b', 'auc_difference': -0.1,
                         'p_holm': 0.01}])  # fmt: skip
  tables = {
    name: Table(name, name, numbers, numbers)
    for name, numbers in (('performance', performance), ('pairs', pairs))
  }
  (card,) = highlights(tables)
  assert card['model'] == 'a' and 'Behind b: −0.100, P 0.010' in card['remark']


def test_two_tools_without_any_run(tmp_path):
  header = ('image_id', 'probability', 'set', 'label', 'patient_id')
  tools = [
    write_csv(
      tmp_path / f'{name}.csv',
      header,
      [(f'x{i}', (i * step % 40) / 40, 'ward', i % 2, f'p{i}') for i in range(40)],
    )
    for name, step in (('ours', 7), ('theirs', 11))
  ]
  (tmp_path / 'empty').mkdir()
  page = write_report(tmp_path / 'empty', predictions=tools)
  table = pd.read_csv(page.parent / 'tables' / 'table_performance.csv')
  assert table[['set', 'model']].to_numpy().tolist() == [['ward', 'ours'], ['ward', 'theirs']]
  assert len(pd.read_csv(page.parent / 'tables' / 'table_pairs.csv')) == 1


def test_the_command_says_what_is_wrong(tmp_path):
  finished = subprocess.run(
    [sys.executable, '-m', 'nodulax.report', f'--workdir={tmp_path}'],
    capture_output=True,
    text=True,
    cwd=pathlib.Path(__file__).parents[2],
  )
  assert finished.returncode == 1
  assert re.match('nodulax: .* nothing to report', finished.stderr)
