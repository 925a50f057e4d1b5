"""A study: several seeds, sweeps and true labels, from what evaluate wrote and study.json."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from statsmodels.stats.multitest import multipletests

from configs import virtual_study
from nodulax.report import ReportError, failures, seeds, study_figures, sweeps, write_report
from nodulax.report.drawing import panel_letters, panels
from nodulax.report.other_tools import read_predictions
from nodulax.report.reading import read_results
from nodulax.report.results import collect
from nodulax.report.studies import SWEEPS
from nodulax.report.true_labels import true_labels
from nodulax.statistics import roc
from nodulax.study import plan
from tests.report.fake_runs import write_csv, write_evaluation, write_runs, write_study

MODELS = {'nih_image': 0.8, 'nih_aihub_pixel': 2.0}


@pytest.fixture(scope='module')
def study(tmp_path_factory):
  """Two models from three seeds on two sets, two sweeps, and NIH's true labels."""
  folder = tmp_path_factory.mktemp('report') / 'study'
  return write_study(folder, {'nih': 60, 'gmc': 50}, MODELS)


@pytest.fixture(scope='module')
def results(study):
  return collect(read_results(study))


@pytest.fixture(scope='module')
def page(study):
  return write_report(study)


def predictions(study, run, test_set):
  return pd.read_csv(study / run / 'evaluation' / test_set / 'predictions.csv', index_col=0)


def auc_of(study, run, test_set):
  table = predictions(study, run, test_set)
  return metrics.roc_auc_score(table['label'], table['probability'])


def test_tables_show_the_first_seed_of_each_model(results):
  assert results.models == ('nih_image', 'nih_aihub_pixel')
  assert results.test_sets == ('nih', 'nih_true', 'gmc')
  assert [run.run for run in results] == ['nih_image_seed0', 'nih_aihub_pixel_seed0'] * 3
  assert {run.run for run in results.repeats['nih_image']} == {'nih_image_seed1', 'nih_image_seed2'}
  assert {run.sweep for run in results.varied} == set(SWEEPS)


def test_each_seed_and_the_spread_over_them(study, results):
  numbers = seeds.seeds(results)
  assert numbers[['set', 'model', 'seed']].drop_duplicates().shape[0] == len(numbers) == 3 * 2 * 3
  of_gmc = numbers[(numbers['set'] == 'gmc') & (numbers['model'] == 'nih_image')]
  aucs = [auc_of(study, f'nih_image_seed{seed}', 'gmc') for seed in range(3)]
  assert of_gmc['seed'].tolist() == [0, 1, 2]
  np.testing.assert_allclose(of_gmc['auc'], aucs, atol=1e-12)
  over = seeds.spreads(numbers).set_index(['set', 'model']).loc[('gmc', 'nih_image')]
  assert over['auc_mean'] == pytest.approx(np.mean(aucs))
  assert over['auc_sd'] == pytest.approx(np.std(aucs, ddof=1))
  assert (over['auc_lowest'], over['auc_highest']) == pytest.approx((min(aucs), max(aucs)))
  dices = [predictions(study, f'nih_image_seed{seed}', 'gmc')['dice'].mean() for seed in range(3)]
  assert over['dice_mean'] == pytest.approx(np.mean(dices))


def test_models_of_one_seed_are_tested_against_each_other(study, results):
  numbers = seeds.seed_pairs(results)
  assert numbers.groupby('set')['seed'].apply(list).to_dict() == {
    name: [0, 1, 2] for name in ('gmc', 'nih', 'nih_true')
  }
  of_gmc = numbers[numbers['set'] == 'gmc']
  for _, row in of_gmc.iterrows():
    a, b = (predictions(study, f'{model}_seed{row["seed"]}', 'gmc') for model in MODELS)
    test = roc.delong_test(a['label'], a['probability'], b['probability'])
    assert (row['auc_difference'], row['p']) == pytest.approx((test.difference, test.p_value))
    assert row['p_holm'] == row['p']  # one pair
  (over,) = seeds.agreement(of_gmc).to_dict('records')
  assert over['auc_difference_mean'] == pytest.approx(of_gmc['auc_difference'].mean())
  assert over['b_ahead'] == (of_gmc['auc_difference'] < 0).sum() and over['seeds'] == 3
  assert over['significant'] == (of_gmc['p'] < 0.05).sum()


