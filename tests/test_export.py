import hashlib
import io
import json
import pathlib
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest
from jax import export as jax_export

from nodulax import export, exported, predict
from nodulax.checkpoints import checkpoint, networks
from nodulax.distributed import inference
from nodulax.radiograph.reading import read_radiograph
from tests.prediction.test_predict import images_in, rows_of


@pytest.fixture(scope='module')
def model_file(trained_run, tmp_path_factory) -> pathlib.Path:
  """The trained run, exported, with the loader beside it."""
  path = tmp_path_factory.mktemp('export') / 'model.nodulax'
  export.export(trained_run, path)
  export.copy_loader(path.parent / 'loader')
  return path


@pytest.fixture
def small_file(trained_run, tmp_path) -> pathlib.Path:
  """A valid file with a network of few bytes, that is no network."""
  path = tmp_path / 'small.nodulax'
  members = {exported.CARD: b'# card\n', exported.STABLEHLO: bytes(range(256)) * 4}
  export.write(path, checkpoint.describe(trained_run), members)
  return path


def archive(members: list[tuple[str, bytes]], comment: bytes, method=zipfile.ZIP_STORED) -> bytes:
  """The bytes of a zip archive."""
  data = io.BytesIO()
  with zipfile.ZipFile(data, 'w', method) as file:
    for name, content in members:
      file.writestr(zipfile.ZipInfo(name), content, method)
    file.comment = comment
  return data.getvalue()


def signed(model, members: dict[str, bytes]) -> bytes:
  """A file whose checksums all hold, whatever model.json says."""
  text = json.dumps(model).encode()
  comment = hashlib.sha256(text).hexdigest().encode()
  return archive([(exported.MODEL, text), *members.items()], comment)


def test_it_says_what_prediction_says(trained_run, model_file, hospital, tmp_path):
  images = images_in(hospital)[:4]
  files = predict.radiographs_in([str(path) for path in images])
  predict.predict(trained_run, files, tmp_path, 4)
  predicted = {row['image']: row for row in rows_of(tmp_path)}
  model = exported.load(model_file)
  for name, path in files.items():
    said = model(read_radiograph(path).pixels)
    row = predicted[name]
    assert said.probability == pytest.approx(float(row['probability']), abs=2e-6)
    assert said.positive == bool(int(row['positive']))
    assert len([True for shown in said.marked if shown]) == int(row['findings'])
  assert 'not a medical device' in model.card.lower() + model.notice.lower()
  with pytest.raises(ValueError, match='one grey channel'):
    model(np.zeros((8, 8, 3), np.uint8))
  swapped = model(read_radiograph(images[0]).pixels.astype('>u2'))
  assert swapped.probability == model(read_radiograph(images[0]).pixels).probability


def test_it_refuses_what_is_no_upright_frontal_chest_unless_by_force(model_file, hospital):
  model = exported.load(model_file)
  lying = np.ascontiguousarray(np.rot90(read_radiograph(images_in(hospital)[0]).pixels))
  with pytest.raises(ValueError, match='not an upright frontal chest radiograph: .*turn it by 90'):
    model(lying)
  assert 0 < model(lying, force=True).probability < 1


def test_findings_of_a_turned_array_are_in_pixels_of_the_array(model_file, hospital):
  model = exported.load(model_file)
  pixels = read_radiograph(images_in(hospital)[0]).pixels
  plain = model(pixels)
  turned = model(np.ascontiguousarray(pixels.T), 'FL')
  assert turned.probability == pytest.approx(plain.probability, abs=1e-6)
  assert [place.laterality for place in turned.places] == [p.laterality for p in plain.places]
  for one, other in zip(turned.findings, plain.findings, strict=True):
    assert (one.x, one.y) == pytest.approx((other.y, other.x))
  with pytest.raises(ValueError, match="orientation 'XX'"):
    model(pixels, 'XX')


def test_it_holds_the_logit_from_which_probabilities_near_1_stay_apart(trained_run):
  network, variables = networks.load_network(trained_run)
  image = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 1), np.uint8)
  plain, _ = inference.forward(network, variables, image)
  read = jax_export.deserialize(bytearray(export.stablehlo(network, variables, 64)))
  logit, _ = read.call(image)
  np.testing.assert_allclose(logit, plain, rtol=1e-4, atol=1e-5)
  # What float32 gives of a probability, for logits that it tells apart.
  assert jax.nn.sigmoid(np.float32(17.5)) == jax.nn.sigmoid(np.float32(18.5)) == 1


def test_the_network_is_for_every_platform_and_batch_size(model_file):
  network = exported.unpack(model_file).members[exported.STABLEHLO]
  read = jax_export.deserialize(bytearray(network))
  assert read.platforms == ('cpu', 'cuda', 'tpu')
  image = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 1), np.uint8)
  together, _ = read.call(image)
  alone = [float(read.call(image[i : i + 1])[0][0]) for i in range(3)]
  np.testing.assert_allclose(together, alone, atol=1e-6)


