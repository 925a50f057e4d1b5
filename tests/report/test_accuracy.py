"""Tables of numbers against hand and scikit-learn."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from statsmodels.stats.multitest import multipletests

from nodulax.report import accuracy, curves, figures
from nodulax.report.reading import read_results
from nodulax.report.results import Evaluation, collect


def cases(labels, probabilities, patients=None, **columns):
  """Radiographs in the form of predictions.csv."""
  count = len(labels)
  return pd.DataFrame(
    {
      'label': labels,
      'probability': np.asarray(probabilities, float),
      'patient_id': patients or [f'p{number}' for number in range(count)],
      'dice': np.nan,
      **columns,
    },
    index=[f'image{number}' for number in range(count)],
  )


def test_a_sets_numbers_by_hand():
  row = accuracy.measure(
    cases([1, 1, 1, 0, 0], [0.9, 0.6, 0.2, 0.5, 0.1], dice=[0.5, 0.7, np.nan, np.nan, np.nan]), 0.5
  )
  assert row['auc'] == pytest.approx(5 / 6)
  assert row['sensitivity'] == pytest.approx(2 / 3)
  assert row['sensitivity_low'] == pytest.approx(0.0943, abs=1e-4)  # Clopper-Pearson, 2 of 3
  assert row['sensitivity_high'] == pytest.approx(0.9916, abs=1e-4)
  assert row['specificity'] == 0.5
  assert row['dice'] == pytest.approx(0.6) and row['dice_images'] == 2
  assert (row['images'], row['nodule'], row['normal'], row['patients']) == (5, 3, 2, 5)


def test_against_scikit_learn(runs):
  results = collect(read_results(runs))
  for evaluation, (_, row) in zip(results, accuracy.performance(results).iterrows(), strict=True):
    assert (row['set'], row['model']) == (evaluation.test_set, evaluation.model)
    labels, scores = evaluation.cases['label'], evaluation.cases['probability']
    assert row['auc'] == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    assert row['auc_low'] < row['auc'] < row['auc_high']
    called = scores >= 0.5
    assert row['sensitivity'] == pytest.approx(metrics.recall_score(labels, called))
    assert row['specificity'] == pytest.approx(metrics.recall_score(labels, called, pos_label=0))
  by_pair = accuracy.performance(results).set_index(['model', 'set'])
  assert by_pair.loc[('nih_image', 'gmc'), 'published_auc'] == 0.71
  assert by_pair.loc[('nih_aihub_pixel', 'gmc'), 'published_dice'] == 'above 0.60'
  assert math.isnan(by_pair.loc[('nih_image', 'ward_7'), 'published_auc'])


@pytest.mark.parametrize(('label', 'known'), [(1, 'sensitivity'), (0, 'specificity')])
def test_of_one_class_there_is_its_own_rate_alone(label, known):
  row = accuracy.measure(cases([label] * 4, [0.9, 0.6, 0.2, 0.1]), 0.5)
  assert row[known] == 0.5 and row[f'{known}_low'] < 0.5 < row[f'{known}_high']
  other = {'sensitivity', 'specificity'} - {known}
  assert all(math.isnan(row[name]) for name in (*other, 'auc', 'auc_low', 'dice'))


def test_without_a_threshold_there_is_no_rate():
  row = accuracy.measure(cases([1, 0], [0.9, 0.1]), math.nan)
  assert row['auc'] == 1 and math.isnan(row['auc_low'])  # perfect: no interval
  assert math.isnan(row['sensitivity']) and math.isnan(row['specificity'])


def test_normals_stand_against_a_group_in_its_auc_alone():
  all_cases = cases([1, 1, 0, 0], [0.9, 0.3, 0.5, 0.1])
  row = accuracy.measure(all_cases[:2], 0.4, all_cases[2:])
  assert row['auc'] == 0.75 and row['sensitivity'] == 0.5 and math.isnan(row['specificity'])
  assert (row['nodule'], row['normal']) == (2, 2)


def evaluations(**of_model):
  """Evaluations of models on a set, from their cases."""
  return collect(
    [Evaluation(model, 'gmc', of_one, threshold=0.5) for model, of_one in of_model.items()]
  )


def three_models():
  """Two models on 60 radiographs and one that knows the first 50; a difference of 0.15 in Dice."""
  random = np.random.default_rng(0)
  labels = np.arange(60) % 2
  first = cases(labels, (labels + random.normal(size=60) + 4) / 10, dice=labels * 0.5)
  second = cases(labels, (random.normal(size=60) + 4) / 10, dice=labels * 0.2)
  return labels, {'a': first, 'b': second, 'c': first[:50]}


def test_pairs_are_tested_on_what_both_have_seen():
  labels, models = three_models()
  pairs = accuracy.pairs(evaluations(**models))
  assert pairs[['model_a', 'model_b']].agg(''.join, axis=1).tolist() == ['ab', 'ac', 'bc']
  assert pairs['images'].tolist() == [60, 50, 50]
  assert pairs[['nodule', 'normal']].to_numpy().tolist() == [[30, 30], [25, 25], [25, 25]]
  same = pairs.iloc[1]
  assert same['auc_difference'] == 0 and same['p'] == 1
  for row, count in ((0, 60), (1, 50)):
    auc = metrics.roc_auc_score(labels[:count], models['a']['probability'][:count])
    assert pairs['auc_a'].iloc[row] == pytest.approx(auc)
  np.testing.assert_allclose(pairs['p_holm'], multipletests(pairs['p'], method='holm')[1])
  assert pairs['dice_difference'].iloc[0] == pytest.approx(0.15)


def test_another_model_with_few_radiographs_changes_no_other_pair():
  _, models = three_models()
  alone = accuracy.pairs(evaluations(a=models['a'], b=models['b']))
  one_class = models['a'][models['a']['label'] == 1][:3]
  beside = accuracy.pairs(evaluations(**models, z=one_class, none=one_class[:0]))
  assert len(beside) == 3  # of one class, or of none, nothing can be tested
  assert beside['p'].iloc[0] == alone['p'].iloc[0] < 0.01


def test_what_cannot_be_compared_is_left_out():
  one_class = cases([1, 1], [0.5, 0.6])
  assert accuracy.pairs(evaluations(a=one_class, b=one_class)).empty
  assert accuracy.pairs(evaluations(a=cases([1, 0], [0.5, 0.6]))).empty


def test_calibration_by_hand():
  evaluation = Evaluation(
    'a', 'gmc', cases([1, 0, 0, 1], [0.8, 0.8, 0.2, 0.2]), 0.5, metrics={'temperature': 1e9}
  )
  (row,) = curves.calibrations(collect([evaluation])).to_dict('records')
  assert row['calibration_error'] == pytest.approx(0.3)  # half are nodules in either bin
  assert row['brier'] == pytest.approx((0.04 + 0.64) / 2)
  assert row['calibration_error_at_temperature'] == pytest.approx(0, abs=1e-6)
  without = dataclasses.replace(evaluation, metrics={})
  (row,) = curves.calibrations(collect([without])).to_dict('records')
  assert math.isnan(row['temperature'])


@pytest.mark.parametrize('prevalence', [0.005, 0.3])
def test_a_decision_curve_stands_upright(runs, prevalence, monkeypatch):
  monkeypatch.setattr(figures, 'finish', lambda figure, *_: figure)
  results = collect(read_results(runs))
  figure = figures.decision_curves(results, curves.draw(results, prevalence), prevalence)
  for axes in figure.axes:
    bottom, top = axes.get_ylim()
    assert bottom < 0 < prevalence < top < 1.2 * prevalence  # a perfect model gains the prevalence


def test_localisation_counts_located_nodules(runs):
  results = collect(read_results(runs))
  table = curves.localisation(results)
  for evaluation, (_, row) in zip(results, table.iterrows(), strict=True):
    located = evaluation.cases[evaluation.cases['label'] == 1]['location_known'].sum()
    assert row['nodules'] == row['located'] == located
    assert row['normal'] == (evaluation.cases['label'] == 0).sum()
    found = (np.asarray(evaluation.detections.matched) >= 0).sum()
    assert row['sensitivity_at_8'] == pytest.approx(found / located)


def test_the_band_of_the_roc_curve_covers_it(runs):
  results = collect(read_results(runs))
  drawn = curves.draw(results, prevalence=0.02)
  for evaluation in results:
    of_pair = drawn[evaluation.model, evaluation.test_set]
    assert (of_pair.roc.low <= of_pair.roc.sensitivity + 1e-9).mean() > 0.9
    assert (of_pair.roc.sensitivity <= of_pair.roc.high + 1e-9).mean() > 0.9
    assert of_pair.decision.treat_all[0] == pytest.approx(0.02 - 0.98 * 0.01 / 0.99)
