"""The command `nodulax labels`, from predictions to corrected figures, and what it refuses."""

import csv
import json

import numpy as np
import pytest

from nodulax import cli
from nodulax.input.folds import in_fold
from nodulax.input.prepared import prepare
from nodulax.input.shards import Shards
from nodulax.labels import rereading
from nodulax.labels.rereading import Answer
from nodulax.radiograph.preprocessing import Preprocessing


def table(path):
  with path.open(newline='') as file:
    return list(csv.DictReader(file))


@pytest.fixture
def labels(capsys, monkeypatch):
  """`labels(*arguments)` runs the command and gives its exit status and what it printed."""

  def run(*arguments):
    with pytest.raises(SystemExit) as ended:
      cli.run('labels', arguments)
    printed = capsys.readouterr()
    status = ended.value.code
    if isinstance(status, str):
      return 1, status
    return status, printed.out + printed.err

  monkeypatch.setenv('COLUMNS', '120')
  return run


@pytest.fixture
def study(tmp_path):
  """1,200 labels, of which .2 of the normals and .15 of the nodules are wrong: file and truth."""
  rng = np.random.default_rng(0)
  truth = rng.random(1200) < 0.4
  given = truth ^ (rng.random(1200) < np.where(truth, 0.15, 0.2))
  logits = rng.normal(np.where(truth, 1.0, -1.0), 1.0)
  path = tmp_path / 'predictions.csv'
  with path.open('w', newline='') as file:
    writer = csv.writer(file)
    writer.writerow(('image_id', 'label', 'probability'))
    for index in range(1200):
      writer.writerow((f'i{index}', int(given[index]), 1 / (1 + np.exp(-logits[index]))))
  return path, truth


def read_by(path, truth, readers, images, right=0.9):
  """A re-reading by readers who are right so often."""
  rng = np.random.default_rng(1)
  for reader in range(readers):
    for index in images:
      answer = truth[index] ^ (rng.random() >= right)
      rereading.append_answer(
        path, Answer(f'i{index}', f'reader {reader}', 'nodule' if answer else 'normal')
      )


def test_the_audit_finds_wrong_labels_and_says_how_well(labels, study, tmp_path):
  path, truth = study
  reading = tmp_path / 'reading.csv'
  read_by(reading, truth, 1, range(0, 1200, 3), right=1.0)
  output = tmp_path / 'audit'
  status, printed = labels(
    'audit', f'--predictions={path}', f'--output={output}', f'--reading={reading}'
  )
  assert status == 0 and 'are wrong; the ranking finds them' in printed
  told = json.loads((output / 'audit.json').read_text())
  assert told['against_the_reading']['images'] == 400
  assert told['against_the_reading']['auc']['value'] > 0.75
  assert 100 < told['expected_wrong'] < 400
  assert len((output / 'suspects.csv').read_text().splitlines()) == 1201


@pytest.mark.parametrize('method, readers', [('second', 1), ('readers', 3), ('network', 0)])
def test_rates_are_told_in_three_ways_and_correct_the_figures(
  labels, study, tmp_path, method, readers
):
  path, truth = study
  reading, output = tmp_path / 'reading.csv', tmp_path / 'rates.json'
  arguments = [f'--predictions={path}', f'--output={output}']
  if readers:
    chosen = np.random.default_rng(2).choice(1200, 500, replace=False)
    read_by(reading, truth, readers, chosen, right=1.0 if method == 'second' else 0.9)
    arguments.append(f'--reading={reading}')
  status, printed = labels('rates', *arguments)
  assert status == 0, printed
  told = json.loads(output.read_text())
  assert told['method'] == method
  wrong = truth != np.array([row['label'] == '1' for row in table(path)])
  assert told['wrong_normal']['low'] <= wrong[~truth].mean() <= told['wrong_normal']['high']
  assert told['wrong_nodule']['low'] <= wrong[truth].mean() <= told['wrong_nodule']['high']
  if method == 'readers':
    assert told['readers']['reader 0']['sensitivity']['low'] <= 0.9
    assert 0.4 < told['agreement']['krippendorff_alpha'] < 0.9
  figures = tmp_path / 'figures.json'
  status, printed = labels(
    'correct', f'--predictions={path}', f'--rates={output}', '--threshold=0.5',
    f'--output={figures}',
  )  # fmt: skip
  assert status == 0 and 'against the truth' in printed
  corrected = json.loads(figures.read_text())
  assert corrected['auc']['labelled'] < 0.8
  assert corrected['auc']['low'] <= 0.921 <= corrected['auc']['high']  # Phi(sqrt 2)


def test_chance_tells_no_rates(labels, tmp_path):
  rng = np.random.default_rng(0)
  path = tmp_path / 'chance.csv'
  rows = [f'i{index},{rng.integers(2)},{rng.random():.4f}' for index in range(200)]
  path.write_text('\n'.join(['image_id,label,probability', *rows]) + '\n')
  status, printed = labels('rates', f'--predictions={path}', '--method=network')
  assert status == 1 and 'may be chance: they say nothing about the labels' in printed