LOAD = """
import importlib.abc, json, sys

class OnlyTheseFour(importlib.abc.MetaPathFinder):
  def find_spec(self, name, path, target=None):
    training = {'absl', 'clu', 'etils', 'flax', 'grain', 'h5py', 'imagecodecs', 'optax', 'orbax',
                'pandas', 'pydicom', 'tensorflow', 'tensorflow_datasets', 'rich', 'ml_collections'}
    if name.split('.')[0] in training:
      raise ImportError(name)

sys.meta_path.insert(0, OnlyTheseFour())
import cv2, numpy as np
import nodulax.exported
model = nodulax.exported.load(sys.argv[1])
said = model(np.load(sys.argv[2], allow_pickle=False))
print(json.dumps([nodulax.exported.__file__, said.probability, len(said.findings)]))
"""


def loaded_elsewhere(python: str, model_file: pathlib.Path, hospital, tmp_path) -> None:
  """Loads and runs the file with the copied loader alone, and compares."""
  pixels = read_radiograph(images_in(hospital)[0]).pixels
  np.save(tmp_path / 'pixels.npy', pixels)
  finished = subprocess.run(
    [python, '-c', LOAD, str(model_file), str(tmp_path / 'pixels.npy')],
    cwd=tmp_path,
    env={'PYTHONPATH': str(model_file.parent / 'loader'), 'PATH': '/usr/bin:/bin'},
    capture_output=True,
    text=True,
  )
  assert finished.returncode == 0, finished.stderr
  where, probability, count = json.loads(finished.stdout)
  assert pathlib.Path(where).is_relative_to(model_file.parent / 'loader')
  said = exported.load(model_file)(pixels)
  assert probability == pytest.approx(said.probability, abs=1e-6) and count == len(said.findings)


def test_the_loader_needs_no_training_code(model_file, hospital, tmp_path):
  loaded_elsewhere(sys.executable, model_file, hospital, tmp_path)


@pytest.mark.slow
def test_the_loader_works_in_an_environment_of_its_own(model_file, hospital, tmp_path):
  """With jax, numpy, opencv and flatbuffers, and nothing else."""
  subprocess.run([sys.executable, '-m', 'venv', str(tmp_path / 'venv')], check=True)
  python = str(tmp_path / 'venv' / 'bin' / 'python')
  needed = ('jax', 'numpy', 'opencv-python-headless', 'flatbuffers')
  installed = subprocess.run([python, '-m', 'pip', 'install', '-q', *needed], capture_output=True)
  if installed.returncode:
    pytest.skip('jax cannot be installed here: no package index')
  loaded_elsewhere(python, model_file, hospital, tmp_path)


def test_mutated_files_give_a_clear_error_or_the_right_answer(small_file, tmp_path):
  rng = np.random.default_rng(0)
  original = small_file.read_bytes()
  expected = exported.unpack(small_file)
  path = tmp_path / 'mutated'
  right = 0
  for number in range(5000):
    data = bytearray(original)
    kind = number % 5
    at = int(rng.integers(len(data)))
    if kind == 0:
      data[at] = rng.integers(256)
    elif kind == 1:
      del data[at:]
    elif kind == 2:
      data[at:at] = rng.bytes(int(rng.integers(1, 40)))
    elif kind == 3:
      del data[at : at + int(rng.integers(1, 40))]
    else:  # the archive's directory, at the end
      for where in rng.integers(len(data) - 400, len(data), 3):
        data[where] = rng.integers(256)
    path.write_bytes(data)
    try:
      assert exported.unpack(path) == expected
      right += 1
    except exported.ExportError as error:
      assert str(path) in str(error) and len(str(error)) < 500
  assert 0 < right < 2500  # some bytes, such as a date, mean nothing
  assert sorted(file.name for file in tmp_path.iterdir()) == ['mutated', 'small.nodulax']


def mutated(value, rng):
  """JSON like `value` with one thing in it of another kind or size, or missing."""
  odd = [None, True, -1, 1e308, 10**30, 'x' * 2000, '', [], {}, [[]], {'a': 1}, 0, 0.5, '../x']
  if isinstance(value, dict) and value and rng.random() < 0.9:
    key = list(value)[rng.integers(len(value))]
    if rng.random() < 0.15:
      return {name: one for name, one in value.items() if name != key}
    if rng.random() < 0.1:
      return {**value, 'odd': odd[rng.integers(len(odd))]}
    return {**value, key: mutated(value[key], rng)}
  if isinstance(value, list) and value and rng.random() < 0.7:
    index = rng.integers(len(value))
    return [*value[:index], mutated(value[index], rng), *value[index + 1 :]]
  return odd[rng.integers(len(odd))]


