"""One training step, and the state that it changes."""

from collections.abc import Callable
from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax

from nodulax import losses, parallel
from nodulax.model import Network


@flax.struct.dataclass
class State:
  """What a training step changes.

  Attributes:
    step: i32[], steps done.
    params: the network's weights.
    batch_stats: the running statistics of its batch norms.
    opt_state: the optimizer's.
  """

  step: jax.Array
  params: Any
  batch_stats: Any
  opt_state: optax.OptState

  @property
  def variables(self) -> dict[str, Any]:
    return {'params': self.params, 'batch_stats': self.batch_stats}


def step_function(network: Network, adam: optax.GradientTransformation) -> Callable:
  """The training step of one device, to be mapped over all of them.

  Returns:
    (state, batch) -> (state, metrics): `batch` as `training_batches` yields it, this device's
    part; the new state and the metrics are the same on every device.
  """

  def loss_function(params, batch_stats, batch):
    outputs, updated = network.apply(
      {'params': params, 'batch_stats': batch_stats},
      batch['image'].astype(jnp.float32) / 255,
      train=True,
      mutable=['batch_stats'],
    )
    classification = parallel.weighted_mean_part(
      losses.classification(outputs.logit, batch['label']), jnp.ones_like(batch['label'])
    )
    metrics = {'loss': classification}
    if network.head == 'pixel':
      localization = parallel.weighted_mean_part(
        losses.localization(outputs.map_logits, batch['truth']), batch['located']
      )
      metrics = {
        'loss': classification + localization,
        'classification_loss': classification,
        'localization_loss': localization,
      }
    return metrics['loss'], (updated['batch_stats'], metrics)

  def step(state: State, batch: dict[str, jax.Array]) -> tuple[State, dict[str, jax.Array]]:
    gradient, (batch_stats, metrics) = jax.grad(loss_function, has_aux=True)(
      state.params, state.batch_stats, batch
    )
    gradient, batch_stats, metrics = parallel.mean((gradient, batch_stats, metrics))
    updates, opt_state = adam.update(gradient, state.opt_state, state.params)
    state = State(
      state.step + 1, optax.apply_updates(state.params, updates), batch_stats, opt_state
    )
    return state, {**metrics, 'gradient_norm': optax.tree.norm(gradient)}

  return step


def initial_state(
  network: Network, adam: optax.GradientTransformation, seed: int, image_size: int
) -> State:
  """A state with random weights."""

  @jax.jit
  def initialise(key):
    image = jnp.zeros((1, image_size, image_size, 1))
    variables = network.init(key, image, train=False)
    return State(
      jnp.zeros((), jnp.int32),
      variables['params'],
      variables['batch_stats'],
      adam.init(variables['params']),
    )

  return initialise(jax.random.key(seed))
