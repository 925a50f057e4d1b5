"""Mixup: radiographs, labels and outlines blended in pairs (Zhang et al., ICLR 2018)."""

import jax
import jax.numpy as jnp


def blend(batch: dict[str, jax.Array], key: jax.Array, alpha: float) -> dict[str, jax.Array]:
  """Blends each radiograph of a batch with the one that mirrors its place in it.

  Args:
    batch: as `training_batches` yields it, one device's part.
    key: of the random weights.
    alpha: each weight is drawn from Beta(alpha, alpha).

  Returns:
    The batch with image, label and truth blended alike, as f32. A pair of which one's outlines are
    unknown has no known location.
  """
  label = batch['label']
  weight = jax.random.beta(key, alpha, alpha, label.shape, label.dtype)

  def mix(values: jax.Array) -> jax.Array:
    own = weight.reshape(-1, *[1] * (values.ndim - 1))
    return own * values + (1 - own) * values[::-1]

  blended = {name: mix(batch[name]) for name in ('image', 'label', 'truth')}
  return {**batch, **blended, 'located': jnp.minimum(batch['located'], batch['located'][::-1])}