def test_holm_is_over_the_pairs_of_a_set_and_seed(tmp_path):
  write_study(tmp_path, {'gmc': 80}, {'a': 0.6, 'b': 1.0, 'c': 1.6}, seeds=(3, 5))
  numbers = seeds.seed_pairs(collect(read_results(tmp_path)))
  for _, rows in numbers.groupby('seed'):
    assert len(rows) == 3
    np.testing.assert_allclose(rows['p_holm'], multipletests(rows['p'], method='holm')[1])


def test_sweeps_have_a_row_a_run_and_set(study, results):
  noise = sweeps.sweep(results, 'label_noise')
  of_gmc = noise[noise['set'] == 'gmc']
  # Every seed of the model as it is stands at the value that the sweep left unchanged.
  assert of_gmc[['value', 'seed']].to_numpy().tolist() == [
    [0, 0], [0, 1], [0, 2], [0.1, 0], [0.2, 0], [0.4, 0],
  ]  # fmt: skip
  assert set(noise['model']) == {'nih_aihub_pixel'}
  assert of_gmc['auc'].iloc[1] == pytest.approx(auc_of(study, 'nih_aihub_pixel_seed1', 'gmc'))
  assert of_gmc['auc'].iloc[-1] == pytest.approx(auc_of(study, 'nih_aihub_pixel_noise_0.4', 'gmc'))
  assert (of_gmc['auc_low'] < of_gmc['auc']).all() and (of_gmc['dice'] < of_gmc['dice_high']).all()
  size = sweeps.sweep(results, 'training_images')
  of_gmc = size[size['set'] == 'gmc']
  assert of_gmc[['value', 'seed']].to_numpy().tolist() == [
    [100, 0], [100, 1], [200, 0], [200, 1], [400, 0], [400, 1], [800, 0], [800, 1], [800, 2],
  ]  # fmt: skip


def test_a_sweeps_line_joins_runs_of_the_same_seeds(results, monkeypatch):
  """All but the value is the same; at the unchanged value there are other seeds too."""
  monkeypatch.setattr(study_figures, 'finish', lambda figure, *_: figure)
  for name, same in (('label_noise', {0}), ('training_images', {0, 1})):
    numbers = sweeps.sweep(results, name)
    axes = study_figures.sweep_figure(results, numbers).axes[0]
    (line,) = (
      line for line in axes.lines if line.get_label() == 'Model 4: NIH then AI-HUB, pixel labels'
    )
    of_nih = numbers[(numbers['set'] == 'nih') & numbers['seed'].isin(same)]
    expected = of_nih.groupby('value')['auc'].mean()
    np.testing.assert_allclose(line.get_xydata(), np.c_[expected.index, expected])
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    every = numbers[numbers['set'] == 'nih']
    assert left <= every['value'].min() and every['value'].max() <= right
    assert low <= every['auc_low'].min() and every['auc_high'].max() <= high


def test_a_study_as_nodulax_plans_it_is_understood(tmp_path):
  config = virtual_study.get_config()
  planned = plan.runs(config, tmp_path, {})
  plan.write_description(tmp_path, planned, config)
  names = ('aihub_image', 'aihub_image_seed1', 'aihub_image_label_noise_0.4')
  assert {run.name for run in planned} > set(names)
  write_runs(tmp_path, {'gmc': 40}, dict.fromkeys(names, 1.0))
  results = collect(read_results(tmp_path))
  assert results.models == ('aihub_image',)
  assert [run.seed for run in results.seeds_of('aihub_image', 'gmc')] == [0, 1]
  assert sweeps.sweep(results, 'label_noise')['value'].tolist() == [0, 0, 0.4]


