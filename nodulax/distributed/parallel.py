"""Several accelerators at once: the only file that knows pmap.

Each device holds a whole copy of the network and works on its part of the batch. A step is
written for one device; `mean`, `shares` and `gather` in it run over the devices of every host.
Outside a step a host sees only its own devices on the leading axis.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nodulax.errors import OptionError

AXIS = 'data'


def devices(count: int = 0) -> list[jax.Device]:
  """The first `count` devices of every host, host after host; 0 takes all.

  Raises:
    ValueError: a host has fewer.
  """
  if count < 0 or count > jax.local_device_count():
    raise OptionError(
      f'--config.train.devices={count}, but this host has {jax.local_device_count()}; 0 takes all'
    )
  return [
    device
    for host in range(jax.process_count())
    for device in jax.local_devices(host)[: count or None]
  ]


def local(devices: Sequence[jax.Device]) -> list[jax.Device]:
  """The devices of this host."""
  return [device for device in devices if device.process_index == jax.process_index()]


def map_devices(
  step: Callable, devices: Sequence[jax.Device], donate: tuple[int, ...] = ()
) -> Callable:
  """Runs `step` on each device; every argument has a leading axis of devices."""
  return jax.pmap(step, axis_name=AXIS, devices=devices, donate_argnums=donate)


def mean(tree: Any) -> Any:
  """Within a step: the mean over all devices."""
  return jax.lax.pmean(tree, AXIS)


def shares(weights: jax.Array) -> jax.Array:
  """Within a step: this device's shares of a weighted mean over the global batch.

  Sum value times share on each device, and average the sums over the devices: that is the weighted
  mean of all values, however the weights fall on the devices, and 0 if every weight is 0.

  Args:
    weights: f32[b] of this device's radiographs.

  Returns:
    f32[b].
  """
  total = jax.lax.pmean(weights.sum(), AXIS)
  return weights / jnp.where(total > 0, total, 1)


def gather(tree: Any) -> Any:
  """Within a step: joins the arrays of all hosts' devices, in order: `[b, ...]` to `[B, ...]`."""
  return jax.lax.all_gather(tree, AXIS, tiled=True)


class Agreement:
  """Makes all hosts act at the same step on what any of them asks for.

  A call takes this host's wishes and returns, for each, whether any host has it. With several hosts
  it returns the result of the call before, so that no device waits; all must make the same calls.
  """

  def __init__(self, devices: Sequence[jax.Device]):
    self._devices = local(devices)
    self._any = map_devices(lambda wishes: jax.lax.pmax(wishes, AXIS), devices)
    self._answer: jax.Array | None = None

  def __call__(self, *wishes: bool) -> tuple[bool, ...]:
    if jax.process_count() == 1:
      return wishes
    mine = np.tile(np.array(wishes, np.int32), (len(self._devices), 1))
    answer, self._answer = self._answer, self._any(mine)
    if answer is None:
      return (False,) * len(wishes)
    return tuple(map(bool, np.asarray(first(answer))))


def replicate(tree: Any, devices: Sequence[jax.Device]) -> Any:
  """Copies a tree to each device, on a new leading axis."""
  copies = jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * len(local(devices))), tree)
  return map_devices(lambda leaves: leaves, devices)(copies)


def shapes(tree: Any, devices: Sequence[jax.Device]) -> Any:
  """The shapes of one device's arrays with the leading axis of this host's devices."""
  count = len(local(devices))
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct((count, *x.shape), x.dtype), tree)


def first(tree: Any) -> Any:
  """The copy of a replicated tree on this host's first device."""
  # Not leaf[0]: it runs on all devices, one of which may be waiting for its result.
  return jax.tree.map(lambda leaf: leaf.addressable_data(0)[0], tree)


def split(batch: dict[str, Any], devices: Sequence[jax.Device]) -> dict[str, Any]:
  """Splits this host's part of a batch over its devices: `[B, ...]` to `[devices, b, ...]`."""
  count = len(local(devices))
  return {
    name: values.reshape(count, len(values) // count, *values.shape[1:])
    for name, values in batch.items()
  }


def require_divisible(batch_size: int, devices: Sequence[jax.Device], accumulate: int = 1) -> None:
  """Raises ValueError if a batch over all hosts does not divide into equal parts."""
  if batch_size % (len(devices) * accumulate):
    parts = f' in {accumulate} parts each' if accumulate > 1 else ''
    raise OptionError(
      f'a batch of {batch_size} does not divide over {len(devices)} devices{parts}; '
      'choose a --config.train.batch_size that does'
    )
