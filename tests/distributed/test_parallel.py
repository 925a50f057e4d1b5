"""One global batch gives the same training step on 1, 2 and 4 devices."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nodulax.distributed import parallel
from nodulax.model.build import build_network
from nodulax.training import step
from nodulax.training.losses import Loss

BATCH = 8
SIZE = 64


def network(head: str, synchronised: bool):
  return build_network(
    head=head,
    size='tiny',
    squeeze_excitation=True,
    reduction=16,
    batch_norm_momentum=0.9,
    mean=0.449,
    std=0.226,
    precision='float32',
    recompute=False,
    pooling='max',
    skip=False,
    cell_prior=0.5,
    axis_name=parallel.AXIS if synchronised else None,
  )


def whole_batch() -> dict[str, np.ndarray]:
  rng = np.random.default_rng(0)
  label = np.array([1, 1, 1, 0, 1, 0, 0, 1], np.float32)
  # Located and not located fall unevenly on the devices; on four, one has no located image.
  located = np.array([0, 0, 1, 1, 1, 1, 1, 0], np.float32)
  return {
    'image': rng.integers(0, 256, (BATCH, SIZE, SIZE, 1), dtype=np.uint8),
    'label': label,
    'truth': rng.random((BATCH, 4, 4), dtype=np.float32) * label[:, None, None],
    'located': located,
    'index': np.arange(BATCH, dtype=np.int32),
  }


def one_sgd_step(head: str, devices, synchronised: bool = True, batch=None):
  """The state and metrics after one step; with a rate of 1 the parameters move by the gradient."""
  these = jax.local_devices()[:devices] if isinstance(devices, int) else devices
  net = network(head, synchronised)
  sgd = optax.sgd(1.0)
  state = step.initial_state(net, sgd, seed=0, image_size=SIZE)
  mapped = parallel.map_devices(step.step_function(net, sgd, Loss(1.0)), these)
  batch = whole_batch() if batch is None else batch
  after, metrics = mapped(parallel.replicate(state, these), parallel.split(batch, these))
  return state, *jax.device_get((parallel.first(after), parallel.first(metrics)))


def distance(a, b) -> float:
  """|a - b| / |a| in the global norm."""
  return float(optax.tree.norm(jax.tree.map(jnp.subtract, a, b)) / optax.tree.norm(a))


@pytest.mark.parametrize('head', ['image', 'pixel'])
def test_the_gradient_is_the_same_on_1_2_and_4_devices(head):
  start, alone, alone_metrics = one_sgd_step(head, 1)
  gradient = jax.tree.map(jnp.subtract, start.params, alone.params)
  for devices in (2, 4):
    _, together, metrics = one_sgd_step(head, devices)
    here = jax.tree.map(jnp.subtract, start.params, together.params)
    assert distance(gradient, here) < 1e-5
    assert distance(alone.params, together.params) < 1e-5
    assert distance(alone.batch_stats, together.batch_stats) < 1e-5
    for name, value in alone_metrics.items():
      np.testing.assert_allclose(metrics[name], value, rtol=1e-5)


def test_without_synchronisation_the_statistics_are_each_devices_own():
  start, alone, _ = one_sgd_step('image', 1, synchronised=False)
  _, apart, _ = one_sgd_step('image', 4, synchronised=False)
  gradient = jax.tree.map(jnp.subtract, start.params, alone.params)
  here = jax.tree.map(jnp.subtract, start.params, apart.params)
  assert distance(gradient, here) > 1e-3


def test_the_loss_of_network_2_is_the_sum_of_both_over_the_global_batch():
  _, _, metrics = one_sgd_step('pixel', 2)
  net = network('pixel', synchronised=False)
  state = step.initial_state(net, optax.sgd(1.0), seed=0, image_size=SIZE)
  this = whole_batch()
  outputs, _ = net.apply(
    state.variables, this['image'] / np.float32(255), train=True, mutable=['batch_stats']
  )

  def cross_entropy(logits, truth):
    logits = np.asarray(logits, np.float64)
    return np.logaddexp(0, logits) - logits * truth

  classification = cross_entropy(outputs.logit, this['label']).mean()
  pixels = cross_entropy(outputs.map_logits, this['truth']).mean(axis=(1, 2))
  localization = pixels[this['located'] == 1].mean()
  np.testing.assert_allclose(metrics['classification_loss'], classification, rtol=1e-4)
  np.testing.assert_allclose(metrics['localization_loss'], localization, rtol=1e-4)
  np.testing.assert_allclose(metrics['loss'], classification + localization, rtol=1e-4)


def test_a_weighted_mean_of_nothing_is_zero():
  devices = jax.local_devices()[:2]
  part = parallel.map_devices(parallel.shares, devices)
  np.testing.assert_array_equal(part(jnp.zeros((2, 3))), np.zeros((2, 3)))


def test_a_batch_that_does_not_divide_over_the_devices_is_an_error():
  devices = jax.local_devices()[:2]
  parallel.require_divisible(8, devices, 4)
  with pytest.raises(ValueError, match='of 3 does not divide over 2 devices; choose'):
    parallel.require_divisible(3, devices)
  with pytest.raises(ValueError, match='of 6 does not divide over 2 devices in 2 parts each'):
    parallel.require_divisible(6, devices, 2)
