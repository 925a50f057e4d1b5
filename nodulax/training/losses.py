"""The losses of the study, one value a radiograph.

Network 1 learns from `classification` alone, network 2 from it and a weighted `localization`.
"""

import jax
import optax


def classification(logit: jax.Array, label: jax.Array) -> jax.Array:
  """Binary cross-entropy of `logit f32[B]` against `label f32[B]` in {0, 1}: f32[B]."""
  return optax.sigmoid_binary_cross_entropy(logit, label)


def localization(map_logits: jax.Array, truth: jax.Array) -> jax.Array:
  """Mean pixel-wise binary cross-entropy of the map against the truth's share of each cell.

  Args:
    map_logits: f32[B, h, w].
    truth: f32[B, h, w] in [0, 1].

  Returns:
    f32[B].
  """
  return optax.sigmoid_binary_cross_entropy(map_logits, truth).mean(axis=(1, 2))
