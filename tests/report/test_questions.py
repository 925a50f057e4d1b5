"""The paper's two questions: each seed's p, the spread beside it, and no claim from one seed."""

import json

import numpy as np
import pandas as pd
import pytest

from nodulax.report import study_figures, write_report
from nodulax.report.questions import answers, questions
from nodulax.report.results import Evaluation, collect
from nodulax.report.study_tables import questions_table
from nodulax.statistics import roc
from tests.report.fake_runs import write_runs

SKILL = {'nih_image': 0.6, 'aihub_image': 2.0, 'nih_aihub_image': 1.5, 'nih_aihub_pixel': 1.5}


def run(model, test_set, seed, skill=None):
  """A run of a model on 60 radiographs; the skill says how far apart the classes are."""
  draw = np.random.default_rng([len(model), seed, len(test_set)])
  labels = np.arange(60) % 2
  scores = draw.normal(size=60) + (SKILL[model] if skill is None else skill) * labels
  table = pd.DataFrame(
    {
      'label': labels,
      'probability': 1 / (1 + np.exp(-scores)),
      'patient_id': [f'p{number}' for number in range(60)],
      'dice': np.nan,
    },
    index=[f'{test_set}{number}' for number in range(60)],
  )
  name = f'{model}_seed{seed}'
  return Evaluation(model, test_set, table, 0.5, run=name, seed=seed, in_study=True)


def study(seeds, models=tuple(SKILL)):
  sets = ('nih', 'nih_true', 'aihub', 'gmc', 'vindr')
  return collect(run(model, name, seed) for model in models for seed in seeds for name in sets)


def test_every_seed_is_tested_on_the_sets_that_nobody_learned_from():
  numbers = questions(study((0, 1, 2)))
  assert numbers[['set', 'seed']].to_numpy().tolist() == 2 * [
    [name, seed] for name in ('gmc', 'vindr') for seed in (0, 1, 2)
  ]
  row = numbers.iloc[4]  # the first question, VinBig, the second seed
  ours, theirs = (run(model, 'vindr', 1).cases for model in ('aihub_image', 'nih_image'))
  test = roc.delong_test(ours['label'], ours['probability'], theirs['probability'])
  assert row['auc_difference'] == pytest.approx(test.auc_a - test.auc_b) and test.auc_a > test.auc_b
  assert row['p'] == pytest.approx(test.p_value)


def test_the_spread_stands_beside_and_the_answer_is_counted():
  numbers = pd.DataFrame(
    {
      'question': 'Is it so?', 'set': 'gmc', 'seed': [0, 1, 2],
      'auc_difference': [0.03, 0.05, -0.02], 'p': [0.2, 0.01, 0.04], 'dice_difference': [0.1] * 3,
    }
  )  # fmt: skip
  (row,) = answers(numbers).to_dict('records')
  assert row['auc_difference_mean'] == pytest.approx(0.02)
  assert row['auc_difference_sd'] == pytest.approx(np.sqrt((0.01**2 + 0.03**2 + 0.04**2) / 2))
  assert (row['auc_difference_lowest'], row['auc_difference_highest']) == (-0.02, 0.05)
  assert row['answer'] == 'yes in 2 of 3 seeds, P < 0.05 in 1; no in 1 of 3 seeds, P < 0.05 in 1'
  shown = questions_table(numbers).shown.iloc[0]
  assert shown[['Seed 0', 'Seed 1', 'Seed 2', 'Mean', 'Range']].tolist() == [
    '+0.030, P 0.20', '+0.050, P 0.010', '−0.020, P 0.040', '+0.020', '−0.020 to 0.050',
  ]  # fmt: skip


def test_no_claim_rests_on_one_seed():
  numbers = questions(study((5,)))
  shown = questions_table(numbers).shown
  assert set(shown['Answer']) == {'one seed: no claim'} and set(shown['Range']) == {'–'}
  assert study_figures.questions_figure(numbers).alternative.count('one seed: no claim') == 4


def test_only_what_was_trained_from_the_same_seed_is_compared():
  models = [run('nih_image', 'gmc', seed) for seed in (0, 1)]
  models += [run('aihub_image', 'gmc', seed) for seed in (1, 2)]
  assert questions(collect(models))['seed'].tolist() == [1]
  assert questions(study((0,), ('nih_image', 'nih_aihub_pixel'))).empty  # neither question
  assert study_figures.questions_figure(questions(collect(models[:1]))) is None


def test_the_page_shows_it(tmp_path):
  models = {'nih_image': 0.6, 'aihub_image': 1.0}
  names = [f'{model}_{seed}' for model in models for seed in (0, 1)]
  for name in names:
    write_runs(tmp_path, {'gmc': 30}, {name: models[name[:-2]]}, pictures=0)
  runs = {name: {'model': name[:-2], 'seed': int(name[-1]), 'sweep': None} for name in names}
  (tmp_path / 'study.json').write_text(json.dumps({'runs': runs}))
  page = write_report(tmp_path)
  text = ' '.join(page.read_text().split())
  for words in (
    'href="#questions"', 'Do labels referenced to CT beat labels mined from reports?', 'Seed 1',
    'No claim about labelling rests on one seed.', 'of 2 seeds, P &lt; 0.05 in', 'Figure Q.',
  ):  # fmt: skip
    assert words in text, words
  assert 'Do pixel-level labels' not in text  # of models that are not there
  table = pd.read_csv(page.parent / 'tables' / 'table_q_questions.csv')
  assert table['seed'].tolist() == [0, 1] and table['p'].notna().all()
