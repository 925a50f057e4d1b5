"""Weights from files and from other networks. The expected names are written out by hand."""

import json
import zipfile

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from nodulax.model import SIZES, DenseNetSE, Network
from nodulax.model.pretrained import PUBLISHED, WeightsError, load_network, load_published

# For each module of a backbone with blocks of two layers: its name here, in Keras, in torchvision.
MODULES = [('stem_conv', 'conv1_conv', 'conv0'), ('stem_norm', 'conv1_bn', 'norm0')]
for block in (1, 2, 3, 4):
  for layer in (1, 2):
    here, torch = f'block{block}_layer{layer}', f'denseblock{block}.denselayer{layer}'
    keras = f'conv{block + 1}_block{layer}'
    MODULES += [
      (f'{here}/norm1', f'{keras}_0_bn', f'{torch}.norm1'),
      (f'{here}/conv1', f'{keras}_1_conv', f'{torch}.conv1'),
      (f'{here}/norm2', f'{keras}_1_bn', f'{torch}.norm2'),
      (f'{here}/conv2', f'{keras}_2_conv', f'{torch}.conv2'),
    ]
  if block < 4:
    here, keras, torch = f'transition{block}', f'pool{block + 1}', f'transition{block}'
    MODULES += [
      (f'{here}_norm', f'{keras}_bn', f'{torch}.norm'),
      (f'{here}_conv', f'{keras}_conv', f'{torch}.conv'),
    ]
MODULES += [('final_norm', 'bn', 'norm5')]
# collection, array here, in Keras, in torchvision
NORM = [
  ('params', 'scale', 'gamma', 'weight'),
  ('params', 'bias', 'beta', 'bias'),
  ('batch_stats', 'mean', 'moving_mean', 'running_mean'),
  ('batch_stats', 'var', 'moving_variance', 'running_var'),
]
CONV = [('params', 'kernel', 'kernel', 'weight')]


def initial(head='image', **options) -> dict:
  network = Network(head, DenseNetSE(**{**SIZES['tiny'], **options}), mean=0.5, std=0.25)
  shapes = jax.eval_shape(
    lambda x: network.init(jax.random.key(0), x, False), jnp.zeros((1, 32, 32, 1))
  )
  return jax.tree.map(lambda leaf: jnp.full(leaf.shape, 9.0), shapes)


@pytest.fixture
def published():
  """A row for each array: its name here, in Keras, in torchvision, its value as Keras holds it."""
  rng = np.random.default_rng(0)
  variables = flatten_dict(initial(), sep='/')
  arrays = []
  for here, keras, torch in MODULES:
    for collection, ours, theirs, torchs in NORM if 'norm' in here else CONV:
      path = f'{collection}/backbone/{here}/{ours}'
      shape = variables[path].shape
      if ours == 'kernel' and len(shape) == 2:
        shape = (1, 1, *shape)
      if here == 'stem_conv':
        shape = (*shape[:2], 3, shape[3])
      value = rng.normal(size=shape).astype(np.float32)
      arrays.append((path, f'{keras}/{theirs}', f'features.{torch}.{torchs}', value))
  return arrays


def write_h5(file, names_and_values) -> None:
  with h5py.File(file, 'w') as h5:
    for name, value in names_and_values:
      h5[name] = value


def keras_layers(arrays):
  """{layer: its arrays in order}"""
  layers: dict[str, list] = {}
  for _, keras, _, value in arrays:
    layers.setdefault(keras.rpartition('/')[0], []).append(value)
  return layers


def write_keras3(h5: h5py.File, arrays) -> None:
  for number, (layer, values) in enumerate(keras_layers(arrays).items()):
    group = h5.create_group(f'layers/layer_{number}/vars')
    group.attrs['name'] = layer
    for index, value in enumerate(values):
      group[str(index)] = value


