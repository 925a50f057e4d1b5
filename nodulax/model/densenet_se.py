"""DenseNet with squeeze-and-excitation, the feature extractor of both networks.

Huang et al., Densely Connected Convolutional Networks, CVPR 2017; Hu et al.,
Squeeze-and-Excitation Networks, CVPR 2018. With squeeze-and-excitation off, or as
initialised, this is the DenseNet of keras.applications and torchvision.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from nodulax.errors import OptionError
from nodulax.model.batch_norm import BatchNormRelu

# The arguments of DenseNetSE that distinguish the published networks; 'tiny' to 'mid'
# are for tests, for studies on a laptop and for the network bundled with nodulax.
SIZES: dict[str, dict[str, Any]] = {
  'tiny': dict(block_sizes=(2, 2, 2, 2), growth_rate=8, stem_channels=16),
  'small': dict(block_sizes=(2, 3, 4, 3), growth_rate=12, stem_channels=24),
  'mid': dict(block_sizes=(4, 4, 6, 4), growth_rate=16, stem_channels=32),
  '121': dict(block_sizes=(6, 12, 24, 16), growth_rate=32, stem_channels=64),
  '169': dict(block_sizes=(6, 12, 32, 32), growth_rate=32, stem_channels=64),
  '201': dict(block_sizes=(6, 12, 48, 32), growth_rate=32, stem_channels=64),
}

he_normal = nn.initializers.he_normal()


def max_pool(x: jax.Array, train: bool) -> jax.Array:
  """The 3 x 3 maximum around every second pixel: f32[B, H, W, C] -> f32[B, H/2, W/2, C]."""
  if not train:
    return _max_of_slices(x)
  # The gradient of reduce_window takes a tenth of the whole training step on a CPU; that of the
  # slices reads and writes 0.4 GB more per image on a TPU.
  return jax.lax.platform_dependent(x, tpu=_max_of_windows, default=_max_of_slices)


def _max_of_slices(x: jax.Array) -> jax.Array:
  for axis in (1, 2):
    even = jax.lax.slice_in_dim(x, 0, None, 2, axis)
    odd = jax.lax.slice_in_dim(x, 1, None, 2, axis)
    before = [(int(a == axis), -int(a == axis), 0) for a in range(4)]
    x = jnp.maximum(jnp.maximum(even, odd), jax.lax.pad(odd, jnp.array(-jnp.inf, x.dtype), before))
  return x


def _max_of_windows(x: jax.Array) -> jax.Array:
  return nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))


class Conv1x1(nn.Module):
  """A 1 x 1 convolution without a bias: dtype[B, H, W, C] -> dtype[B, H, W, features]."""

  features: int
  train: bool
  dtype: jax.typing.DTypeLike

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    kernel = self.param('kernel', he_normal, (x.shape[-1], self.features), jnp.float32)
    x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
    if not self.train:
      return x @ kernel
    # A product is twice as fast on a CPU; a TPU's compiler fuses more into a convolution, but pads
    # fewer than eight images.
    tpu = _convolve if len(x) >= 8 else _multiply
    return jax.lax.platform_dependent(x, kernel, tpu=tpu, default=_multiply)


def _multiply(x: jax.Array, kernel: jax.Array) -> jax.Array:
  # On matrices the kernel's gradient needs no transposed copy of x on a CPU.
  return (x.reshape(-1, x.shape[-1]) @ kernel).reshape(*x.shape[:-1], -1)


def _convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
  return jax.lax.conv_general_dilated(
    x, kernel[None, None], (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


class SqueezeExcitation(nn.Module):
  """Scales each channel by a gate that sees the whole image: f32[B, H, W, C] -> the same shape.

  gate = 2 sigmoid(expand relu(reduce mean(x))), with the mean over height and width, `reduce`
  C -> C / reduction and `expand` back, neither with a bias. `expand` starts at zero, so the gate
  starts at 2 sigmoid(0) = 1 exactly and the layer as the identity. The first step moves `expand`,
  and from the second on `reduce` learns too.
  """

  reduction: int
  dtype: jax.typing.DTypeLike

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    channels = x.shape[-1]
    dense = partial(nn.Dense, use_bias=False)
    squeezed = x.mean((1, 2), dtype=jnp.float32)
    hidden = nn.relu(
      dense(max(channels // self.reduction, 1), kernel_init=he_normal, name='reduce')(squeezed)
    )
    gate = 2 * nn.sigmoid(dense(channels, kernel_init=nn.initializers.zeros, name='expand')(hidden))
    return x * gate[:, None, None, :].astype(self.dtype)


class DenseLayer(nn.Module):
  """What one layer adds to its dense block: f32[B, H, W, C] -> f32[B, H, W, growth_rate]."""

  growth_rate: int
  norm: Callable[..., nn.Module]
  conv: Callable[..., nn.Module]
  conv1x1: Callable[..., nn.Module]

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = self.norm(name='norm1')(x)
    x = self.conv1x1(4 * self.growth_rate, name='conv1')(x)
    x = self.norm(name='norm2')(x)
    return self.conv(self.growth_rate, (3, 3), padding=((1, 1), (1, 1)), name='conv2')(x)


class DenseNetSE(nn.Module):
  """DenseNet with squeeze-and-excitation after every dense block and every transition.

  Attributes:
    block_sizes: layers in each dense block.
    growth_rate: channels that each layer adds.
    stem_channels: channels of the first convolution.
    squeeze_excitation: False gives the plain DenseNet.
    reduction: factor by which squeeze-and-excitation reduces the channels.
    dtype: dtype of the activations; parameters and batch-norm statistics stay float32.
    axis_name: the mapped axis over which batch norm takes its statistics; None means the
      statistics of each device's own images.
    momentum: how much of the running statistics a training step keeps.
    remat: recompute each dense layer in the backward pass rather than store what is inside it.
  """

  block_sizes: tuple[int, ...] = (6, 12, 24, 16)
  growth_rate: int = 32
  stem_channels: int = 64
  squeeze_excitation: bool = True
  reduction: int = 16
  dtype: jax.typing.DTypeLike = jnp.float32
  axis_name: str | None = None
  momentum: float = 0.9
  remat: bool = False

  @nn.compact
  def __call__(
    self, image: jax.Array, train: bool, finer: bool = False
  ) -> jax.Array | tuple[jax.Array, jax.Array]:
    """Features of a batch of images.

    Args:
      image: f32[B, S, S, C], normalised; S a multiple of 32.
      train: use the batch's statistics and update the running ones; otherwise use the running ones.
      finer: also return the third block's features, before they are halved.

    Returns:
      dtype[B, S/32, S/32, F]; with `finer` also dtype[B, S/16, S/16, G]; none is negative.

    Raises:
      ValueError: if S is not a multiple of 32.
    """
    if image.shape[1] % 32 or image.shape[2] % 32:
      raise OptionError(
        f'DenseNet halves the image five times: image_size must be a multiple of 32, '
        f'not {image.shape[1]} x {image.shape[2]}'
      )
    norm = partial(
      BatchNormRelu,
      train=train,
      momentum=self.momentum,
      epsilon=1.001e-5,
      dtype=self.dtype,
      axis_name=self.axis_name,
    )
    conv = partial(nn.Conv, use_bias=False, kernel_init=he_normal, dtype=self.dtype)
    conv1x1 = partial(Conv1x1, train=train, dtype=self.dtype)
    layer = nn.remat(DenseLayer) if self.remat else DenseLayer

    def excite(x: jax.Array, name: str) -> jax.Array:
      if not self.squeeze_excitation:
        return x
      return SqueezeExcitation(self.reduction, self.dtype, name=name)(x)

    x = conv(self.stem_channels, (7, 7), 2, ((3, 3), (3, 3)), name='stem_conv')(image)
    x = max_pool(norm(name='stem_norm')(x), train)
    for block, size in enumerate(self.block_sizes, 1):
      for i in range(1, size + 1):
        new = layer(self.growth_rate, norm, conv, conv1x1, name=f'block{block}_layer{i}')(x)
        x = jnp.concatenate([x, new], -1)
      x = excite(x, f'block{block}_excitation')
      if block < len(self.block_sizes):
        x = norm(name=f'transition{block}_norm')(x)
        if block == 3:
          fine = x
        # Published DenseNets pool after the convolution; both are linear, so the order is free.
        x = nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
        x = conv1x1(x.shape[-1] // 2, name=f'transition{block}_conv')(x)
        x = excite(x, f'transition{block}_excitation')
    features = norm(name='final_norm')(x)
    return (features, fine) if finer else features
