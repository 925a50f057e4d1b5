"""DenseNet equals keras.applications and torchvision: features and gradients, weights imported.

Stored references are compared always: features of every size, and of DenseNet-121 gradients too.
`pytest -m slow` compares the gradients of the other sizes and, where they are installed (the extra
`parity`), runs the published networks themselves. Images are random, and a real radiograph.
`python -m tests.model.test_parity keras`, and again with torchvision, with the extra installed and
NODULAX_TEST_DATA set, writes the references anew.

Every weight is drawn from a seed that is its name, so that no weight need be stored. Of the
features every eighth channel is stored, of the gradients their norms and their products with one
random array each. Gradients are compared in float64: in float32 a rounding error that moves one
activation across zero switches its gradient on or off, and over 120 layers any two libraries,
or one with itself on other hardware, come to differ by a percent.
"""

import functools
import itertools
import os
import pathlib
import sys
import tempfile
import zlib

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from nodulax.model import SIZES, DenseNetSE, Network
from nodulax.model.pretrained import load_published
from tests.model import quick

REFERENCES = pathlib.Path(__file__).parent / 'references'
TOLERANCE = 1e-4


def uniform(name: str, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
  rng = np.random.default_rng(zlib.crc32(name.encode()))
  return (low + (high - low) * rng.random(shape)).astype(np.float32)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
  """A likely value of a Keras or torchvision array."""
  kind = name.replace('.', '/').split('/')[-1]
  if kind == 'kernel' or len(shape) == 4:
    fan_in = np.prod(shape[:-1]) if kind == 'kernel' else np.prod(shape[1:])
    bound = np.sqrt(6 / fan_in)
    return uniform(name, shape, -bound, bound)
  if kind in ('gamma', 'weight', 'moving_variance', 'running_var'):
    return uniform(name, shape, 0.5, 1.5)
  return uniform(name, shape, -0.2, 0.2)


def random_images() -> np.ndarray:
  return uniform('images', (2, 128, 128, 3), -1.7, 1.7)


def images_of(kind: str, request) -> np.ndarray:
  """'random' ones, or the real 'radiograph'; skips where there is none."""
  if kind == 'random':
    return random_images()
  return three_channels(read_radiograph(request.getfixturevalue('real_data')))


def cotangent(features: np.ndarray) -> np.ndarray:
  """Gradients are of the features' product with this."""
  return uniform('cotangent', features.shape, -1, 1)


def read_radiograph(folder: pathlib.Path) -> np.ndarray:
  """A real radiograph in [0, 1]: f32[1, 224, 224, 1]."""
  pixels = cv2.imread(str(folder / 'jsrt' / 'images' / 'JPCNN061.png'), cv2.IMREAD_GRAYSCALE)
  return (pixels / np.float32(255))[None, :, :, None]


def three_channels(radiograph: np.ndarray) -> np.ndarray:
  """As the published networks see it, under one mean and one standard deviation."""
  return np.repeat((radiograph - np.float32(0.5)) / np.float32(0.25), 3, -1)


class Keras:
  """DenseNet of keras.applications, in float64."""

  def __init__(self, size: str):
    # Keras on JAX takes batch statistics in float32 whatever the layer's type.
    os.environ['KERAS_BACKEND'] = 'tensorflow'
    self.tensorflow = pytest.importorskip('tensorflow')
    keras = pytest.importorskip('keras')
    keras.config.set_floatx('float64')
    self.model = getattr(keras.applications, f'DenseNet{size}')(weights=None, include_top=False)
    keras.config.set_floatx('float32')
    self.shapes = {v.path: tuple(v.shape) for v in self.model.variables}

  def features_and_gradients(self, images: np.ndarray, train: bool):
    for variable in self.model.variables:
      variable.assign(weight(variable.path, variable.shape))
    variables = self.model.trainable_variables
    with self.tensorflow.GradientTape() as tape:
      features = self.model(images, training=train)
      product = self.tensorflow.reduce_sum(features * cotangent(features))
    gradients = tape.gradient(product, [variable.value for variable in variables])
    return features.numpy(), {v.path: g.numpy() for v, g in zip(variables, gradients, strict=True)}


class Torchvision:
  """DenseNet of torchvision, in float64 and with the batch-norm epsilon of Keras."""

  def __init__(self, size: str):
    self.torch = torch = pytest.importorskip('torch')
    try:
      torchvision = pytest.importorskip('torchvision')
    except RuntimeError:
      # One built for GPUs cannot load its operators everywhere, and DenseNet uses none of them.
      for operator in ('nms', 'qnms'):
        torch.library.define(f'torchvision::{operator}', '(Tensor a, Tensor b, float c) -> Tensor')
      torchvision = pytest.importorskip('torchvision')
    self.model = getattr(torchvision.models, f'densenet{size}')(weights=None).double()
    for module in self.model.modules():
      if isinstance(module, torch.nn.BatchNorm2d):
        module.eps = 1.001e-5  # For 1e-5.
    self.shapes = {
      name: tuple(array.shape)
      for name, array in self.model.state_dict().items()
      if array.ndim and name.startswith('features')
    }

  def features_and_gradients(self, images: np.ndarray, train: bool):
    torch = self.torch
    drawn = {name: torch.from_numpy(weight(name, s)) for name, s in self.shapes.items()}
    self.model.load_state_dict(drawn, strict=False)
    self.model.train(train).zero_grad()
    features = self.model.features(torch.from_numpy(images).double().permute(0, 3, 1, 2)).relu()
    features = features.permute(0, 2, 3, 1)
    (features * torch.from_numpy(cotangent(features))).sum().backward()
    parameters = self.model.features.named_parameters(prefix='features')
    return features.detach().numpy(), {name: p.grad.numpy() for name, p in parameters}


LIBRARIES = {'keras': Keras, 'torchvision': Torchvision}


def quick_jit(function, *args, hurry: bool = True):
  """Calls a function through a compiler that is in a hurry.

  All arrays are arguments, so that networks of one shape share their compiled program.

  In a hurry it rounds a value that it computes twice in two ways. Where neighbours are equal, as in
  a real radiograph, the gradient of their maximum is lost then.
  """
  options = quick.OPTIONS if hurry else {}
  results = jax.jit(function, compiler_options=options)(*args)
  return jax.tree.map(np.asarray, results)


def import_arrays(arrays: dict[str, np.ndarray], network: Network | DenseNetSE, folder):
  """Variables of a network with a library's arrays in them, by way of a file."""
  file = pathlib.Path(folder) / 'weights.safetensors'
  save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, file)
  channels = 1 if isinstance(network, Network) else 3
  shape = jax.ShapeDtypeStruct((1, 32, 32, channels), jnp.float32)
  variables = jax.eval_shape(lambda x: network.init(jax.random.key(0), x, False), shape)
  variables = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), variables)
  if isinstance(network, Network):
    return load_published(file, variables)[0]
  wrapped = {collection: {'backbone': tree} for collection, tree in variables.items()}
  return {name: tree['backbone'] for name, tree in load_published(file, wrapped)[0].items()}


