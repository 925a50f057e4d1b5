"""One training step: its precision, its parts, and what it does with a gradient too large."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nodulax.distributed import parallel
from nodulax.model.build import build_network
from nodulax.statistics import roc
from nodulax.training import optimizer, step
from nodulax.training.loss_scale import LossScale
from nodulax.training.losses import Loss

SIZE = 64


def network(precision: str = 'float32', head: str = 'pixel'):
  return build_network(
    head=head,
    size='tiny',
    squeeze_excitation=True,
    reduction=16,
    batch_norm_momentum=0.9,
    mean=0.449,
    std=0.226,
    precision=precision,
    recompute=False,
    pooling='max',
    skip=False,
    cell_prior=0.5,
    axis_name=parallel.AXIS,
  )


def bright_squares(count: int, seed: int) -> dict[str, np.ndarray]:
  """Noise, half of it with a faint bright square in one of sixteen cells."""
  rng = np.random.default_rng(seed)
  image = rng.normal(110, 30, (count, SIZE, SIZE, 1))
  truth = np.zeros((count, 4, 4), np.float32)
  label = (np.arange(count) % 2).astype(np.float32)
  for index in np.flatnonzero(label):
    row, column = rng.integers(0, 4, 2)
    image[index, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] += 25
    truth[index, row, column] = 1
  return {
    'image': np.clip(image, 0, 255).astype(np.uint8),
    'label': label,
    'truth': truth,
    'located': np.ones(count, np.float32),
    'index': np.arange(count, dtype=np.int32),
  }


def trained(precision: str, steps: int):
  """Network and state after some steps on two devices, and the metrics of the last one."""
  devices = jax.local_devices()[:2]
  net = network(precision)
  adam = optimizer.adam(optax.constant_schedule(2e-3))
  scale = LossScale.create(initial=2.0**15, grow_after=10) if precision == 'float16' else None
  state = parallel.replicate(step.initial_state(net, adam, 0, SIZE, scale), devices)
  mapped = parallel.map_devices(step.step_function(net, adam, Loss(1.0)), devices)
  metrics = {}
  for number in range(steps):
    batch = parallel.split(bright_squares(16, seed=number), devices)
    state, metrics = mapped(state, batch)
  return net, parallel.first(state), parallel.first(metrics)


@pytest.mark.parametrize('precision', ['float32', 'bfloat16', 'float16'])
def test_every_precision_learns_the_same(precision):
  net, state, metrics = trained(precision, 60)
  test = bright_squares(200, seed=10_000)
  outputs = jax.jit(lambda image: net.apply(state.variables, image / 255, train=False))(
    test['image'].astype(np.float32)
  )
  # Three seeds in each precision gave 0.999 or more; after 40 steps still 0.96 to 0.99.
  assert roc.auc(test['label'], np.asarray(outputs.logit, float)) > 0.95
  assert outputs.logit.dtype == outputs.map_logits.dtype == jnp.float32
  # Everything that is kept is in float32: parameters, batch norm's statistics, Adam's moments.
  kept = jax.tree.leaves((state.params, state.batch_stats, state.opt_state))
  assert {leaf.dtype for leaf in kept} == {jnp.dtype('float32'), jnp.dtype('int32')}
  assert metrics['loss'].dtype == metrics['gradient_norm'].dtype == jnp.float32


def one_step(net, batch, accumulate=1, scale=None, devices=2, sgd=None):
  """State before, state after and metrics of one step."""
  sgd = sgd or optax.sgd(1.0)
  these = jax.local_devices()[:devices]
  state = step.initial_state(net, sgd, 0, SIZE, scale)
  mapped = parallel.map_devices(
    step.step_function(net, sgd, Loss(1.0), accumulate=accumulate), these
  )
  after, metrics = mapped(parallel.replicate(state, these), parallel.split(batch, these))
  return state, *jax.device_get((parallel.first(after), parallel.first(metrics)))


def moved(before, after) -> np.ndarray:
  """The gradient: with a rate of 1 the parameters move by it."""
  differences = jax.tree.map(jnp.subtract, before.params, after.params)
  return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(differences)])


def distance(a: np.ndarray, b: np.ndarray) -> float:
  return float(np.linalg.norm(a - b) / np.linalg.norm(a))


def halves_of_the_same_images(devices: int) -> dict[str, np.ndarray]:
  """On each device two parts with the same images, so that batch norm finds the same statistics.

  Labels and truth differ, and the located radiographs lie unevenly: none in some parts.
  """
  images = bright_squares(2 * devices, seed=3)['image'].reshape(devices, 1, 2, SIZE, SIZE, 1)
  batch = bright_squares(4 * devices, seed=4)
  batch['image'] = np.repeat(images, 2, axis=1).reshape(4 * devices, SIZE, SIZE, 1)
  batch['located'] = np.array([1, 1, 0, 1, 0, 0, 1, 0][: 4 * devices], np.float32)
  return batch


@pytest.mark.parametrize('devices', [1, 2])
def test_a_batch_in_parts_gives_the_loss_and_the_gradient_of_the_whole(devices):
  net, batch = network(), halves_of_the_same_images(devices)
  before, whole, whole_metrics = one_step(net, batch, devices=devices)
  _, parts, metrics = one_step(net, batch, accumulate=2, devices=devices)
  assert distance(moved(before, whole), moved(before, parts)) < 1e-5
  for name, value in whole_metrics.items():
    np.testing.assert_allclose(metrics[name], value, rtol=1e-5)


def test_scaling_the_loss_changes_nothing_in_float32():
  net, batch = network(), bright_squares(8, seed=1)
  before, plain, _ = one_step(net, batch)
  scale = LossScale.create(initial=2.0**10, grow_after=100)
  _, scaled, metrics = one_step(net, batch, scale=scale)
  assert distance(moved(before, plain), moved(before, scaled)) < 1e-6
  assert metrics['loss_scale'] == 2.0**10 and not metrics['skipped']
  assert scaled.loss_scale.value == 2.0**10 and scaled.loss_scale.good_steps == 1


def test_a_gradient_too_large_for_float16_is_left_out_and_the_scale_halved():
  batch = bright_squares(8, seed=1)
  scale = LossScale.create(initial=2.0**24, grow_after=100)
  adam = optimizer.adam(optax.constant_schedule(1e-3))
  before, after, metrics = one_step(network('float16'), batch, scale=scale, sgd=adam)
  assert np.isfinite(metrics['loss']) and not np.isfinite(metrics['gradient_norm'])
  assert metrics['skipped'] and metrics['skipped_steps'] == 1
  assert after.step == 1
  assert after.loss_scale.value == 2.0**23 and after.loss_scale.good_steps == 0
  for kept in ('params', 'batch_stats', 'opt_state'):
    jax.tree.map(np.testing.assert_array_equal, getattr(after, kept), getattr(before, kept))


def test_at_the_floor_of_the_scale_nothing_is_skipped():
  scale = LossScale.create(initial=1.0, grow_after=100)
  inf, one = jnp.float32(jnp.inf), jnp.float32(1)
  assert not scale.overflows(one, inf)
  assert scale.after(jnp.bool(True)).value == 1
  assert scale.replace(value=jnp.float32(2)).overflows(one, inf)


def test_a_loss_that_is_not_finite_is_not_the_scales_fault():
  scale = LossScale.create(initial=2.0**15, grow_after=100)
  assert not scale.overflows(jnp.float32(jnp.nan), jnp.float32(jnp.nan))


def test_the_scale_doubles_after_a_time_without_overflow_and_up_to_a_limit():
  scale = LossScale.create(initial=2.0**23, grow_after=2)
  values = []
  for overflow in (False, False, False, True, False, False, False, False, False):
    scale = scale.after(jnp.bool(overflow))
    values.append(float(np.log2(scale.value)))
  assert values == [23, 24, 24, 23, 23, 24, 24, 24, 24]


@pytest.mark.parametrize(('accumulate', 'devices'), [(1, 1), (1, 2), (2, 1)])
def test_early_learning_keeps_an_average_of_each_radiographs_probability(accumulate, devices):
  net, sgd = network('float32'), optax.sgd(0.0)
  loss = Loss(1.0, early_learning=3.0, early_learning_momentum=0.75)
  these = jax.local_devices()[:devices]
  batch = halves_of_the_same_images(devices)
  batch['index'] = np.array([3, 5, 3, 9, 7, 5, 7, 1], np.int32)[: len(batch['label'])]
  state = step.initial_state(net, sgd, 0, SIZE, radiographs=12)
  mapped = parallel.map_devices(step.step_function(net, sgd, loss, accumulate=accumulate), these)
  after, metrics = mapped(parallel.replicate(state, these), parallel.split(batch, these))
  targets = np.asarray(parallel.first(after).targets)
  forward = parallel.map_devices(
    lambda image: net.apply(state.variables, image / 255, train=True, mutable=['batch_stats'])[0],
    these[:1],
  )
  (logit,) = forward(batch['image'][None].astype(np.float32)).logit
  probability = np.asarray(jax.nn.sigmoid(logit))
  expected = np.full(12, 0.5)
  for index in set(batch['index'].tolist()):
    expected[index] = 0.75 * 0.5 + 0.25 * probability[batch['index'] == index].mean()
  np.testing.assert_allclose(targets, expected, atol=2e-3)
  assert np.isfinite(parallel.first(metrics)['loss'])
