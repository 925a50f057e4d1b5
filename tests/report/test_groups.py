"""Groups, cohorts, failures and doubtful labels, by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from nodulax.csv_files import CsvFile
from nodulax.report import cohorts, failures, overviews
from nodulax.report.reading import read_cases, read_results
from nodulax.report.results import Evaluation, collect
from nodulax.report.subgroups import group_names, subgroups
from tests.report.fake_runs import cohort


@pytest.fixture
def cases(tmp_path):
  """Radiographs from the text of a CSV file."""

  def cases(text):
    (tmp_path / 'some.csv').write_text(text)
    return read_cases(CsvFile(tmp_path / 'some.csv', ('image_id',)))

  return cases


def test_sizes_and_ages_fall_into_their_groups():
  sizes = pd.Series([5, 10, 10.1, 30, 30.1, math.nan], name='nodule_diameter_mm')
  assert group_names(sizes).tolist() == [
    'up to 10 mm', 'up to 10 mm', '10 to 20 mm', '20 to 30 mm', 'above 30 mm', 'unknown',
  ]  # fmt: skip
  ages = pd.Series([39.9, 40, 60, 80, math.nan], name='age')
  assert group_names(ages).tolist() == [
    'below 40 years', '40 to 59 years', '60 to 79 years', '80 years and above', 'unknown',
  ]  # fmt: skip


def test_groups_by_hand(cases):
  table = cases(
    'image_id,patient_id,label,probability,sex,zone\n'
    'a,a,1,0.9,female,behind_heart\n'
    'b,b,1,0.3,female,behind_heart\n'
    'c,c,1,0.8,male,\n'
    'd,d,1,0.7,male,apex\n'
    'e,e,0,0.6,female,\n'
    'f,f,0,0.2,male,\n'
  )
  rows = subgroups(collect([Evaluation('m', 'gmc', table, threshold=0.5)]))
  assert list(zip(rows['trait'], rows['group'], strict=True)) == [
    ('zone', 'apex'), ('zone', 'behind_heart'), ('zone', 'unknown'),
    ('sex', 'female'), ('sex', 'male'),
  ]  # fmt: skip
  of = rows.set_index('group')
  hidden = of.loc['behind_heart']  # two nodules against both normals
  assert (hidden['nodule'], hidden['normal']) == (2, 2)
  assert hidden['auc'] == 0.75 and hidden['sensitivity'] == 0.5
  assert math.isnan(hidden['specificity'])
  assert (of.loc['female', 'auc'], of.loc['female', 'specificity']) == (0.5, 0)
  assert (of.loc['male', 'auc'], of.loc['male', 'specificity']) == (1, 1)


def test_cohorts_stand_beside_the_papers(runs):
  results = collect(read_results(runs))
  table = cohorts.cohort_counts(results).set_index(['set', 'part'])
  assert table.loc[('gmc', 'whole cohort'), 'published_normal'] == 440
  evaluated = table.loc[('gmc', 'evaluated here (test)')]
  assert (evaluated['nodule'], evaluated['normal'], evaluated['patients']) == (30, 30, 60)
  assert math.isnan(evaluated['published_nodule'])
  steps = cohorts.exclusions(results)
  assert steps['step'].tolist()[:2] == ['images read', 'excluded: normal, not drawn']
  assert cohorts.remarks(results)['gmc'] == cohort(60)['paper_remark']


def test_characteristics_by_hand(cases):
  table = cases(
    'image_id,patient_id,label,probability,sex,age,view,nodule_diameter_mm,location_known\n'
    'a,p,1,0.9,female,50,PA,10,1\n'
    'b,p,1,0.9,male,60,AP,20,0\n'
    'c,q,1,0.9,,,,30,1\n'
  )
  (row,) = cohorts.characteristics(collect([Evaluation('m', 'x', table, 0.5)])).to_dict('records')
  assert (row['class'], row['images'], row['patients'], row['located']) == ('nodule', 3, 2, 2)
  assert (row['female'], row['male'], row['sex_unknown']) == (1, 1, 1)
  assert (row['age_median'], row['age_unknown']) == (55, 1)
  assert (row['PA'], row['AP'], row['view_unknown']) == (1, 1, 1)
  assert row['nodule_diameter_mm_median'] == 20


def test_the_worst_failure_comes_first(cases):
  table = cases(
    'image_id,patient_id,label,probability\n'
    'a,a,1,0.4\nb,b,1,0.1\nc,c,1,0.5\nd,d,0,0.6\ne,e,0,0.9\nf,f,0,0.4\n'
  )
  found = failures.failures(Evaluation('m', 'gmc', table, threshold=0.5))
  assert list(found.misses.index) == ['b', 'a']
  assert list(found.false_alarms.index) == ['e', 'd']  # c is at the threshold, so abnormal
  none = failures.failures(Evaluation('m', 'gmc', table, threshold=math.nan))
  assert none.misses.empty and none.false_alarms.empty


def test_doubtful_labels_by_hand(cases):
  right = ''.join(
    f'{name}{copy},{name}{copy},{label},{probability}\n'
    for name, label, probability in (('a', 1, 0.9), ('b', 1, 0.8), ('d', 0, 0.2), ('e', 0, 0.1))
    for copy in range(5)
  )
  table = cases(
    f'image_id,patient_id,label,probability\n{right}wrong_nodule,c,1,0.1\nwrong_normal,f,0,0.9\n'
  )
  # A second model that finds nothing odd about the normal one.
  other = table.assign(probability=[0.9] * 5 + [0.8] * 5 + [0.4] * 10 + [0.2, 0.1])
  one = failures.suspects(collect([Evaluation('m', 'gmc', table, 0.5)]))
  # Usual is 8.6 / 11 for both classes, which 0.9 exceeds; both margins are 0.9 - 0.1.
  assert sorted(one['image_id']) == ['wrong_nodule', 'wrong_normal']
  np.testing.assert_allclose(one['margin'], 0.8)
  both = failures.suspects(
    collect([Evaluation('m', 'gmc', table, 0.5), Evaluation('n', 'gmc', other, 0.5)])
  )
  assert both['image_id'].tolist() == ['wrong_nodule']  # half of the models are not most
  assert both.loc[0, ['models_against', 'models', 'rank']].tolist() == [2, 2, 1]
  assert both.loc[0, 'mean_probability'] == pytest.approx(0.15)


def test_sets_of_one_class_have_no_doubtful_labels(cases):
  table = cases('image_id,patient_id,label,probability\na,a,1,0.1\n')
  assert failures.suspects(collect([Evaluation('m', 'gmc', table, 0.5)])).empty


def test_a_model_that_may_be_at_chance_has_no_say(cases):
  """Four radiographs of each class and an AUC of 0.75, whose interval includes 0.5."""
  rows = [(1, 0.9), (1, 0.8), (1, 0.7), (1, 0.1), (0, 0.75), (0, 0.2), (0, 0.3), (0, 0.15)]
  lines = ''.join(f'x{n},x{n},{label},{score}\n' for n, (label, score) in enumerate(rows))
  table = cases(f'image_id,patient_id,label,probability\n{lines}')
  perfect = table.assign(probability=table['label'] * 0.5)
  unsure = Evaluation('m', 'gmc', table, 0.5)
  sure = Evaluation('n', 'gmc', perfect, 0.5)
  assert failures.suspects(collect([unsure])).empty
  assert failures.withheld(collect([unsure])).to_dict('records') == [
    {'set': 'gmc', 'model': 'm', 'all': True}
  ]
  assert not failures.withheld(collect([unsure, sure]))['all'].any()
  assert failures.withheld(collect([sure])).empty


def test_conspicuity_is_ordered_from_the_hardest(cases):
  words = ['obvious', 'Extremely subtle', '', 'relatively_obvious', 'very subtle', 'subtle']
  lines = ''.join(f'x{n},x{n},1,0.5,{word}\n' for n, word in enumerate(words))
  table = cases(f'image_id,patient_id,label,probability,conspicuity\n{lines}')
  rows = subgroups(collect([Evaluation('m', 'gmc', table, 0.5)]))
  assert rows['group'].tolist() == [
    'Extremely subtle', 'very subtle', 'subtle', 'relatively_obvious', 'obvious', 'unknown',
  ]  # fmt: skip


def test_small_groups_are_listed_and_not_drawn(cases):
  lines = ''.join(
    f'x{n},x{n},{n % 2},{(n * 7 % 50) / 50},{"male" if n < 44 else "female"}\n' for n in range(50)
  )
  table = cases(f'image_id,patient_id,label,probability,sex\n{lines}')
  rows = subgroups(collect([Evaluation('m', 'gmc', table, 0.5)]))
  picture = overviews.forest(rows, of_nodules=False)
  assert 'fewer than 10' in picture.caption and picture.caption.endswith(': female (GMC 3 and 3).')
  drawn = overviews._forest(rows[rows['group'] == 'male'], 'auc', 'AUC')
  assert [text.get_text() for text in drawn.axes[0].get_yticklabels()] == ['male']


def test_groups_are_in_order_though_the_first_set_lacks_one(cases):
  def on(test_set, grades):
    lines = ''.join(f'{g}{n},{g}{n},1,0.{n % 9 + 1},{g}\n' for g in grades for n in range(12))
    lines += ''.join(f'n{n},n{n},0,0.{n % 9},\n' for n in range(12))
    table = cases(f'image_id,patient_id,label,probability,conspicuity\n{lines}')
    return Evaluation('m', test_set, table, 0.5)

  rows = subgroups(collect([on('gmc', '235'), on('vindr', '2345')]))
  drawn = overviews._forest(rows, 'sensitivity', 'Sensitivity')
  ticks = [text.get_text() for text in drawn.axes[0].get_yticklabels()]
  assert ticks == [f'conspicuity {grade}' for grade in '2345']
  # From the top down.
  assert (np.diff(drawn.axes[0].get_yticks()) < 0).all()


def test_no_interval_is_cut_off_at_the_left():
  rows = pd.DataFrame(
    {
      'set': ['gmc', 'vindr'], 'trait': 'sex', 'group': 'male', 'model': 'm',
      'auc': [0.8, 0.5], 'auc_low': [0.7, 0.2], 'auc_high': [0.9, 0.8],
    }
  )  # fmt: skip
  drawn = overviews._forest(rows, 'auc', 'AUC')
  assert all(axes.get_xlim()[0] < 0.2 for axes in drawn.axes)
