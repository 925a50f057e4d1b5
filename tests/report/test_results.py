"""What `evaluate` wrote is read whole, or refused with a reason."""

import json
import shutil

import numpy as np
import pytest

from nodulax.evaluation import files as evaluation_files
from nodulax.report.errors import ReportError
from nodulax.report.reading import read_evaluation, read_results
from nodulax.report.results import collect, file_name
from nodulax.statistics.froc import FALSE_POSITIVE, REPEAT
from tests.report.fake_runs import HEADER, cohort, write_csv, write_evaluation, write_runs


def line(image_id, label, probability, **cells):
  """A line of predictions.csv."""
  values = {
    'image_id': image_id, 'patient_id': f'p_{image_id}', 'label': label,
    'probability': probability, 'location_known': 1, 'nodules': label,
  } | cells  # fmt: skip
  return [values.get(column, '') for column in HEADER]


@pytest.fixture
def evaluation(tmp_path):
  """A folder of three radiographs: two nodules in `a`, an unlocated one in `b`, `c` normal."""
  folder = write_evaluation(tmp_path / 'run' / 'evaluation' / 'gmc', 2)
  write_csv(
    folder / 'predictions.csv',
    HEADER,
    [
      line('a', 1, 0.75, nodules=2, dice=0.5, sex='female', age=61.5, view='PA'),
      line('b', 1, 0.5, location_known=0, nodules=0),
      line('c', 0, 0.25),
    ],
  )
  write_csv(
    folder / 'locations.csv',
    ('image_id', 'score', 'nodule'),
    [('a', 0.9, 2), ('a', 0.8, -1), ('b', 0.7, ''), ('c', 0.6, 0)],
  )
  return folder


def test_an_evaluation_is_read(evaluation):
  read = read_evaluation(evaluation)
  assert (read.model, read.test_set, read.threshold) == ('run', 'gmc', 0.5)
  assert read.cases.loc['a', ['sex', 'age', 'view', 'dice']].tolist() == ['female', 61.5, 'PA', 0.5]
  assert read.cases.loc['c', 'sex'] == 'unknown' and np.isnan(read.cases.loc['c', 'age'])
  assert read.cases['label'].tolist() == [1, 1, 0]


def test_findings_are_held_against_located_truth_alone(evaluation):
  detections = read_evaluation(evaluation).detections
  np.testing.assert_array_equal(detections.nodules, [2, 0])  # a and c
  np.testing.assert_array_equal(detections.images, [0, 0, 1])
  np.testing.assert_array_equal(detections.matched, [1, REPEAT, FALSE_POSITIVE])
  np.testing.assert_array_equal(detections.scores, [0.9, 0.8, 0.6])


def test_without_located_nodules_there_are_no_detections(evaluation):
  write_csv(evaluation / 'predictions.csv', HEADER, [line('c', 0, 0.25)])
  assert read_evaluation(evaluation).detections is None


@pytest.mark.parametrize(
  ('rows', 'message'),
  [
    ([], 'no line but the header'),
    ([line('a', 1, 0.5, patient_id='')], 'line 2: patient_id is empty'),
    ([line('a', 2, 0.5)], "line 2: label is '2'; it must be 0 or 1"),
    ([line('a', 1, 1.5)], "line 2: probability is '1.5'"),
    ([line('a', 1, '')], "line 2: probability is ''"),
    ([line('a', 1, 0.5), line('a', 0, 0.5)], 'line 3: image_id a appears twice'),
    ([line('../../a', 1, 0.5)], 'not a path'),
    ([line('=1+1', 1, 0.5)], 'not begin with ='),
    ([line('a', 1, 0.5, sex='F')], "sex is 'F'"),
  ],
)
def test_unfit_predictions_are_refused(evaluation, rows, message):
  write_csv(evaluation / 'predictions.csv', HEADER, rows)
  with pytest.raises(ReportError, match=message):
    read_evaluation(evaluation)


@pytest.mark.parametrize(
  ('rows', 'message'),
  [
    ([('z', 0.5, 0)], "line 2: no radiograph 'z' in predictions.csv"),
    ([('a', 0.5, '')], 'line 2: nodule is empty'),
    ([('a', 0.5, 3)], 'a nodule that its image does not have'),
    ([('a', 0.5, 1), ('a', 0.4, 1)], 'a nodule is hit by two findings'),
  ],
)
def test_unfit_findings_are_refused(evaluation, rows, message):
  write_csv(evaluation / 'locations.csv', ('image_id', 'score', 'nodule'), rows)
  with pytest.raises(ReportError, match=message):
    read_evaluation(evaluation)


