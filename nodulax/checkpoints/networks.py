"""The best network of a training run, built from its description and its checkpoint."""

from typing import Any

import jax
import jax.numpy as jnp
from etils import epath

from nodulax.checkpoints import checkpoint, typed_json
from nodulax.model import Network
from nodulax.model.build import build_network


def load_network(run: epath.PathLike) -> tuple[Network, Any]:
  """The best network of a training run, and its variables.

  Raises:
    CheckpointError: the folder has no readable checkpoint.
  """
  description = checkpoint.describe(run)
  try:
    network = typed_json.construct(build_network, description.model)
  except ValueError as error:
    raise checkpoint.CheckpointError(
      f'{run}: its network is damaged or of another release: {error}'
    ) from error
  return network, checkpoint.load(run, shapes(network, description.preprocessing.image_size))


def shapes(network: Network, image_size: int) -> Any:
  """Shapes and types of a network's variables."""
  image = jax.ShapeDtypeStruct((1, image_size, image_size, 1), jnp.float32)
  return jax.eval_shape(lambda key, x: network.init(key, x, train=False), jax.random.key(0), image)
