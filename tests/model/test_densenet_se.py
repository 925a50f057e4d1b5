"""What the feature extractor promises, apart from its equality with published networks."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from nodulax.model import SIZES, DenseNetSE
from nodulax.model.densenet_se import (
  Conv1x1,
  SqueezeExcitation,
  _convolve,
  _max_of_slices,
  _max_of_windows,
  max_pool,
)
from tests.model import quick

jit = partial(jax.jit, compiler_options=quick.OPTIONS)
IMAGES = jax.random.normal(jax.random.key(7), (2, 64, 64, 1))


def tiny(**options) -> DenseNetSE:
  return DenseNetSE(**SIZES['tiny'], **options)


@pytest.fixture(scope='module')
def variables():
  return jit(tiny().init, static_argnums=2)(jax.random.key(0), IMAGES, False)


def apply(network, variables, images=IMAGES, train=True):
  return jit(lambda v, x: network.apply(v, x, train, mutable=['batch_stats']))(variables, images)


def gradient(network, variables, images=IMAGES):
  def total(params):
    features, _ = network.apply(
      {**variables, 'params': params}, images, True, mutable=['batch_stats']
    )
    return (features.astype(jnp.float32) ** 2).sum()

  return jit(jax.grad(total))(variables['params'])


def relative_difference(a, b) -> float:
  """Of two trees, in the global norm."""
  a, b = (np.concatenate([np.ravel(x) for x in jax.tree.leaves(t)]).astype(float) for t in (a, b))
  return np.linalg.norm(a - b) / np.linalg.norm(b)


# Counts and widths of keras.applications, whose stem takes three channels.
@pytest.mark.parametrize(
  ('size', 'channels', 'trainable', 'statistics'),
  [
    ('121', 1024, 6_953_856, 83_648),
    ('169', 1664, 12_484_480, 158_400),
    ('201', 1920, 18_092_928, 229_056),
  ],
)
def test_published_sizes(size, channels, trainable, statistics):
  network = DenseNetSE(**SIZES[size], squeeze_excitation=False)
  image = jax.ShapeDtypeStruct((3, 96, 160, 3), jnp.float32)
  features, variables = jax.eval_shape(
    lambda x: network.init_with_output(jax.random.key(0), x, False), image
  )
  assert features.shape == (3, 3, 5, channels)
  assert sum(leaf.size for leaf in jax.tree.leaves(variables['params'])) == trainable
  assert sum(leaf.size for leaf in jax.tree.leaves(variables['batch_stats'])) == statistics


def test_squeeze_excitation_starts_as_the_exact_identity(variables):
  plain = {
    'params': {k: v for k, v in variables['params'].items() if 'excitation' not in k},
    'batch_stats': variables['batch_stats'],
  }
  assert len(variables['params']) - len(plain['params']) == 7  # Four blocks, three transitions.
  for train in (False, True):
    with_gates, _ = apply(tiny(), variables, train=train)
    without, _ = apply(tiny(squeeze_excitation=False), plain, train=train)
    # The compiler rounds two programs differently.
    assert relative_difference(with_gates, without) < 1e-5
  gates = SqueezeExcitation(reduction=16, dtype=jnp.float32)
  result, _ = gates.init_with_output(jax.random.key(0), IMAGES)
  np.testing.assert_array_equal(result, IMAGES)


def test_squeeze_excitation_learns(variables):
  step = gradient(tiny(), variables)['block1_excitation']
  assert np.abs(step['expand']['kernel']).max() > 0
  assert np.abs(step['reduce']['kernel']).max() == 0
  moved = jax.tree.map(lambda p, g: p - 1e-3 * g, variables['params'], gradient(tiny(), variables))
  step = gradient(tiny(), {**variables, 'params': moved})['block1_excitation']
  assert np.abs(step['reduce']['kernel']).max() > 0


def test_squeeze_excitation_by_hand():
  gates = SqueezeExcitation(reduction=2, dtype=jnp.float32)
  # Two channels with means 1 and 3, squeezed to relu(-1 + 3) = 2, expanded to 2 ln 3 and 0.
  image = jnp.array([[0.0, 2.0], [2.0, 4.0]]).reshape(1, 1, 2, 2)
  params = {
    'reduce': {'kernel': jnp.array([[-1.0], [1.0]])},
    'expand': {'kernel': jnp.array([[np.log(3.0), 0.0]])},
  }
  # 2 sigmoid(2 ln 3) = 1.8.
  np.testing.assert_allclose(
    gates.apply({'params': params}, image)[0, 0], [[0.0, 2.0], [3.6, 4.0]], rtol=1e-6
  )


def test_same_seed_same_network(variables):
  again = jit(tiny().init, static_argnums=2)(jax.random.key(0), IMAGES, False)
  jax.tree.map(np.testing.assert_array_equal, variables, again)
  jax.tree.map(np.testing.assert_array_equal, apply(tiny(), variables), apply(tiny(), variables))


def test_running_statistics_move_by_the_momentum(variables):
  _, updates = apply(tiny(momentum=0.75), variables)
  kernel = variables['params']['stem_conv']['kernel']
  stem = jax.lax.conv_general_dilated(
    IMAGES, kernel, (2, 2), [(3, 3), (3, 3)], dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
  stem = np.asarray(stem, float).reshape(-1, stem.shape[-1])
  moved = updates['batch_stats']['stem_norm']
  np.testing.assert_allclose(moved['mean'], 0.25 * stem.mean(0), rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(moved['var'], 0.75 + 0.25 * stem.var(0), rtol=1e-4)


def test_inference_uses_running_statistics_and_one_image_at_a_time(variables):
  features, updates = apply(tiny(), variables, train=False)
  jax.tree.map(np.testing.assert_array_equal, updates, {'batch_stats': variables['batch_stats']})
  alone, _ = apply(tiny(), variables, IMAGES[1:], train=False)
  np.testing.assert_allclose(features[1:], alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_half_precision_keeps_parameters_and_statistics_in_float32(variables, dtype):
  network = tiny(dtype=dtype)
  # Far enough from zero that sums in half precision would stand still.
  images = 5 + IMAGES
  features, updates = apply(network, variables, images)
  assert features.dtype == dtype
  initial = jax.eval_shape(lambda x: network.init(jax.random.key(0), x, False), images)
  assert {leaf.dtype for leaf in jax.tree.leaves((initial, updates))} == {jnp.dtype('float32')}
  _, exact = apply(tiny(), variables, images)
  stem, exact_stem = updates['batch_stats']['stem_norm'], exact['batch_stats']['stem_norm']
  deviation = np.sqrt(exact_stem['var'])
  np.testing.assert_array_less(np.abs(stem['mean'] - exact_stem['mean']), 0.01 * deviation)
  np.testing.assert_allclose(stem['var'], exact_stem['var'], rtol=0.02)


def test_recomputation_changes_no_gradient(variables):
  def program(network):
    return str(jax.make_jaxpr(lambda x: network.apply(variables, x, False))(IMAGES))

  assert 'remat' in program(tiny(remat=True)) and 'remat' not in program(tiny())
  assert (
    relative_difference(gradient(tiny(remat=True), variables), gradient(tiny(), variables)) < 1e-5
  )
  recomputing = jax.eval_shape(lambda x: tiny(remat=True).init(jax.random.key(0), x, False), IMAGES)
  assert flatten_dict(recomputing).keys() == flatten_dict(variables).keys()


def test_synchronised_statistics_are_those_of_the_whole_batch(variables):
  whole, whole_updates = apply(tiny(), variables)
  network = tiny(axis_name='data')
  parts, part_updates = jit(
    jax.vmap(
      lambda image: network.apply(variables, image[None], True, mutable=['batch_stats']),
      axis_name='data',
    )
  )(IMAGES)
  assert relative_difference(parts[:, 0], whole) < 1e-4
  first = jax.tree.map(lambda leaf: leaf[0], part_updates)
  assert relative_difference(first, whole_updates) < 1e-5


def test_synchronised_gradients_are_those_of_the_whole_batch(variables):
  network = tiny(axis_name='data')

  def total(params, image):
    features, _ = network.apply(
      {**variables, 'params': params}, image[None], True, mutable=['batch_stats']
    )
    return (features**2).sum()

  parts = jit(jax.vmap(jax.grad(total), (None, 0), axis_name='data'))(variables['params'], IMAGES)
  summed = jax.tree.map(lambda leaf: leaf.sum(0), parts)
  assert relative_difference(summed, gradient(tiny(), variables)) < 1e-4


def test_max_pool_by_hand():
  image = jnp.arange(16.0).reshape(1, 4, 4, 1) - 20
  np.testing.assert_array_equal(max_pool(image, False)[0, :, :, 0], [[-15, -13], [-7, -5]])


def test_max_pool_and_its_gradient_are_those_of_reduce_window():
  image = jax.random.normal(jax.random.key(3), (2, 8, 12, 3))
  theirs, their_gradient = jax.vjp(
    lambda x: nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1))), image
  )
  cotangent = jax.random.normal(jax.random.key(4), theirs.shape)
  for pool in (_max_of_slices, _max_of_windows, partial(max_pool, train=True)):
    ours, our_gradient = jax.vjp(pool, image)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(
      our_gradient(cotangent)[0], their_gradient(cotangent)[0], rtol=1e-5, atol=1e-6
    )


def test_1x1_convolution_is_a_product_and_a_convolution():
  x = jax.random.normal(jax.random.key(3), (2, 8, 12, 6))
  kernel = jax.random.normal(jax.random.key(4), (6, 5))
  np.testing.assert_allclose(_convolve(x, kernel), x @ kernel, rtol=1e-5, atol=1e-6)
  ours = Conv1x1(5, train=True, dtype=jnp.float32).apply({'params': {'kernel': kernel}}, x)
  np.testing.assert_allclose(ours, x @ kernel, rtol=1e-6)


def test_size_that_is_no_multiple_of_32_is_an_error():
  with pytest.raises(ValueError, match='multiple of 32, not 100 x 64'):
    tiny().init(jax.random.key(0), jnp.zeros((1, 100, 64, 1)), False)