def test_a_description_of_other_values_is_refused_or_usable(small_file, tmp_path):
  rng = np.random.default_rng(1)
  members, _ = exported.unpack(small_file)
  model = json.loads(members[exported.MODEL])
  rest = {name: data for name, data in members.items() if name != exported.MODEL}
  path = tmp_path / 'odd'
  refused = 0
  for _ in range(1500):
    path.write_bytes(signed(mutated(model, rng), rest))
    try:
      assert exported.unpack(path).model.description.preprocessing.image_size > 0
    except exported.ExportError as error:
      refused += 1
      assert str(path) in str(error) and len(str(error)) < 500
  assert refused > 300


def test_archives_that_would_harm_are_refused(small_file, tmp_path):
  members, _ = exported.unpack(small_file)
  model = json.loads(members[exported.MODEL])
  rest = {name: data for name, data in members.items() if name != exported.MODEL}
  text, comment = members[exported.MODEL], small_file.read_bytes()[-64:]
  hostile = {
    'escape': archive([('../../escaped', b'x'), *members.items()], comment),
    'twice': b'',
    'bomb': archive(
      [(exported.MODEL, text), (exported.STABLEHLO, bytes(10**7))], comment, zipfile.ZIP_DEFLATED
    ),
    'pickle': archive([('network.pkl', b'cos\nsystem\n'), *members.items()], comment),
    'other version': signed({**model, 'version': 2}, rest),
    'other lungs': signed(
      {**model, 'description': {**model['description'], 'lung_network_sha256': '0' * 64}}, rest
    ),
    'unnamed member': signed(model, {**rest, exported.ONNX: b'x'}),
    'no network': signed(model, {exported.CARD: rest[exported.CARD]}),
    'empty': b'',
    'text': b'not a model',
  }
  with pytest.warns(UserWarning, match='Duplicate'):
    hostile['twice'] = archive([*members.items(), (exported.CARD, b'y')], comment)
  for name, data in hostile.items():
    path = tmp_path / 'hostile'
    path.write_bytes(data)
    with pytest.raises(exported.ExportError):
      exported.load(path)
    assert not list(tmp_path.parent.rglob('escaped')), name
  with pytest.raises(exported.ExportError, match='No such file'):
    exported.load(tmp_path / 'absent')
  with pytest.raises(exported.ExportError, match='cannot read the network'):
    exported.load(small_file)  # whose network is none


def test_a_full_disk_leaves_no_half_file(trained_run, tmp_path, monkeypatch):
  def full(*_):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(zipfile.ZipFile, 'writestr', full)
  with pytest.raises(OSError, match='No space'):
    members = {exported.CARD: b'', exported.STABLEHLO: b''}
    export.write(tmp_path / 'x', checkpoint.describe(trained_run), members)
  assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_onnx_gives_the_same_answers(trained_run, tmp_path):
  pytest.importorskip('jax2onnx', reason='the extra `onnx` is not installed')
  onnxruntime = pytest.importorskip('onnxruntime', reason='the extra `onnx` is not installed')
  finished = subprocess.run(
    [
      sys.executable,
      '-m',
      'nodulax.export',
      '--onnx',
      f'--checkpoint={trained_run}',
      f'--output={tmp_path / "x"}',
    ],
    cwd=pathlib.Path(__file__).parents[1],
    capture_output=True,
    text=True,
  )
  assert finished.returncode == 0, finished.stderr
  assert 'Traceback' not in finished.stderr and 'WARNING' not in finished.stderr
  members, _ = exported.unpack(tmp_path / 'x')
  session = onnxruntime.InferenceSession(members[exported.ONNX], providers=['CPUExecutionProvider'])
  image = np.random.default_rng(5).integers(0, 256, (1, 64, 64, 1), np.uint8)
  answers = session.run(None, {session.get_inputs()[0].name: image.astype(np.float32)})
  expected = exported.load(tmp_path / 'x').network(image)
  for answer, right in zip(answers, expected, strict=True):
    np.testing.assert_allclose(answer, right, rtol=0, atol=1e-3)


def test_the_command(trained_run, tmp_path, command):
  output = tmp_path / 'model.nodulax'
  printed = command(
    'nodulax.export',
    f'--checkpoint={trained_run}',
    f'--output={output}',
    f'--loader={tmp_path / "loader"}',
  )
  assert 'cpu, cuda, tpu' in printed and 'not a medical device' in printed.lower()
  assert exported.load(output).description.name == 'small'
  copied = {path.suffix for path in (tmp_path / 'loader').rglob('*') if path.is_file()}
  assert copied == {'.py', '.npz'}