def digest(gradients: dict) -> dict[str, np.ndarray]:
  """Of each array its norm and its product with a random array: f64[2]."""
  return {
    name: np.array([np.linalg.norm(g), np.vdot(uniform(f'probe/{name}', g.shape, -1, 1), g)], float)
    for name, g in ((name, np.asarray(g, float)) for name, g in flat(gradients).items())
  }


def flat(tree: dict) -> dict[str, np.ndarray]:
  return flatten_dict(tree, sep='/')


def relative_error(ours, theirs) -> float:
  ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
  return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


def drawn_variables(size: str, shapes: dict, folder) -> tuple[DenseNetSE, dict]:
  network = DenseNetSE(**SIZES[size], squeeze_excitation=False)
  arrays = {name: weight(name, shape) for name, shape in shapes.items()}
  return network, import_arrays(arrays, network, folder)


@jax.enable_x64(True)
def features_and_gradients(size: str, shapes: dict, images: np.ndarray, train: bool, folder):
  """The same of nodulax."""
  network, variables = drawn_variables(size, shapes, folder)
  network = network.clone(dtype=jnp.float64)
  variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), variables)

  def product(params, others, images):
    features, _ = network.apply(
      {**others, 'params': params}, images, train, mutable=['batch_stats']
    )
    return (features * cotangent(features)).sum(), features

  real = len(images) == 1  # the radiograph is alone in its batch
  params = variables.pop('params')
  gradients, features = quick_jit(
    jax.grad(product, has_aux=True), params, variables, images, hurry=not (train and real)
  )
  return features, gradients


def radiograph_features(size: str, shapes: dict, radiograph: np.ndarray, folder):
  """Features of network 1 with squeeze-and-excitation as initialised, and one grey channel."""
  network = Network('image', DenseNetSE(**SIZES[size]), mean=0.5, std=0.25)
  variables = import_arrays({name: weight(name, s) for name, s in shapes.items()}, network, folder)
  return quick_jit(
    lambda: network.apply(
      variables,
      radiograph,
      False,
      capture_intermediates=lambda module, _: isinstance(module, DenseNetSE),
    )[1]['intermediates']['backbone']
  )['__call__'][0]


SIZED = ('121', '169', '201')
CASES = [
  pytest.param(library, size, marks=[] if size == '121' else pytest.mark.slow)
  for size in SIZED
  for library in LIBRARIES
]
KINDS = ('random', 'radiograph')
MODES = ('inference', 'training')


def reference(library: str, size: str) -> dict[str, np.ndarray]:
  with np.load(REFERENCES / f'{library}{size}.npz', allow_pickle=False) as file:
    return dict(file)