def test_a_queue_leaves_out_what_was_read(labels, study, tmp_path):
  path, truth = study
  reading, output = tmp_path / 'reading.csv', tmp_path / 'queue.csv'
  read_by(reading, truth, 1, range(600))
  status, printed = labels(
    'queue', f'--predictions={path}', f'--reading={reading}', '--budget=50', f'--output={output}'
  )
  assert status == 0 and '50 radiographs to read' in printed
  chosen = output.read_text().split()[1:]
  assert len(chosen) == 50 and all(int(name[1:]) >= 600 for name in chosen)


@pytest.mark.parametrize(
  'arguments, word',
  [
    (('rates', '--method=readers'), 'needs a second reading'),
    (('correct',), 'give --rates=FILE, or --wrong_normal and --wrong_nodule'),
    (('correct', '--wrong_normal=0.6', '--wrong_nodule=0.5', '--threshold=.5'), 'sum to 1 or more'),
    (('correct', '--wrong_normal=0.1', '--wrong_nodule=0.1'), 'give --threshold=NUMBER'),
    (('correct', '--wrong_normal=0.7', '--wrong_nodule=0.1', '--threshold=.5'), 'do not fit'),
  ],
)
def test_what_cannot_be_told_is_refused(labels, study, arguments, word):
  status, printed = labels(arguments[0], f'--predictions={study[0]}', *arguments[1:])
  assert status == 1 and word in printed


def test_a_misspelt_option_of_a_sub_command_is_told_with_the_right_one(labels, study):
  status, printed = labels('rates', f'--predictions={study[0]}', '--metod=readers')
  assert status == 2 and 'unexpected argument: --metod=readers; did you mean --method?' in printed


def test_one_reader_cannot_be_several(labels, study, tmp_path):
  path, truth = study
  reading = tmp_path / 'reading.csv'
  read_by(reading, truth, 1, range(50))
  status, printed = labels(
    'rates', f'--predictions={path}', f'--reading={reading}', '--method=readers'
  )
  assert status == 1 and 'one reader only (reader 0)' in printed


def test_a_reading_of_another_set_is_refused(labels, study, tmp_path):
  reading = tmp_path / 'reading.csv'
  rereading.append_answer(reading, Answer('elsewhere', 'Kim', 'normal'))
  status, printed = labels('rates', f'--predictions={study[0]}', f'--reading={reading}')
  assert status == 1 and "the first is 'elsewhere'" in printed


def test_labels_that_are_all_equal_are_refused(labels, tmp_path):
  path = tmp_path / 'equal.csv'
  path.write_text('image_id,label,probability\na,1,0.5\nb,1,0.6\n')
  status, printed = labels('audit', f'--predictions={path}', f'--output={tmp_path / "audit"}')
  assert status == 1 and 'all labels are equal' in printed


def test_every_radiograph_is_predicted_by_a_network_that_never_saw_its_patient(
  labels, config, shards, tmp_path
):
  config.train.epochs = 1
  file = tmp_path / 'config.py'
  file.write_text(
    'from ml_collections import ConfigDict\nimport json\n'
    f'def get_config():\n  return ConfigDict(json.loads({config.to_json()!r}))\n'
  )
  arguments = ('crossfit', f'--config={file}', f'--workdir={tmp_path / "run"}', '--folds=2')
  status, printed = labels(*arguments)
  assert status == 0, printed
  output = tmp_path / 'run' / 'out_of_sample'
  rows = table(output / 'predictions.csv')
  parts = [tmp_path / 'run' / f'fold_{number}' for number in (1, 2)]
  own = [
    {row['image_id']: row for row in table(part / 'evaluation' / 'train' / 'predictions.csv')}
    for part in parts
  ]
  assert len(rows) == len(own[0]) == len({row['image_id'] for row in rows})
  for row in rows:
    fold = 0 if in_fold(row['patient_id'], 0, 2) else 1
    assert own[fold][row['image_id']] == row
  # Each network was trained on the other part alone.
  training = prepare(
    Shards(shards, 'train'), Preprocessing.from_dict(config.preprocessing.to_dict())
  )
  for fold, part in enumerate(parts):
    others = [
      index for index, case in enumerate(training.cases) if not in_fold(case.patient_id, fold, 2)
    ]
    assert 0 < len(others) < len(training)
    digest = json.loads((part / 'cases.json').read_text())['train']
    assert digest == training.subset(others).digest()
  before = (output / 'predictions.csv').read_bytes()
  status, printed = labels(*arguments)
  assert status == 0 and printed.count('trained already') == 2
  assert (output / 'predictions.csv').read_bytes() == before