def write(kind: str, folder, arrays):
  """A file of one of the kinds that are read."""
  if kind == 'full.h5':  # Written by model.save, with a top.
    path = folder / 'full.h5'
    write_h5(
      path,
      [(f'model_weights/{k.split("/")[0]}/{k}', v) for _, k, _, v in arrays]
      + [('model_weights/predictions/predictions/kernel', np.zeros((3, 4), np.float32))],
    )
  elif kind == 'old.h5':  # The older spelling of the stem's layers, and of the names of weights.
    path = folder / 'old.h5'
    old = [
      (k.replace('conv1_', 'conv1/', 1) if k.startswith('conv1_') else k, v)
      for _, k, _, v in arrays
    ]
    write_h5(path, [(f'{k.rpartition("/")[0]}/{k}:0', v) for k, v in old])
  elif kind == 'weights.h5':
    path = folder / 'densenet.weights.h5'
    with h5py.File(path, 'w') as h5:
      write_keras3(h5, arrays)
  elif kind == 'keras':
    path = folder / 'densenet.keras'
    with h5py.File(folder / 'model.weights.h5', 'w') as h5:
      write_keras3(h5, arrays)
    with zipfile.ZipFile(path, 'w') as archive:
      archive.write(folder / 'model.weights.h5', 'model.weights.h5')
      archive.writestr('config.json', json.dumps({}))
  else:
    path = folder / 'densenet.safetensors'
    old = {'norm1': 'norm.1', 'conv1': 'conv.1', 'norm2': 'norm.2', 'conv2': 'conv.2'}
    tensors = {}
    for _, _, torch, value in arrays:
      if kind == 'old.safetensors' and 'denselayer' in torch:
        module = torch.split('.')[-2]
        torch = torch.replace(f'.{module}.', f'.{old[module]}.')
      tensors[torch] = np.ascontiguousarray(
        value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
      )
    save_file(tensors | {'classifier.bias': np.zeros(3, np.float32)}, path)
  return path


KINDS = ['full.h5', 'old.h5', 'weights.h5', 'keras', 'safetensors', 'old.safetensors']


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_of_file(kind, published, tmp_path):
  variables = initial()
  before = flatten_dict(variables, sep='/')
  result, report = load_published(write(kind, tmp_path, published), variables)
  after = flatten_dict(result, sep='/')
  assert after.keys() == before.keys()
  for path, _, _, value in published:
    if path.endswith('stem_conv/kernel'):
      value = value[:, :, :1] + value[:, :, 1:2] + value[:, :, 2:]
    np.testing.assert_allclose(after[path], value.reshape(before[path].shape), rtol=1e-6, atol=1e-6)
  untouched = after.keys() - {path for path, *_ in published}
  assert all('excitation' in name or 'sub_network' in name for name in untouched)
  assert all((after[name] == 9).all() for name in untouched)
  assert set(report.taken) == {path for path, *_ in published}
  assert set(report.new) == untouched
  assert len(report.unused) == (kind not in ('old.h5', 'weights.h5', 'keras'))
  assert 'sub_network/conv* (4)' in str(report)


def test_one_channel_stem_sees_a_grey_image_as_three_channels_do(published, tmp_path):
  variables, _ = load_published(write('keras', tmp_path, published), initial())
  kernel = variables['params']['backbone']['stem_conv']['kernel']
  theirs = next(value for path, _, _, value in published if path.endswith('stem_conv/kernel'))
  grey = np.random.default_rng(1).normal(size=(1, 32, 32, 1)).astype(np.float32)

  def stem(image, kernel):
    return jax.lax.conv_general_dilated(
      image, kernel, (2, 2), [(3, 3), (3, 3)], dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )

  np.testing.assert_allclose(
    stem(grey, kernel), stem(np.repeat(grey, 3, -1), theirs), rtol=1e-4, atol=1e-4
  )


def test_a_missing_file_says_which_files_fit(tmp_path):
  with pytest.raises(FileNotFoundError, match='absent.h5 is missing') as error:
    load_published(tmp_path / 'absent.h5', initial())
  assert PUBLISHED in str(error.value)


def test_another_depth_is_an_error_that_tells_both(published, tmp_path):
  path = write('full.h5', tmp_path, published)
  with pytest.raises(WeightsError, match='2, 2, 2, 2 layers, and the network is.* 2, 2, 3, 2 lay'):
    load_published(path, initial(block_sizes=(2, 2, 3, 2)))
  with pytest.raises(WeightsError, match='block4_layer2/conv1/kernel has no place here'):
    load_published(path, initial(block_sizes=(2, 2, 2, 1)))


