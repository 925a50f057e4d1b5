"""Several accelerators at once: the only file that knows pmap.

Each device holds a whole copy of the network and works on its part of the batch. A step is
written for one device; `mean` and `total` in it run over the devices of every host.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

AXIS = 'data'


def map_devices(
  step: Callable, devices: Sequence[jax.Device], donate: tuple[int, ...] = ()
) -> Callable:
  """Runs `step` on each device; every argument has a leading axis of devices."""
  return jax.pmap(step, axis_name=AXIS, devices=devices, donate_argnums=donate)


def mean(tree: Any) -> Any:
  """Within a step: the mean over all devices."""
  return jax.lax.pmean(tree, AXIS)


def weighted_mean_part(values: jax.Array, weights: jax.Array) -> jax.Array:
  """Within a step: this device's part of a weighted mean over the global batch.

  The mean of the parts over the devices is the weighted mean of all values, however the weights
  fall on the devices; it is 0 where every weight is.

  Args:
    values, weights: f32[b] of this device's radiographs.
  """
  total = jax.lax.pmean(weights.sum(), AXIS)
  return (values * weights).sum() / jnp.where(total > 0, total, 1)


def replicate(tree: Any, devices: Sequence[jax.Device]) -> Any:
  """One copy a device, on a new leading axis."""
  copies = jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * len(devices)), tree)
  return map_devices(lambda leaves: leaves, devices)(copies)


def first(tree: Any) -> Any:
  """The first device's copy of a replicated tree."""
  return jax.tree.map(lambda leaf: leaf[0], tree)


def split(batch: dict[str, Any], devices: Sequence[jax.Device]) -> dict[str, Any]:
  """`[B, ...]` to `[devices, B / devices, ...]`.

  Raises:
    ValueError: the batch does not divide over the devices.
  """

  def part(values):
    if len(values) % len(devices):
      raise ValueError(
        f'a batch of {len(values)} does not divide over {len(devices)} devices; '
        'choose a --config.train.batch_size that does'
      )
    return values.reshape(len(devices), len(values) // len(devices), *values.shape[1:])

  return {name: part(values) for name, values in batch.items()}


def join(tree: Any) -> Any:
  """The inverse of `split`: `[devices, b, ...]` to `[devices * b, ...]`."""
  return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), tree)