def test_true_labels_stand_beside_the_given_ones(study, results):
  (row, _) = true_labels(results).to_dict('records')
  given, true = (predictions(study, 'nih_image_seed0', name) for name in ('nih', 'nih_true'))
  wrong = given['label'] != true['label']
  assert wrong.sum() == row['wrongly_nodule'] + row['wrongly_normal'] == 6
  assert row['wrongly_nodule'] == given['label'][wrong].sum() == 3
  assert (given['probability'] == true['probability']).all()
  assert row['auc'] == pytest.approx(auc_of(study, 'nih_image_seed0', 'nih'))
  assert row['auc_true'] == pytest.approx(auc_of(study, 'nih_image_seed0', 'nih_true'))
  called = true['probability'] >= 0.5
  assert row['sensitivity_true'] == pytest.approx(metrics.recall_score(true['label'], called))


def test_another_tools_file_is_held_against_the_labels_as_given(study, results, tmp_path):
  image_ids = predictions(study, 'nih_image_seed0', 'nih').index
  rows = [(image_id, 0.5) for image_id in image_ids]
  tool = write_csv(tmp_path / 'mine.csv', ('image_id', 'probability'), rows)
  (evaluation,) = read_predictions(tool, results)
  assert evaluation.test_set == 'nih'


def test_suspects_are_held_against_the_truth_where_it_is_known(study, results):
  table = failures.suspects(results)
  assert set(table['set']) == {'nih', 'gmc'}  # what is true is not suspected
  truth = predictions(study, 'nih_image_seed0', 'nih_true')['label']
  of_nih = table[table['set'] == 'nih'].set_index('image_id')
  assert (of_nih['true_label'] == truth[of_nih.index]).all()
  assert table.loc[table['set'] == 'gmc', 'true_label'].isna().all()


def test_a_sets_true_labels_share_its_letter():
  assert panel_letters(['nih', 'nih_true', 'gmc', 'vindr']) == {
    'nih': 'A', 'nih_true': 'A′', 'gmc': 'B', 'vindr': 'C',
  }  # fmt: skip
  assert panel_letters(['nih_true']) == {'nih_true': 'A'}


def test_there_is_a_panel_a_set_and_no_other(results):
  figure = panels(results, lambda *_: True, lambda axes: None, size=(2, 2))
  assert len(figure.axes) == len(results.test_sets) == 3


def test_the_page_shows_it_in_plain_words(page):
  text = ' '.join(page.read_text().split())
  for words in (
    'NIH, true labels', 'Spread between training seeds', 'seed by seed', 'AUC, seed 1',
    'Results by label noise', 'Results by training radiographs', 'Labels as given and true labels',
    'of 3 seeds', 'no claim rests on one seed', 'mean of 3 seeds', '3 wrongly normal',
    'one training run of each model (seed 0)', 'href="#training"', 'href="#sweeps"',
    'href="#true_labels"',
  ):  # fmt: skip
    assert words in text, words
  assert 'noise_0.4' not in text and 'nih image seed1' not in text
  keys = {path.stem for path in (page.parent / 'tables').glob('*.tex')}
  assert {
    'table_seeds', 'table_seed_comparisons', 'table_label_noise', 'table_training_images',
    'table_true_labels',
  } <= keys  # fmt: skip
  figures = {path.stem for path in (page.parent / 'figures').glob('*.png')}
  assert {'figure_seeds', 'figure_label_noise', 'figure_training_images'} <= figures
  numbers = json.loads((page.parent / 'numbers.json').read_text())
  assert len(numbers['tables']['table_seeds']) == 18