def test_another_width_is_an_error_that_tells_the_shapes(published, tmp_path):
  with pytest.raises(WeightsError, match=r'is \(16,\) and not \(24,\)'):
    load_published(write('full.h5', tmp_path, published), initial(stem_channels=24))


def test_another_architecture_is_an_error(tmp_path):
  save_file(
    {'layer1.0.conv1.weight': np.zeros((4, 4, 3, 3), np.float32)}, tmp_path / 'resnet.safetensors'
  )
  with pytest.raises(WeightsError, match='holds no DenseNet'):
    load_published(tmp_path / 'resnet.safetensors', initial())


def test_numbers_that_are_not_finite_are_an_error(published, tmp_path):
  here, *_, value = published[7]
  value.flat[3] = np.nan
  with pytest.raises(WeightsError, match=f'{here} holds numbers that are not finite'):
    load_published(write('safetensors', tmp_path, published), initial())


def test_two_networks_in_a_file_are_an_error(published, tmp_path):
  path = tmp_path / 'two.h5'
  write_h5(path, [(f'{net}/{k}', v) for net in 'ab' for _, k, _, v in published])
  with pytest.raises(WeightsError, match='two arrays for'):
    load_published(path, initial())


@pytest.mark.parametrize('suffix', ['h5', 'keras', 'pth', 'safetensors', 'onnx'])
def test_a_damaged_or_unknown_file_is_an_error_that_names_it(suffix, tmp_path):
  path = tmp_path / f'bad.{suffix}'
  path.write_bytes(b'not weights at all')
  with pytest.raises(WeightsError, match=f'bad.{suffix}'):
    load_published(path, initial())


def test_arrays_in_other_files_are_not_read(tmp_path):
  (tmp_path / 'secret.bin').write_bytes(bytes(64))
  with h5py.File(tmp_path / 'linked.h5', 'w') as h5:
    h5.create_dataset('bn/gamma', (16,), 'f4', external=[(str(tmp_path / 'secret.bin'), 0, 64)])
  with pytest.raises(WeightsError, match='lies in another file'):
    load_published(tmp_path / 'linked.h5', initial())


def test_an_array_too_large_for_memory_is_refused_before_it_is_read(tmp_path):
  with h5py.File(tmp_path / 'huge.h5', 'w') as h5:
    h5.create_dataset('bn/gamma', (1 << 40,), 'f4', chunks=(1 << 20,), compression='gzip')
  with pytest.raises(WeightsError, match='more than 1024 MiB'):
    load_published(tmp_path / 'huge.h5', initial())


def test_network_2_starts_from_the_backbone_of_network_1_alone():
  source = jax.tree.map(lambda leaf: leaf + 1, initial('image'))
  own = initial('pixel')
  result, report = load_network(source, own, sub_network=False)
  for collection in ('params', 'batch_stats'):
    jax.tree.map(
      np.testing.assert_array_equal, result[collection]['backbone'], source[collection]['backbone']
    )
  jax.tree.map(
    np.testing.assert_array_equal, result['params']['sub_network'], own['params']['sub_network']
  )
  assert (
    set(report.new)
    == set(report.unused)
    == {
      f'params/sub_network/{layer}/{weight}'
      for layer in ('conv1', 'conv2')
      for weight in ('kernel', 'bias')
    }
  )


def test_a_network_starts_from_one_of_the_same_head_whole():
  source = jax.tree.map(lambda leaf: leaf + 1, initial('pixel'))
  result, report = load_network(source, initial('pixel'), sub_network=True)
  jax.tree.map(np.testing.assert_array_equal, result, source)
  assert report.new == report.unused == ()


def test_squeeze_excitation_may_be_new_or_unused():
  gates = 2 * 7
  _, report = load_network(initial(squeeze_excitation=False), initial(), sub_network=True)
  assert len(report.new) == gates and all('excitation' in name for name in report.new)
  _, report = load_network(initial(), initial(squeeze_excitation=False), sub_network=True)
  assert report.new == () and len(report.unused) == gates


def test_a_network_of_another_size_is_an_error():
  with pytest.raises(WeightsError, match='2, 2, 3, 2 layers and this one is.* 2, 2, 2, 2'):
    load_network(initial(block_sizes=(2, 2, 3, 2)), initial(), sub_network=True)
