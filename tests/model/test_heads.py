"""The two heads, on feature maps made by hand."""

import cv2
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nodulax.model import SIZES, DenseNetSE, Network


class Recorded(nn.Module):
  """Stands for a backbone: its features are the image itself, shown as the backbone gets it."""

  dtype: jax.typing.DTypeLike = jnp.float32

  def __call__(self, image: jax.Array, train: bool) -> jax.Array:
    return image


def passing(head: str, **options) -> tuple[Network, dict]:
  """A network whose map is relu(2 features) - 1 of the one channel."""
  network = Network(head, Recorded(), mean=0.5, std=0.25, **options)
  kernel = np.zeros((3, 3, 1, 128), np.float32)
  kernel[1, 1, 0, 5] = 2
  last = np.zeros((1, 1, 128, 1), np.float32)
  last[0, 0, 5] = 1
  params = {
    'conv1': {'kernel': kernel, 'bias': np.zeros(128)},
    'conv2': {'kernel': last, 'bias': -np.ones(1)},
  }
  return network, {'params': {'sub_network': params}}


FEATURES = np.array([[0.5, -1.0, 0.25], [2.0, 0.0, 1.0], [-0.5, 0.75, 0.0]], np.float32)
IMAGE = (FEATURES * 0.25 + 0.5)[None, :, :, None]


def test_network_1_is_the_mean_of_its_map():
  network, variables = passing('image')
  logit, map_logits = network.apply(variables, IMAGE, False)
  expected = [[0, -1, -0.5], [3, -1, 1], [-1, 0.5, -1]]
  np.testing.assert_allclose(map_logits[0], expected, atol=1e-6)
  np.testing.assert_allclose(logit, [0.0], atol=1e-6)


def test_network_2_is_the_maximum_of_a_map_of_doubled_features():
  network, variables = passing('pixel')
  logit, map_logits = network.apply(variables, IMAGE, False)
  doubled = cv2.resize(FEATURES, (6, 6), interpolation=cv2.INTER_LINEAR)
  np.testing.assert_allclose(map_logits[0], 2 * np.maximum(doubled, 0) - 1, atol=1e-5)
  # The highest feature, 2, lies on the left edge: a quarter of the way to 0.5 above it.
  np.testing.assert_allclose(logit, [2 * (2 - 0.25 * (2 - 0.5)) - 1], atol=1e-5)


def test_log_sum_exp_pools_every_cell():
  network, variables = passing('pixel', pooling='logsumexp')
  logit, map_logits = network.apply(variables, IMAGE, False)
  cells = np.asarray(map_logits[0], np.float64)
  np.testing.assert_allclose(logit, [np.log(np.exp(cells).sum())], rtol=1e-5)


def test_every_cell_of_the_pixel_head_starts_at_its_prior():
  network = Network('pixel', DenseNetSE(**SIZES['tiny']), 0.5, 0.25, cell_prior=0.02)
  variables = network.init(jax.random.key(0), jnp.zeros((1, 32, 32, 1)), False)
  bias = variables['params']['sub_network']['conv2']['bias']
  np.testing.assert_allclose(bias, [-3.8918203], rtol=1e-6)  # log(0.02 / 0.98)


def test_the_skip_shows_the_head_features_as_fine_as_its_map():
  network = Network('pixel', DenseNetSE(**SIZES['tiny']), 0.5, 0.25, skip=True)
  image = jax.ShapeDtypeStruct((1, 64, 64, 1), jnp.float32)
  outputs, variables = jax.eval_shape(
    lambda x: network.init_with_output(jax.random.key(0), x, False), image
  )
  assert outputs.map_logits.shape == (1, 4, 4)
  # The last block of 'tiny' ends with 30 channels, the third with 28.
  assert variables['params']['sub_network']['conv1']['kernel'].shape == (3, 3, 58, 128)


@pytest.mark.parametrize('precision', ['float32', 'bfloat16', 'float16'])
@pytest.mark.parametrize(('head', 'width'), [('image', 2), ('pixel', 4)])
def test_outputs_are_float32_and_of_the_stated_shape(head, width, precision):
  network = Network(head, DenseNetSE(**SIZES['tiny'], dtype=precision), 0.5, 0.25)
  image = jax.ShapeDtypeStruct((3, 64, 64, 1), jnp.float32)
  outputs, _ = jax.eval_shape(
    lambda x: network.init_with_output(jax.random.key(0), x, False), image
  )
  assert outputs.logit.shape == (3,)
  assert outputs.map_logits.shape == (3, width, width)
  assert outputs.logit.dtype == outputs.map_logits.dtype == jnp.float32


def test_both_networks_have_the_same_parameters():
  def shapes(head):
    network = Network(head, DenseNetSE(**SIZES['tiny']), 0.5, 0.25)
    image = jax.ShapeDtypeStruct((1, 32, 32, 1), jnp.float32)
    return jax.eval_shape(lambda x: network.init(jax.random.key(0), x, False), image)

  assert shapes('image') == shapes('pixel')


def test_unknown_head_is_an_error():
  network, variables = passing('box')
  with pytest.raises(ValueError, match="'image' or 'pixel', not 'box'"):
    network.apply(variables, IMAGE, False)
