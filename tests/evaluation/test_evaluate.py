import csv
import dataclasses
import hashlib
import importlib.metadata
import json
import math
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from sklearn import metrics as sklearn_metrics

from nodulax import evaluate
from nodulax.checkpoints import checkpoint
from nodulax.checkpoints.checkpoint import CheckpointError
from nodulax.checkpoints.description import Description, Thresholds
from nodulax.distributed import inference, parallel
from nodulax.evaluation import files as evaluation_files
from nodulax.evaluation import measures, provenance, thresholds
from nodulax.input.shards import Shards, ShardsError
from nodulax.model.heads import Outputs
from nodulax.statistics.overlap import OverlapThreshold


def rows_of(path):
  with path.open(newline='') as file:
    return list(csv.DictReader(file))


def test_one_row_a_radiograph_and_metrics_that_follow_from_the_rows(trained_run, shards):
  folder = trained_run / 'evaluation' / 'hospital'
  rows = rows_of(folder / 'predictions.csv')
  split = Shards(shards, 'test')
  assert {row['image_id'] for row in rows} == {split[i][0].image_id for i in range(len(split))}
  metrics = json.loads((folder / 'metrics.json').read_text())
  labels = np.array([int(row['label']) for row in rows])
  scores = np.array([float(row['probability']) for row in rows])
  assert metrics['images'] == len(rows) and metrics['nodule_images'] == labels.sum()
  auc = sklearn_metrics.roc_auc_score(labels, scores)
  assert metrics['auc']['value'] == pytest.approx(auc, abs=1e-12)
  called = scores >= metrics['probability_threshold']
  assert metrics['sensitivity']['value'] == pytest.approx(called[labels == 1].mean())
  assert metrics['specificity']['value'] == pytest.approx(1 - called[labels == 0].mean())
  dices = [float(row['dice']) for row in rows if row['dice']]
  assert len(dices) == labels.sum() == metrics['dice']['images']
  assert metrics['dice']['value'] == pytest.approx(np.mean(dices), abs=1e-5)
  assert 'not a medical device' in metrics['notice'].lower()
  assert 'not a medical device' in (folder / 'NOTICE.txt').read_text().lower()


def test_metrics_say_which_code_config_and_data_they_come_from(trained_run, shards):
  folder = trained_run / 'evaluation' / 'hospital'
  metrics = json.loads((folder / 'metrics.json').read_text())
  assert metrics['temperature'] is None  # too few tune images
  assert 0 <= metrics['tune_auc'] <= 1
  assert 0 <= metrics['specificity_90_threshold'] <= 1
  origin = metrics['provenance']
  assert origin['config']['model']['size'] == 'tiny' and str(shards) not in str(origin)
  assert origin['code_version'].startswith(importlib.metadata.version('nodulax'))
  (file,) = shards.rglob('*-test.array_record-*')
  assert origin['data_sha256'] == hashlib.sha256(file.read_bytes()).hexdigest()
  assert origin['simulated'] is True
  cohort = json.loads((folder / 'cohort.json').read_text())
  assert cohort['splits']['test']['nodule'] == sum(
    int(row['label']) for row in rows_of(folder / 'predictions.csv')
  )


def test_pictures_are_written_for_the_radiographs(trained_run):
  folder = trained_run / 'evaluation' / 'hospital'
  rows = rows_of(folder / 'predictions.csv')
  for kind in ('heat_maps', 'thumbnails', 'overlays'):
    assert {path.stem for path in (folder / kind).iterdir()} == {row['image_id'] for row in rows}
  located = {row['image_id'] for row in rows if int(row['nodules'])}
  assert {path.stem for path in (folder / 'truths').iterdir()} == located


def test_findings_lie_in_the_stored_image(trained_run, shards):
  folder = trained_run / 'evaluation' / 'hospital'
  sizes = {}
  split = Shards(shards, 'test')
  for index in range(len(split)):
    case = split[index][0]
    sizes[case.image_id] = (case.width, case.height)
  for row in rows_of(folder / 'locations.csv'):
    width, height = sizes[row['image_id']]
    x_min, y_min, x_max, y_max = (float(row[name]) for name in ('x_min', 'y_min', 'x_max', 'y_max'))
    assert 0 <= x_min <= float(row['x']) <= x_max <= width
    assert 0 <= y_min <= float(row['y']) <= y_max <= height


@pytest.mark.parametrize(('batch_size', 'devices'), [(3, 1), (16, 4), (5, 2)])
def test_results_depend_on_neither_batch_size_nor_devices(
  trained_run, shards, tmp_path, monkeypatch, batch_size, devices
):
  some = jax.local_devices()[:devices]
  monkeypatch.setattr(parallel, 'devices', lambda: some)
  evaluate.evaluate(
    trained_run, shards, 'test', tmp_path / 'again', batch_size=batch_size, overlays=0
  )
  first = rows_of(trained_run / 'evaluation' / 'hospital' / 'predictions.csv')
  again = rows_of(tmp_path / 'again' / 'predictions.csv')
  assert [row['image_id'] for row in again] == [row['image_id'] for row in first]
  for a, b in zip(first, again, strict=True):
    assert float(b['probability']) == pytest.approx(float(a['probability']), abs=1e-5)


