"""The paper's two questions: each seed's p, the spread beside it, and no claim from one seed."""

import json

import numpy as np
import pandas as pd
import pytest

from nodulax.report import study_figures, write_report
from nodulax.report.questions import answers, questions, sentences
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
      'model_a': 'aihub_image', 'model_b': 'nih_image', 'auc_difference': [0.03, 0.05, -0.02],
      'p': [0.2, 0.01, 0.04], 'dice_difference': [0.1] * 3, 'mean_difference': 0.02,
      'mean_difference_low': -0.07, 'mean_difference_high': 0.11, 'mean_p': 0.44,
    }
  )  # fmt: skip
  (row,) = answers(numbers).to_dict('records')
  assert row['auc_difference_mean'] == pytest.approx(0.02)
  assert row['auc_difference_sd'] == pytest.approx(np.sqrt((0.01**2 + 0.03**2 + 0.04**2) / 2))
  assert (row['auc_difference_lowest'], row['auc_difference_highest']) == (-0.02, 0.05)
  assert row['answer'] == (
    'higher in 2 of 3 seeds, P < 0.05 in 1; not higher in 1 of 3 seeds, P < 0.05 in 1'
  )
  shown = questions_table(numbers).shown.iloc[0]
  assert shown[['Seed 0', 'Seed 1', 'Seed 2', 'Mean', '95 % interval', 'P', 'Range']].tolist() == [
    '+0.030, P 0.20', '+0.050, P 0.010', '−0.020, P 0.040', '+0.020', '−0.070 to +0.110', '0.44',
    '−0.020 to 0.050',
  ]  # fmt: skip


def rows_of(test_set, difference, low, high, p, seeds=(0, 1)):
  return pd.DataFrame(
    {
      'question': 'Is it so?', 'set': test_set, 'seed': seeds, 'model_a': 'aihub_image',
      'model_b': 'nih_image', 'auc_difference': difference, 'auc_difference_low': low,
      'auc_difference_high': high, 'p': p, 'dice_difference': 0.1, 'mean_difference': difference,
      'mean_difference_low': low, 'mean_difference_high': high, 'mean_p': p,
    }
  )  # fmt: skip


def test_the_first_screen_answers_in_a_sentence_with_effect_interval_and_seeds():
  numbers = pd.concat(
    [rows_of('gmc', 0.1, 0.05, 0.15, 0.0002), rows_of('vindr', 0.1, -0.1, 0.3, 0.2)]
  )
  assert sentences(numbers) == [
    (
      'Is it so?',
      'Yes on GMC; not shown on VinBig.',
      'Model 2 minus Model 1, AUC: +0.100 (95 % interval +0.050 to +0.150, P < 0.001) on GMC and '
      '+0.100 (95 % interval −0.100 to +0.300, P = 0.20) on VinBig; mean of 2 training seeds.',
    )
  ]
  ((_, verdict, _),) = sentences(rows_of('gmc', -0.1, -0.15, -0.05, 0.01))
  assert verdict == 'No, the opposite on GMC.'
  ((_, verdict, effect),) = sentences(rows_of('gmc', 0.1, 0.05, 0.15, 0.0002, seeds=(4,)))
  assert verdict == 'Open on GMC: one training seed is not enough.' and effect.endswith(
    '; one training seed.'
  )
  ((_, verdict, effect),) = sentences(rows_of('gmc', 0.1, np.nan, np.nan, np.nan))
  assert verdict == 'Not shown on GMC.' and '+0.100 (no interval) on GMC' in effect
  assert sentences(pd.DataFrame()) == []


def test_radiographs_and_seeds_count_in_the_interval_of_the_mean():
  results = study((0, 1, 2))
  row = questions(results).iloc[0]
  of = [
    np.array([run(model, 'gmc', seed).cases['probability'] for seed in (0, 1, 2)])
    for model in ('aihub_image', 'nih_image')
  ]
  test = roc.seeds_test(run('nih_image', 'gmc', 0).cases['label'], *of)
  assert row['mean_difference'] == pytest.approx(test.difference)
  assert row['mean_difference_low'] == pytest.approx(test.interval[0])
  assert row['mean_p'] == pytest.approx(test.p_value)


def test_no_claim_rests_on_one_seed():
  numbers = questions(study((5,)))
  shown = questions_table(numbers).shown
  assert set(shown['Seed by seed']) == {'one seed: no claim'} and set(shown['Range']) == {'–'}
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
    'No claim about labelling rests on one seed.', 'of 2 seeds, P &lt; 0.05 in',
    'The paper&#39;s two questions, seed by seed',
  ):  # fmt: skip
    assert words in text, words
  assert 'Do pixel-level labels' not in text  # of models that are not there
  table = pd.read_csv(page.parent / 'tables' / 'table_questions.csv')
  assert table['seed'].tolist() == [0, 1] and table['p'].notna().all()
