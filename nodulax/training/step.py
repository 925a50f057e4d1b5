"""One training step, and the state that it changes."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax

from nodulax.distributed import parallel
from nodulax.distributed.compiling import compile_ahead
from nodulax.model import Network
from nodulax.model.heads import CELL
from nodulax.training import losses
from nodulax.training.loss_scale import LossScale
from nodulax.training.losses import Loss

Arrays = dict[str, jax.Array]


@flax.struct.dataclass
class State:
  """What a training step changes.

  Attributes:
    step: i32[], batches done.
    params: the network's weights.
    batch_stats: the running statistics of its batch norms.
    opt_state: the optimizer's state.
    loss_scale: the loss scale of float16; None in other precisions.
    targets: f32[N], moving average of the probability of each training radiograph, for
      early-learning regularisation; None without it.
  """

  step: jax.Array
  params: Any
  batch_stats: Any
  opt_state: optax.OptState
  loss_scale: LossScale | None = None
  targets: jax.Array | None = None

  @property
  def variables(self) -> dict[str, Any]:
    return {'params': self.params, 'batch_stats': self.batch_stats}


def step_function(
  network: Network, adam: optax.GradientTransformation, loss: Loss, *, accumulate: int = 1
) -> Callable:
  """The training step of one device, to be mapped over all of them.

  Args:
    network: the network.
    adam: the optimizer.
    loss: what the network learns from.
    accumulate: number of parts that a device works through one after the other, to need less
      memory. Loss and gradient are those of the whole batch. Batch norm is not: it normalises each
      part (over all devices where it is synchronised) by that part's statistics, and its running
      statistics move once per part.

  Returns:
    (state, batch) -> (state, metrics): `batch` is this device's part of what `training_batches`
    yields; the new state and the metrics are the same on every device. With float16, `skipped` is 1
    if a gradient overflowed; then only the step number and the scale change.
  """
  return _Training(network, adam, loss, accumulate).step


@dataclasses.dataclass(frozen=True, eq=False)
class _Training:
  """What a step needs besides state and batch: the arguments of `step_function`."""

  network: Network
  adam: optax.GradientTransformation
  loss: Loss
  accumulate: int

  def step(self, state: State, batch: Arrays) -> tuple[State, Arrays]:
    summed, target = self._gradient(state, batch)
    gradient, batch_stats, metrics = parallel.mean(summed)
    if state.loss_scale is not None:
      gradient = state.loss_scale.unscale(gradient)
    updates, opt_state = self.adam.update(gradient, state.opt_state, state.params)
    after = State(
      state.step + 1,
      optax.apply_updates(state.params, updates),
      batch_stats,
      opt_state,
      state.loss_scale,
      state.targets if target is None else _moved(state.targets, batch['index'], target),
    )
    metrics['gradient_norm'] = optax.tree.norm(gradient)
    if state.loss_scale is None:
      return after, metrics
    skip = state.loss_scale.overflows(metrics['loss'], metrics['gradient_norm'])
    after = jax.tree.map(lambda old, new: jnp.where(skip, old, new), state, after)
    scale = state.loss_scale.after(skip)
    metrics |= {
      'skipped': skip,
      'skipped_steps': scale.skipped_steps,
      'loss_scale': state.loss_scale.value,
    }
    return dataclasses.replace(after, step=state.step + 1, loss_scale=scale), metrics

  def _gradient(self, state: State, batch: Arrays) -> tuple[tuple[Any, Any, Arrays], Any]:
    """This device's gradient, batch statistics and metrics; and the new targets, if any."""
    scale = 1.0 if state.loss_scale is None else state.loss_scale.value
    # Shares of the global batch, so that the losses of parts and devices add up to its own.
    shares = {
      'share': parallel.shares(jnp.ones_like(batch['label'])),
      'located_share': parallel.shares(batch['located']),
    }
    differentiate = jax.grad(self._scaled_loss, has_aux=True)
    batch = {**batch, **shares}
    if state.targets is not None:
      batch['target'] = state.targets[batch['index']]
    if self.accumulate == 1:
      # Not a loop of one pass: XLA removes it too late to make its convolutions fast on a CPU.
      gradient, (batch_stats, metrics, target) = differentiate(
        state.params, state.batch_stats, batch, scale
      )
      return (gradient, batch_stats, metrics), target
    parts = jax.tree.map(
      lambda values: values.reshape(self.accumulate, -1, *values.shape[1:]), batch
    )

    def add(total: tuple[Any, Any], part: Arrays) -> tuple[tuple[Any, Any], tuple[Arrays, Any]]:
      gradient, batch_stats = total
      new, (batch_stats, metrics, target) = differentiate(state.params, batch_stats, part, scale)
      return (jax.tree.map(jnp.add, gradient, new), batch_stats), (metrics, target)

    nothing = jax.tree.map(jnp.zeros_like, state.params)
    (gradient, batch_stats), (metrics, target) = jax.lax.scan(
      add, (nothing, state.batch_stats), parts
    )
    metrics = jax.tree.map(lambda values: values.sum(0), metrics)
    return (gradient, batch_stats, metrics), jax.tree.map(jnp.ravel, target)

  def _scaled_loss(
    self, params: Any, batch_stats: Any, batch: Arrays, scale: Any
  ) -> tuple[jax.Array, tuple[Any, Arrays, jax.Array | None]]:
    """The loss times the scale; and batch statistics, metrics and the new targets, if any."""
    outputs, updated = self.network.apply(
      {'params': params, 'batch_stats': batch_stats},
      batch['image'].astype(jnp.float32) / 255,
      train=True,
      mutable=['batch_stats'],
    )
    per_image = self.loss.of_image(outputs.logit, batch['label'])
    target = None
    if 'target' in batch:
      keep = self.loss.early_learning_momentum
      probability = jax.lax.stop_gradient(jax.nn.sigmoid(outputs.logit))
      target = keep * batch['target'] + (1 - keep) * probability
      per_image += self.loss.early_learning * losses.early_learning(outputs.logit, target)
    classification = (per_image * batch['share']).sum()
    metrics = {'loss': classification}
    if self.network.head == 'pixel':
      localization = (
        losses.localization(outputs.map_logits, batch['truth']) * batch['located_share']
      ).sum()
      metrics = {
        'loss': classification + self.loss.localization_weight * localization,
        'classification_loss': classification,
        'localization_loss': localization,
      }
    return metrics['loss'] * scale, (updated['batch_stats'], metrics, target)


