"""Batch norm with relu equals flax.linen.BatchNorm followed by relu, gradients included."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nodulax.model.batch_norm import BatchNormRelu

OURS = partial(BatchNormRelu, momentum=0.75, epsilon=1e-3)


class Flax(nn.Module):
  train: bool
  dtype: jax.typing.DTypeLike
  axis_name: str | None

  @nn.compact
  def __call__(self, x):
    return nn.relu(
      nn.BatchNorm(
        use_running_average=not self.train,
        momentum=0.75,
        epsilon=1e-3,
        dtype=self.dtype,
        axis_name=self.axis_name,
        name='norm',
      )(x)
    )


def results(network, variables, x, cotangent):
  """Output, moved statistics, and the gradients of a product that feels every output."""

  def product(params, x):
    y, updates = network.apply({**variables, 'params': params}, x, mutable=['batch_stats'])
    return (y.astype(jnp.float32) * cotangent).sum(), (y, updates['batch_stats'])

  gradients, (y, statistics) = jax.grad(product, (0, 1), has_aux=True)(variables['params'], x)
  return {'y': y, 'statistics': statistics, 'gradients': gradients}


@pytest.mark.parametrize('train', [False, True])
@pytest.mark.parametrize(('dtype', 'tolerance'), [('float32', 1e-5), ('bfloat16', 0.02)])
@pytest.mark.parametrize('axis_name', [None, 'data'])
def test_equals_flax(train, dtype, tolerance, axis_name):
  rng = np.random.default_rng(3)

  def draw(*shape):
    return rng.normal(size=shape).astype(np.float32)

  # Two devices with unlike images, so that statistics of each and of both differ.
  x = jnp.asarray(draw(2, 3, 8, 6, 5) + np.array([0, 3]).reshape(2, 1, 1, 1, 1), dtype)
  cotangent = draw(*x.shape)
  variables = {
    'params': {'scale': draw(5), 'bias': draw(5)},
    'batch_stats': {'mean': draw(5), 'var': draw(5) ** 2},
  }
  wrapped = {kind: {'norm': arrays} for kind, arrays in variables.items()}

  def mapped(network, variables):
    run = partial(results, network, variables)
    return jax.jit(jax.vmap(run, axis_name='data'))(x, cotangent)

  ours = mapped(OURS(train=train, dtype=dtype, axis_name=axis_name), variables)
  theirs = mapped(Flax(train, dtype, axis_name), wrapped)
  assert ours['y'].dtype == ours['gradients'][1].dtype == dtype
  assert jax.tree.map(lambda leaf: leaf.dtype, ours['statistics']) == {
    'mean': jnp.float32,
    'var': jnp.float32,
  }
  theirs['statistics'] = theirs['statistics']['norm']
  theirs['gradients'] = (theirs['gradients'][0]['norm'], theirs['gradients'][1])
  for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
    a, b = np.asarray(a, float), np.asarray(b, float)
    assert np.linalg.norm(a - b) < tolerance * np.linalg.norm(b)


def test_constant_channel_has_no_gradient_that_explodes():
  network = OURS(train=True, dtype='float32', axis_name=None)
  variables = {
    'params': {'scale': np.ones(1, np.float32), 'bias': np.ones(1, np.float32)},
    'batch_stats': {'mean': np.zeros(1, np.float32), 'var': np.ones(1, np.float32)},
  }
  found = results(network, variables, jnp.full((1, 4, 4, 1), 7.0), np.ones((1, 4, 4, 1)))
  np.testing.assert_array_equal(found['y'], np.ones((1, 4, 4, 1)))
  np.testing.assert_allclose(found['gradients'][1], np.zeros((1, 4, 4, 1)), atol=1e-5)