def test_an_evaluation_is_not_done_twice_and_not_overwritten_by_another(
  trained_run, shards, tmp_path
):
  output = tmp_path / 'out'
  options = dict(batch_size=16, overlays=0)
  first = evaluate.evaluate(trained_run, shards, 'tune', output, **options)
  modified = (output / 'predictions.csv').stat().st_mtime_ns
  assert evaluate.evaluate(trained_run, shards, 'tune', output, **options) == first
  assert (output / 'predictions.csv').stat().st_mtime_ns == modified
  with pytest.raises(ValueError, match='holds another evaluation'):
    evaluate.evaluate(trained_run, shards, 'test', output, **options)
  other = tmp_path / 'other'  # shards of the same builder, built from something else
  shutil.copytree(shards, other)
  (records,) = other.rglob('*-tune.array_record-*')
  content = bytearray(records.read_bytes())
  content[len(content) // 2] ^= 1
  records.write_bytes(content)
  with pytest.raises(ValueError, match='data_sha256 .* there, .* now'):
    evaluate.evaluate(trained_run, other, 'tune', output, **options)
  seed = tmp_path / 'seed'  # a run of the same name
  shutil.copytree(trained_run / 'checkpoints' / 'best', seed / 'checkpoints' / 'best')
  for path in seed.rglob('description/metadata'):
    path.write_text(re.sub('"weights_sha256": "[0-9a-f]*', '"weights_sha256": "', path.read_text()))
  with pytest.raises(ValueError, match="weights_sha256 '.*' there, '' now"):
    evaluate.evaluate(seed, shards, 'tune', output, **options)
  (tmp_path / 'mine').mkdir()
  with pytest.raises(ValueError, match='holds no evaluation'):
    evaluate.evaluate(trained_run, shards, 'test', tmp_path / 'mine', **options)


def test_probabilities_of_certain_radiographs_stay_apart():
  """In float32 the sigmoid of every logit past 17 is 1."""

  class Certain:
    def apply(self, variables, image, train):
      logit = image.mean((1, 2, 3)) * variables
      return Outputs(logit=logit, map_logits=jnp.zeros((len(image), 2, 2)))

  devices = jax.local_devices()[:1]
  predictor = inference.Predictor(Certain(), devices)
  images = np.full((2, 4, 4, 1), 255, np.uint8)
  images[0] = 178  # logits of 17.5 and 25
  probability, _ = predictor(
    parallel.replicate(jnp.float32(25), devices), [{'image': images, 'valid': np.ones(2, bool)}]
  )
  np.testing.assert_allclose(1 - probability, 1 / (1 + np.exp([25 * 178 / 255, 25])), rtol=1e-5)


def test_a_failed_evaluation_leaves_nothing(trained_run, shards, tmp_path, monkeypatch):
  def full(*_):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(evaluate, 'write_pictures', full)
  with pytest.raises(OSError, match='No space'):
    evaluate.evaluate(trained_run, shards, 'test', tmp_path / 'out', batch_size=16, overlays=0)
  assert list(tmp_path.iterdir()) == []


def test_a_missing_run_or_split_says_so(trained_run, shards, tmp_path):
  options = dict(batch_size=16, overlays=0)
  with pytest.raises(CheckpointError, match='no checkpoint here'):
    evaluate.evaluate(tmp_path, shards, 'test', tmp_path / 'out', **options)
  with pytest.raises(ShardsError, match='no finished shards'):
    evaluate.evaluate(trained_run, tmp_path, 'test', tmp_path / 'out', **options)


def test_a_split_of_one_class_has_no_auc(trained_run, shards):
  split = Shards(shards, 'test')
  cases = [split[index][0] for index in range(len(split)) if not split[index][0].label]
  frozen = Thresholds(0.5, OverlapThreshold(0.5, True, 3), 6, 0.7, None)
  measured = measures.measure(
    np.zeros(len(cases), int),
    [case.patient_id for case in cases],
    np.linspace(0.1, 0.9, len(cases)),
    np.full(len(cases), math.nan),
    frozen,
  )
  assert measured['auc'] is None and measured['sensitivity'] is None
  assert measured['dice'] == {'value': None, 'low': None, 'high': None, 'images': 0}


def test_images_that_were_left_out_are_counted_and_not_named(tmp_path):
  table = {'left_out': {'image missing': ['DOE_JANE.dcm', 'b.dcm']}, 'source': 'x'}
  (tmp_path / 'cohort.json').write_text(json.dumps(table))
  expected = {'left_out': {'image missing': 2}, 'source': 'x'}
  assert provenance.cohort(epath.Path(tmp_path)) == expected
  (tmp_path / 'cohort.json').unlink()
  assert provenance.cohort(epath.Path(tmp_path)) == {}


@pytest.mark.parametrize(
  ('image_id', 'expected'),
  [
    ('00000001_000.png', '00000001_000'),
    ('../../etc/passwd', '_.._etc_passwd'),
    ('a/b\\c:d', 'a_b_c_d'),
    ('..', '_'),
  ],
)
def test_an_image_id_cannot_leave_its_folder(image_id, expected):
  assert evaluation_files.file_name(image_id) == expected


def test_a_temperature_is_frozen_only_where_the_tune_split_tells_one():
  labels, scores = [0, 0, 1, 1, 1] * 8, np.array([0.9, 0.01, 0.99, 0.99, 0.1] * 8)
  logits = np.log(scores / (1 - scores))
  # Of too certain probabilities; the likelihood's slope is 0 at the optimum.
  fitted = thresholds.temperature(labels, scores)
  slope = np.sum(logits * (1 / (1 + np.exp(-logits / fitted)) - labels))
  assert fitted > 1 and slope == pytest.approx(0, abs=1e-6)
  assert thresholds.temperature(labels[:29], scores[:29]) is None  # too few
  separated = np.array([0.2, 0.2, 0.8, 0.8, 0.8] * 8)
  assert thresholds.temperature(labels, separated) is None


def test_a_checkpoint_older_than_temperatures_is_read(trained_run):
  values = dataclasses.asdict(checkpoint.describe(trained_run))
  del values['thresholds']['temperature']
  assert Description.from_json(values).thresholds.temperature is None
