"""Batch norm followed by relu, with a gradient that stores and reads each tensor once.

Ioffe and Szegedy, Batch Normalization, ICML 2015. The names, shapes and values of the parameters
and statistics are those of `flax.linen.BatchNorm`.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

AXES = (0, 1, 2)  # batch, height and width


class BatchNormRelu(nn.Module):
  """relu(scale (x - mean) / sqrt(var + epsilon) + bias): dtype[B, H, W, C] -> the same shape.

  Attributes:
    train: use the mean and variance of the batch, and move the running ones towards them; otherwise
      use the running ones.
    momentum: how much of the running statistics a training step keeps.
    epsilon: added to the variance.
    dtype: dtype of the result; statistics and parameters are float32.
    axis_name: the mapped axis over which the statistics are taken; None means each device's own.
  """

  train: bool
  momentum: float
  epsilon: float
  dtype: jax.typing.DTypeLike
  axis_name: str | None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = x.shape[-1:]
    scale = self.param('scale', nn.initializers.ones, shape, jnp.float32)
    bias = self.param('bias', nn.initializers.zeros, shape, jnp.float32)
    mean = self.variable('batch_stats', 'mean', jnp.zeros, shape, jnp.float32)
    var = self.variable('batch_stats', 'var', jnp.ones, shape, jnp.float32)
    if not self.train:
      return _apply(x, mean.value, jax.lax.rsqrt(var.value + self.epsilon), scale, bias)[0].astype(
        self.dtype
      )
    axis_name = None if self.is_initializing() else self.axis_name
    y, batch_mean, batch_var = _normalise(x, scale, bias, self.epsilon, axis_name)
    if not self.is_initializing():
      mean.value = self.momentum * mean.value + (1 - self.momentum) * batch_mean
      var.value = self.momentum * var.value + (1 - self.momentum) * batch_var
    return y.astype(self.dtype)


# JAX's own derivative stores x - mean beside x, and reads both in several passes.
@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _normalise(
  x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float, axis_name: str | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """The result, and the batch's mean and variance; no gradient flows through these two."""
  return _forward(x, scale, bias, epsilon, axis_name)[0]


def _forward(
  x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float, axis_name: str | None
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], tuple[jax.Array, ...]]:
  wide = _at_least_float32(x)
  mean, mean_square = _mean_over_devices((wide.mean(AXES), jnp.square(wide).mean(AXES)), axis_name)
  # Rounding may make a variance of zero negative.
  var = jnp.maximum(mean_square - jnp.square(mean), 0)
  inverse = jax.lax.rsqrt(var + epsilon)
  y = _apply(x, mean, inverse, scale, bias)[0].astype(x.dtype)
  return (y, mean, var), (x, mean, inverse, scale, bias)


def _backward(
  epsilon: float,
  axis_name: str | None,
  residuals: tuple[jax.Array, ...],
  cotangents: tuple[jax.Array, ...],
) -> tuple[jax.Array, jax.Array, jax.Array]:
  x, mean, inverse, scale, bias = residuals
  y, normal = _apply(x, mean, inverse, scale, bias)
  of_y = jnp.where(y > 0, _at_least_float32(cotangents[0]), 0)
  of_scale, of_bias = (of_y * normal).sum(AXES), of_y.sum(AXES)
  pixels = x.size // x.shape[-1]
  mean_of_scale, mean_of_bias = _mean_over_devices((of_scale / pixels, of_bias / pixels), axis_name)
  of_x = scale * inverse * (of_y - mean_of_bias - normal * mean_of_scale)
  return of_x.astype(x.dtype), of_scale, of_bias


_normalise.defvjp(_forward, _backward)


def _apply(
  x: jax.Array, mean: jax.Array, inverse: jax.Array, scale: jax.Array, bias: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """The result and, before scale, bias and relu, the normalised x: both at least float32."""
  normal = (_at_least_float32(x) - mean) * inverse
  return nn.relu(normal * scale + bias), normal


def _at_least_float32(x: jax.Array) -> jax.Array:
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _mean_over_devices(tree: Any, axis_name: str | None) -> Any:
  return tree if axis_name is None else jax.lax.pmean(tree, axis_name)
