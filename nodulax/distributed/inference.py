"""Runs a network over radiographs on every device: shared by training, evaluation, prediction."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from nodulax.distributed import parallel
from nodulax.model import Network


class Predictor:
  """A network ready to run on several devices.

  Args:
    network: the network.
    devices: devices of all hosts; each host must call with the same number of batches.
  """

  def __init__(self, network: Network, devices: Sequence[jax.Device]):
    self._devices = devices

    self._step = parallel.map_devices(
      lambda variables, image: parallel.gather(forward(network, variables, image)), devices
    )

  def __call__(
    self, variables: Any, batches: Iterable[dict[str, np.ndarray]]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and heat maps of every valid image of all hosts, in order, on each host.

    Args:
      variables: the network's variables, replicated over the devices.
      batches: each has `valid bool[B]`, and `image u8[B / hosts, S, S, 1]`, this host's part of its
        images; B is a multiple of the number of devices.

    Returns:
      probability f64[N] and heat_maps f32[N, h, w], both in [0, 1].
    """
    probabilities, heat_maps = [], []
    for batch in batches:
      image = parallel.split({'image': batch['image']}, self._devices)['image']
      logit, heat_map = jax.device_get(parallel.first(self._step(variables, image)))
      # In float32 every logit past 17 would become the same probability, 1.
      probabilities.append(special.expit(logit[batch['valid']].astype(np.float64)))
      heat_maps.append(heat_map[batch['valid']])
    return np.concatenate(probabilities), np.concatenate(heat_maps)


def forward(network: Network, variables: Any, image: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Logit f32[B] and heat map f32[B, h, w] in [0, 1] of `image u8[B, S, S, 1]`."""
  outputs: Any = network.apply(variables, image.astype(jnp.float32) / 255, train=False)
  return outputs.logit, jax.nn.sigmoid(outputs.map_logits)


def rounded_up(batch_size: int, devices: Sequence[jax.Device]) -> int:
  """The smallest multiple of the number of devices that holds `batch_size`."""
  return -(-batch_size // len(devices)) * len(devices)
