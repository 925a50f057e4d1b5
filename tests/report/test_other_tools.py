"""Another tool's predictions are taken in, or refused with a line and a reason."""

import numpy as np
import pandas as pd
import pytest

from nodulax.report.errors import ReportError
from nodulax.report.other_tools import read_predictions
from nodulax.report.reading import read_results
from nodulax.report.results import collect
from tests.report.fake_runs import write_csv


@pytest.fixture(scope='module')
def results(runs):
  return collect(read_results(runs))


@pytest.fixture
def tool(tmp_path):
  def tool(header, rows, name='tool.csv'):
    return write_csv(tmp_path / name, header, rows)

  return tool


def test_what_the_file_leaves_out_is_known_from_the_runs(tool, results):
  path = tool(('probability', 'image_id'), [(0.25, 'gmc_00001'), (0.5, 'gmc_00000')])
  (evaluation,) = read_predictions(path, results)
  assert (evaluation.model, evaluation.test_set) == ('tool', 'gmc')
  assert np.isnan(evaluation.threshold) and evaluation.detections is None
  known = results.cases('gmc').loc[['gmc_00001', 'gmc_00000']]
  assert evaluation.cases['probability'].tolist() == [0.25, 0.5]
  assert evaluation.cases['dice'].isna().all()  # another model's Dice is not the tool's
  own = ['probability', 'dice']
  pd.testing.assert_frame_equal(
    evaluation.cases.drop(columns=own), known.drop(columns=own), check_dtype=False
  )


def test_several_sets_and_thresholds(tool, results):
  header = ('image_id', 'set', 'probability', 'threshold', 'label', 'patient_id')
  rows = [
    ('gmc_00001', 'gmc', 0.5, 0.4, 1, 'p00001'),
    ('x', 'mine', 0.5, 0.3, 0, 'p1'),
    ('y', 'mine', 0.7, 0.3, 1, 'p2'),
  ]
  ours, mine = read_predictions(tool(header, rows), results)
  assert (ours.test_set, ours.threshold) == ('gmc', 0.4)
  assert (mine.test_set, mine.threshold) == ('mine', 0.3)
  assert mine.cases['label'].tolist() == [0, 1]
  assert mine.cases['sex'].tolist() == ['unknown'] * 2


@pytest.mark.parametrize(
  ('header', 'rows', 'message'),
  [
    (('image_id',), [('x',)], 'column probability is missing'),
    (('image_id', 'probability', 'score'), [('x', 1, 1)], 'unknown columns: score'),
    (('image_id', 'probability'), [], 'no line but the header'),
    (('image_id', 'probability'), [('gmc_00001', 'high')], "line 2: probability is 'high'"),
    (('image_id', 'probability'), [('x', 0.5)], 'fit 0 of: gmc, ward_7; add the column'),
    (('image_id', 'probability', 'set'), [('x', 0.5, 'gmc')], 'line 2: the set gmc has no'),
    (('image_id', 'probability', 'set'), [('x', 0.5, '../gmc')], 'must be a plain name'),
    (('image_id', 'probability', 'set'), [('x', 0.5, '')], 'line 2: set is empty'),
    (('image_id', 'probability', 'set'), [('x', 0.5, 'mine')], 'label, patient_id are needed'),
    (('image_id', 'probability'), [('Doe^Jane/1.dcm', 0.5)], 'not a path'),
    (
      ('image_id', 'probability', 'threshold'),
      [('gmc_00001', 0.5, 0.4), ('gmc_00002', 0.5, 0.5)],
      'threshold must be the same on every line of the set gmc',
    ),
    (
      ('image_id', 'probability', 'set', 'label', 'patient_id'),
      [('x', 0.5, 'mine', 1, 'p'), ('y', 0.5, 'mine', 1, ' ')],
      'line 3: patient_id is empty',
    ),
  ],
)
def test_unfit_files_are_refused(tool, results, header, rows, message):
  with pytest.raises(ReportError, match=message) as error:
    read_predictions(tool(header, rows), results)
  assert 'tool.csv' in str(error.value)


def test_a_name_that_is_taken_is_refused(tool, results):
  with pytest.raises(ReportError, match='rename the file'):
    read_predictions(tool(('image_id', 'probability'), [], 'nih_image.csv'), results)


def test_a_label_that_differs_from_the_runs_is_refused(tool, results):
  path = tool(('image_id', 'probability', 'label'), [('gmc_00001', 0.5, 0)])
  with pytest.raises(ReportError, match='disagree about the label of 1 .* gmc_00001'):
    collect([*results, *read_predictions(path, results)])