def test_one_run_of_each_model_makes_no_claim(report):
  text = ' '.join((report / 'index.html').read_text().split())
  assert 'Each model was trained once.' in text and 'one training run each' in text
  assert all(f'href="#{name}"' not in text for name in ('training', 'sweeps', 'true_labels'))
  assert 'Spread between training seeds' not in text


def test_an_unfinished_study_is_reported_as_far_as_it_is(tmp_path):
  write_study(tmp_path, {'gmc': 40}, MODELS)
  for run in ('nih_image_seed1', 'nih_image_seed2', 'nih_aihub_pixel_seed0'):
    shutil.rmtree(tmp_path / run)
  for folder in tmp_path.glob('*_noise_*'):
    shutil.rmtree(folder)
  results = collect(read_results(tmp_path))
  assert [run.run for run in results.on('gmc')] == ['nih_image_seed0', 'nih_aihub_pixel_seed1']
  assert set(seeds.seeds(results)['model']) == {'nih_aihub_pixel'}
  assert seeds.seed_pairs(results).empty and sweeps.sweep(results, 'label_noise').empty
  assert 'figure_label_noise' not in write_report(tmp_path).read_text()


def test_a_run_that_the_study_does_not_list_is_a_model_of_its_own(study, tmp_path):
  folder = shutil.copytree(study, tmp_path / 'study', ignore=shutil.ignore_patterns('report'))
  write_evaluation(folder / 'mine' / 'evaluation' / 'gmc', 50, seed=sum(map(ord, 'gmc')))
  assert collect(read_results(folder)).models == ('nih_image', 'nih_aihub_pixel', 'mine')
  (folder / 'mine').rename(folder / 'nih_image')
  with pytest.raises(ReportError, match='does not list the run nih_image'):
    read_results(folder)


def run(**values):
  return {'model': 'm', 'seed': 0, 'sweep': None, 'value': None} | values


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('{', 'not JSON'),
    ('[]', 'no "runs"'),
    ({'a': []}, 'run a: it must have model, seed, sweep, value'),
    ({'a': run(colour=1)}, 'run a: it must have model'),
    ({'a': run(model='../x')}, 'model must be a plain name'),
    ({'a': run(seed='0')}, 'seed must be a whole number'),
    ({'a': run(sweep='moon')}, 'sweep must be null or one of label_noise, training_images'),
    ({'a': run(sweep='label_noise', value=20)}, 'value must be a number from 0 to 1'),
    ({'a': run(sweep='training_images')}, 'value must be a number from 1 to'),
    ({'a': run(), 'b': run()}, 'a and b are the same model'),
  ],
)
def test_an_unfit_study_is_refused(tmp_path, text, message):
  write_evaluation(tmp_path / 'a' / 'evaluation' / 'gmc', 4)
  text = text if isinstance(text, str) else json.dumps({'runs': text})
  (tmp_path / 'study.json').write_text(text)
  with pytest.raises(ReportError, match=message) as error:
    read_results(tmp_path)
  assert 'study.json' in str(error.value)


def test_without_a_study_runs_of_one_config_are_seeds_of_one_model(tmp_path):
  for seed, skill in enumerate((1.0, 1.1, 1.2)):
    provenance = {'config': {'seed': seed}}
    write_runs(tmp_path, {'gmc': 40}, {f'seed{seed}': skill}, provenance=provenance)
  results = collect(read_results(tmp_path))
  assert results.models == ('seed0',)
  assert seeds.seeds(results)['seed'].tolist() == [0, 1, 2]


def test_runs_of_one_config_and_seed_are_models_of_their_own(tmp_path):
  """They differ by something that is not recorded, such as the folder of their shards."""
  for run_name in ('ward_1', 'ward_2'):
    write_runs(tmp_path, {'gmc': 40}, {run_name: 1}, provenance={'config': {'seed': 0}})
  results = collect(read_results(tmp_path))
  assert results.models == ('ward_1', 'ward_2') and not results.repeats