def _moved(targets: jax.Array | None, index: jax.Array, new: jax.Array) -> jax.Array:
  """Within a step: replaces the targets of every device's radiographs.

  A radiograph that occurs twice in the batch gets the mean of both.
  """
  assert targets is not None
  index, new = parallel.gather((index, new))
  count = jnp.zeros_like(targets).at[index].add(1)
  total = jnp.zeros_like(targets).at[index].add(new)
  return jnp.where(count > 0, total / jnp.maximum(count, 1), targets)


def batch_shapes(images: int, pixels: int) -> dict[str, jax.ShapeDtypeStruct]:
  """The shapes of a batch from `training_batches`.

  Args:
    images: radiographs in it.
    pixels: side of each.
  """
  cells = pixels // CELL
  return {
    'image': jax.ShapeDtypeStruct((images, pixels, pixels, 1), jnp.uint8),
    'truth': jax.ShapeDtypeStruct((images, cells, cells), jnp.float32),
    **{name: jax.ShapeDtypeStruct((images,), jnp.float32) for name in ('label', 'located')},
    'index': jax.ShapeDtypeStruct((images,), jnp.int32),
  }


def initial_state(
  network: Network,
  adam: optax.GradientTransformation,
  seed: int,
  image_size: int,
  loss_scale: LossScale | None = None,
  radiographs: int = 0,
) -> State:
  """Makes a state with random weights, and early-learning targets for `radiographs` radiographs."""
  initialise = jax.jit(_initialiser(network, adam, image_size, loss_scale, radiographs))
  key = jax.random.key(seed)
  return compile_ahead(initialise, key, what='the first weights')(key)


def state_shapes(network: Network, adam: optax.GradientTransformation, image_size: int) -> State:
  """The shapes of `initial_state`, without computing it."""
  initialise = _initialiser(network, adam, image_size, None, 0)
  return jax.eval_shape(initialise, jax.random.key(0))


def _initialiser(
  network: Network,
  adam: optax.GradientTransformation,
  image_size: int,
  loss_scale: LossScale | None,
  radiographs: int,
) -> Callable:
  """Returns the function that makes a state from a random key."""

  def initialise(key: jax.Array) -> State:
    image = jnp.zeros((1, image_size, image_size, 1))
    variables = network.init(key, image, train=False)
    return State(
      jnp.zeros((), jnp.int32),
      variables['params'],
      variables['batch_stats'],
      adam.init(variables['params']),
      loss_scale,
      jnp.full(radiographs, 0.5) if radiographs else None,
    )

  return initialise
