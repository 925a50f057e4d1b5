"""The checklists say what is in the report, and nothing else."""

import json

import pandas as pd
import pytest

from nodulax.report import write_report
from nodulax.report.checklists import AUTHOR, DATA, PROGRAM
from tests.report.fake_runs import cohort, write_csv, write_evaluation, write_runs, write_study


def answers(page):
  """The answers of a report by guideline and item."""
  table = pd.read_csv(page.parent / 'tables' / 'table_checklists.csv', dtype=str)
  return table.assign(guideline=table['guideline'].str.split().str[0]).set_index(
    ['guideline', 'item']
  )


@pytest.fixture(scope='module')
def of_another_tool(tmp_path_factory):
  """One tool on a set of its own, with labels and probabilities alone."""
  folder = tmp_path_factory.mktemp('tool')
  rows = [(f'x{i}', (7 * i % 40) / 40, 'ward', i % 2, f'p{i}') for i in range(40)]
  header = ('image_id', 'probability', 'set', 'label', 'patient_id')
  tool = write_csv(folder / 'theirs.csv', header, rows)
  (folder / 'runs').mkdir()
  return answers(write_report(folder / 'runs', predictions=[tool]))


def test_nothing_is_said_of_how_another_tool_works(of_another_tool):
  assert set(of_another_tool['filled']) == {DATA, AUTHOR}
  said = ' '.join(of_another_tool['answer'])
  for word in ('DenseNet', 'Adam', 'nodulax', 'Youden', 'tune split', 'Dice', 'free-response',
               'Sensitivity', 'sensitivity', 'failures.csv', 'Holm', 'Heat maps'):  # fmt: skip
    assert word not in said, word
  assert of_another_tool.loc[('CLAIM', '28'), 'answer'] == (
    'AUC, expected calibration error, Brier score, net benefit '
    '(Table 3, Table 4, Figure 2, Figure 5).'
  )
  assert of_another_tool.loc[('CLAIM', '6'), 'answer'] == 'Evaluation of one model on ward.'
  for item in ('30', '31', '22', '25'):  # robustness, explanation, model, training
    assert of_another_tool.loc[('CLAIM', item), 'filled'] == AUTHOR


def test_answers_of_the_program_name_the_models_for_which_they_hold(tmp_path):
  folder = write_evaluation(tmp_path / 'nih_image' / 'evaluation' / 'gmc', 40)
  about = json.loads((folder / 'metrics.json').read_text())
  about['provenance'] = {'config': {'seed': 0}}
  (folder / 'metrics.json').write_text(json.dumps(about))
  alone = answers(write_report(tmp_path))
  rows = [(f'gmc_{i:05d}', i / 40) for i in range(40)]
  tool = write_csv(tmp_path / 'mine.csv', ('image_id', 'probability'), rows)
  beside = answers(write_report(tmp_path, predictions=[tool]))
  ours = alone.loc[('CLAIM', '22')]
  assert ours['filled'] == PROGRAM and 'in the config of the model card' in ours['answer']
  assert beside.loc[('CLAIM', '22'), 'answer'] == f'For Model 1: {ours["answer"]}'
  # The truth of a set is as its builder says; this one has no normal radiographs to draw.
  assert alone.loc[('CLAIM', '14'), 'answer'].startswith('GMC: chest CT.')
  assert alone.loc[('CLAIM', '10'), 'filled'] == AUTHOR


def test_a_config_that_was_not_recorded_is_not_referred_to(tmp_path):
  write_runs(tmp_path, {'nih': 30}, {'mine': 1}, provenance={'config': None})
  said = answers(write_report(tmp_path))
  assert said.loc[('CLAIM', '25'), 'answer'].endswith('not recorded by every evaluation.')
  assert said.loc[('CLAIM', '10'), 'answer'].endswith('with a seed: NIH.')


def test_a_study_refers_to_its_own_tables(tmp_path):
  write_study(tmp_path, {'nih': 40, 'gmc': 40}, {'a': 1.0, 'b': 2.0}, seeds=(0, 1))
  (tmp_path / 'a_seed0' / 'evaluation' / 'gmc' / 'cohort.json').write_text(json.dumps(cohort(40)))
  said = answers(write_report(tmp_path))
  robustness = said.loc[('CLAIM', '30'), 'answer']
  for words in (
    'nodule size, conspicuity, zone, sex, age, view (Table 14, Table 15)',
    'seeds (Table 5, Figure 5)', '(Table 12, Figure 6)', '(Table 13, Figure 7)', '(Table 6)',
  ):  # fmt: skip
    assert words in robustness
  assert said.loc[('TRIPOD+AI', '14'), 'answer'] == 'Results by sex, age, view (Table 15).'
  assert 'NIH 40 radiographs' in said.loc[('CLAIM', '7'), 'answer']
  assert 'true labels 40' not in said.loc[('CLAIM', '7'), 'answer']  # the same radiographs
  assert 'Unknown among 80 radiographs' in said.loc[('CLAIM', '12'), 'answer']
  assert 'images read 80' in said.loc[('CLAIM', '8'), 'answer']
  assert said.loc[('TRIPOD+AI', '20c'), 'filled'] == AUTHOR  # no training split is counted