def shapes_of(stored: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
  return {str(name): tuple(map(int, str(shape).split())) for name, shape in stored['shapes']}


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(('library', 'size'), CASES)
def test_equals_the_stored_reference(library, size, kind, mode, request, tmp_path):
  images = images_of(kind, request)
  stored = reference(library, size)
  features, gradients = features_and_gradients(
    size, shapes_of(stored), images, mode == 'training', tmp_path
  )
  assert features.min() >= 0
  assert relative_error(features[..., ::8], stored[f'{kind}/{mode}/features']) < TOLERANCE
  ours = digest(gradients)
  names = [str(name) for name in stored['gradients']]
  assert sorted(ours) == sorted(names)
  # Relative to the norm: a product of two arrays can be nearly zero by chance.
  errors = [
    np.abs(ours[name] - theirs).max() / theirs[0]
    for name, theirs in zip(names, stored[f'{kind}/{mode}/gradients'], strict=True)
  ]
  assert max(errors) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(('library', 'size'), CASES)
def test_equals_the_library(library, size, kind, mode, request, tmp_path):
  images, train = images_of(kind, request), mode == 'training'
  published = LIBRARIES[library](size)
  features, gradients = published.features_and_gradients(images, train)
  ours, our_gradients = features_and_gradients(size, published.shapes, images, train, tmp_path)
  assert relative_error(ours, features) < TOLERANCE
  for name, theirs in flat(import_gradients(published, gradients, size, tmp_path)).items():
    assert relative_error(flat(our_gradients)[name], theirs) < TOLERANCE, name


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore::DeprecationWarning')  # of Keras, which is saving
@pytest.mark.parametrize('suffix', ['pth', 'legacy.pth', 'weights.h5', 'keras'])
def test_files_that_the_libraries_write_are_read(suffix, tmp_path):
  file = tmp_path / f'densenet121.{suffix}'
  published = LIBRARIES['torchvision' if suffix.endswith('pth') else 'keras']('121')
  drawn = {name: weight(name, shape) for name, shape in published.shapes.items()}
  if suffix.endswith('pth'):
    torch = published.torch
    state = {name: torch.from_numpy(array) for name, array in drawn.items()}
    torch.save(state, file, _use_new_zipfile_serialization=suffix == 'pth')
  else:
    for variable in published.model.variables:
      variable.assign(drawn[variable.path])
    (published.model.save if suffix == 'keras' else published.model.save_weights)(file)
  network = Network('image', DenseNetSE(**SIZES['121']), mean=0.5, std=0.25)
  expected = import_arrays(drawn, network, tmp_path)
  found, report = load_published(file, jax.tree.map(jnp.zeros_like, expected))
  assert len(report.taken) == len(drawn)
  # Keras writes float64 here, and the stem's three channels are summed before they are rounded.
  close = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-7)
  jax.tree.map(close, found, expected)


def import_gradients(published, gradients: dict, size: str, folder) -> dict:
  """A library's gradients in the form of our parameters; a gradient is laid out as its array."""
  zeros = {name: np.zeros(s, np.float32) for name, s in published.shapes.items()}
  network = DenseNetSE(**SIZES[size], squeeze_excitation=False)
  filled = zeros | {name: np.asarray(g) for name, g in gradients.items()}
  return import_arrays(filled, network, folder)['params']


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('size', SIZED)
@pytest.mark.parametrize('library', LIBRARIES)
def test_float32_features_equal_the_stored_reference(library, size, mode, tmp_path):
  stored = reference(library, size)
  network, variables = drawn_variables(size, shapes_of(stored), tmp_path)
  features, _ = quick_jit(
    lambda variables, images: network.apply(
      variables, images, mode == 'training', mutable=['batch_stats']
    ),
    variables,
    random_images(),
  )
  assert relative_error(features[..., ::8], stored[f'random/{mode}/features']) < TOLERANCE


@pytest.mark.parametrize('library', LIBRARIES)
def test_excitation_changes_nothing_at_first_on_a_real_radiograph(library, real_data, tmp_path):
  stored = reference(library, '121')
  ours = radiograph_features('121', shapes_of(stored), read_radiograph(real_data), tmp_path)
  assert relative_error(ours[..., ::8], stored['radiograph/inference/features']) < TOLERANCE


def write_references(libraries: list[str], real_data: pathlib.Path) -> None:
  REFERENCES.mkdir(exist_ok=True)
  images = {'random': random_images(), 'radiograph': three_channels(read_radiograph(real_data))}
  for library in libraries:
    for size in SIZED:
      published = LIBRARIES[library](size)
      stored = {
        'shapes': np.array(
          [(name, ' '.join(map(str, shape))) for name, shape in published.shapes.items()]
        )
      }
      for kind, mode in itertools.product(KINDS, MODES):
        features, gradients = published.features_and_gradients(images[kind], mode == 'training')
        with tempfile.TemporaryDirectory() as folder:
          digests = digest(import_gradients(published, gradients, size, folder))
        stored[f'{kind}/{mode}/features'] = features[..., ::8].astype(np.float32)
        stored[f'{kind}/{mode}/gradients'] = np.array(list(digests.values()))
        stored['gradients'] = np.array(list(digests))
      np.savez_compressed(REFERENCES / f'{library}{size}.npz', **stored)
      print(f'wrote {library}{size}.npz')


if __name__ == '__main__':
  write_references(sys.argv[1:], pathlib.Path(os.environ['NODULAX_TEST_DATA']))