@pytest.mark.parametrize(
  ('text', 'message'),
  [('{', 'not JSON'), ('[]', 'not a JSON object'), ('{}', 'no probability_threshold')],
)
def test_unfit_metrics_are_refused(evaluation, text, message):
  (evaluation / 'metrics.json').write_text(text)
  with pytest.raises(ReportError, match=message):
    read_evaluation(evaluation)
  (evaluation / 'metrics.json').unlink()
  with pytest.raises(ReportError, match='metrics.json: there is no such file'):
    read_evaluation(evaluation)


def test_runs_and_sets_stand_in_the_papers_order(tmp_path):
  write_runs(tmp_path, {'vindr': 4, 'ward': 4, 'gmc': 4}, {'zoo': 1, 'aihub_image': 1})
  write_evaluation(tmp_path / 'nih_image' / 'evaluation' / 'gmc', 4, seed=sum(map(ord, 'gmc')))
  shutil.copytree(tmp_path / 'zoo/evaluation/gmc', tmp_path / 'zoo/evaluation/unfinished-x')
  results = collect(read_results(tmp_path))
  assert results.models == ('nih_image', 'aihub_image', 'zoo')
  assert results.test_sets == ('gmc', 'vindr', 'ward')
  assert [evaluation.model for evaluation in results.on('ward')] == ['aihub_image', 'zoo']
  assert [evaluation.test_set for evaluation in results.of('nih_image')] == ['gmc']


def test_a_workdir_may_be_a_run(evaluation):
  (read,) = read_results(evaluation.parents[1])
  assert (read.model, read.test_set) == ('run', 'gmc')


def test_models_that_disagree_about_a_radiograph_are_refused(tmp_path):
  write_runs(tmp_path, {'gmc': 6}, {'one': 1, 'two': 2})
  path = tmp_path / 'two/evaluation/gmc/predictions.csv'
  path.write_text(path.read_text().replace('gmc_00003,p00003,0', 'gmc_00003,p00003,1'))
  with pytest.raises(ReportError, match='one and two disagree about the label of 1 .* gmc_00003'):
    collect(read_results(tmp_path))


def test_runs_that_differ_by_their_seed_alone_are_one_model(tmp_path):
  for seed, run in enumerate(('first', 'second', 'third')):
    config = {'seed': min(seed, 1), 'name': run, 'train': {'epochs': 5 if seed < 2 else 9}}
    write_runs(tmp_path, {'gmc': 6}, {run: 1 + seed}, provenance={'config': config})
  results = collect(read_results(tmp_path))
  assert results.models == ('first', 'third')
  assert [evaluation.model for evaluation in results.repeats['first']] == ['second']


@pytest.mark.parametrize('image_id', ['00000001_000.png', 'a b.dcm', '..', 'Ä/ö', '.png'])
def test_pictures_have_the_names_that_evaluate_gives(image_id):
  assert file_name(image_id) == evaluation_files.file_name(image_id)


def test_what_is_not_there_is_no_picture(evaluation):
  assert read_evaluation(evaluation).picture('thumbnails', 'a') is None


def test_cohort_is_read_where_there_is_one(evaluation):
  assert read_evaluation(evaluation).cohort is None
  (evaluation / 'cohort.json').write_text(json.dumps(cohort(6)))
  assert read_evaluation(evaluation).cohort == cohort(6)


@pytest.mark.parametrize(
  'changes',
  [
    {'splits': None}, {'cohort': {'nodule': 1}}, {'excluded': {'lateral': 'many'}},
    {'read': [1]},
  ],
)  # fmt: skip
def test_a_damaged_cohort_is_refused(evaluation, changes):
  (evaluation / 'cohort.json').write_text(json.dumps(cohort(6) | changes))
  with pytest.raises(ReportError, match='cohort.json: cohort and splits must count nodule'):
    read_evaluation(evaluation)


@pytest.mark.parametrize(
  ('value', 'known'),
  [(0.7, True), (np.nextafter(1, 2), True), (None, False), (10**400, False), ('high', False)],
)
def test_an_unfit_second_threshold_is_left_out(evaluation, value, known):
  path = evaluation / 'metrics.json'
  path.write_text(json.dumps(json.loads(path.read_text()) | {'specificity_90_threshold': value}))
  assert ('90 % specificity' in read_evaluation(evaluation).thresholds) == known
