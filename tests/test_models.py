"""Networks in Python, as a notebook uses them."""

import json
import pathlib
import subprocess
import sys

import matplotlib
import numpy as np
import pydicom
import pytest
from PIL import Image

import nodulax
from nodulax import export, predict
from nodulax.checkpoints.checkpoint import CheckpointError
from nodulax.radiograph.reading import RadiographError, read_radiograph
from tests.prediction.test_predict import images_in, rows_of

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope='module')
def model(trained_run):
  return nodulax.load(trained_run)


def test_it_says_what_the_command_says(model, trained_run, hospital, tmp_path):
  images = images_in(hospital)[:4]
  predict.predict(trained_run, {path.name: path for path in images}, tmp_path, batch_size=4)
  rows = {row['image']: row for row in rows_of(tmp_path)}
  for path, prediction in zip(images, model(images), strict=True):
    row = rows[path.name]
    assert prediction.probability == pytest.approx(float(row['probability']), abs=1e-5)
    assert prediction.positive == bool(int(row['positive']))
    assert sum(prediction.answer.marked) == int(row['findings'])
    assert len(prediction.findings) == len(prediction.places)
    assert prediction.heat_map.shape == prediction.pixels.shape
    assert 0 <= prediction.heat_map.min() <= prediction.heat_map.max() <= 1


def test_one_radiograph_in_every_form_gives_one_prediction(model, hospital):
  dicom = next(path for path in images_in(hospital) if path.suffix == '.dcm')
  expected = model(dicom).probability
  pixels = read_radiograph(dicom).pixels
  for form in (str(dicom), pydicom.dcmread(dicom), pixels, pixels.astype('>u2')):
    assert model(form).probability == pytest.approx(expected, abs=1e-6)
  grey = (pixels >> 8).astype(np.uint8)
  pictures = [Image.fromarray(grey), Image.fromarray(grey).convert('RGB')]
  assert model(pictures[0]).probability == pytest.approx(model(pictures[1]).probability, abs=1e-6)
  assert model([]) == []


def test_what_cannot_be_read_is_refused_with_the_reason(model, hospital, tmp_path):
  with pytest.raises(RadiographError, match='no such file'):
    model(tmp_path / 'nothing.png')
  with pytest.raises(RadiographError, match='the image is float64'):
    model(np.zeros((64, 64)))
  png = next(path for path in images_in(hospital) if path.suffix == '.png')
  lying = np.ascontiguousarray(np.rot90(read_radiograph(png).pixels))
  with pytest.raises(RadiographError, match='the image: not an upright frontal chest .*turn it'):
    model(lying)
  assert 0 < model(lying, force=True).probability < 1
  with pytest.raises(CheckpointError, match='no checkpoint here'):
    nodulax.load(tmp_path)


def test_a_prediction_is_seen(model, hospital):
  prediction = model(images_in(hospital)[0])
  assert prediction._repr_png_().startswith(b'\x89PNG')
  assert 'not a medical device' in repr(prediction)
  before = matplotlib.get_backend()
  matplotlib.use('agg')
  try:
    assert 'threshold' in prediction.show().get_title()
  finally:
    matplotlib.pyplot.close('all')
    matplotlib.use(before)


def test_an_exported_file_is_loaded_alike(model, trained_run, hospital, tmp_path):
  export.export(trained_run, tmp_path / 'model.nodulax')
  exported = nodulax.load(tmp_path / 'model.nodulax')
  path = images_in(hospital)[0]
  assert exported(path).probability == pytest.approx(model(path).probability, abs=1e-6)
  with pytest.raises(ValueError, match='evaluate the run that it was exported from'):
    exported.evaluate('shards')


def test_evaluation_gives_the_numbers_of_the_command(model, trained_run, shards):
  told = json.loads((trained_run / 'evaluation/hospital/metrics.json').read_text())
  for found in (nodulax.evaluate(model, shards), nodulax.evaluate(trained_run, shards)):
    assert found.metrics['auc'] == told['auc'] and len(found.predictions) == told['images']
    assert 'radiographs, AUC' in repr(found)


def test_importing_it_takes_neither_jax_nor_time():
  code = (
    'import sys, time; begun = time.process_time(); import nodulax; '
    'print({"jax", "numpy", "pandas"} & set(sys.modules), time.process_time() - begun < 0.3)'
  )
  finished = subprocess.run(
    [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
  )
  assert finished.stdout.strip() == 'set() True'
  assert {'load', 'Model', 'Prediction'} <= set(nodulax.__all__)


def test_the_notebook_runs(monkeypatch, capsys):
  matplotlib.use('agg')
  notebook = json.loads((ROOT / 'docs' / 'reading.ipynb').read_text())
  names: dict = {}
  for cell in notebook['cells']:
    if cell['cell_type'] == 'code':
      exec(''.join(cell['source']), names)
  matplotlib.pyplot.close('all')
  assert 0 < names['prediction'].probability < 1
  assert 'turn it by 90 degrees clockwise' in capsys.readouterr().out
