"""The two networks: DenseNet with squeeze-and-excitation, a sub-network and a head."""

import math
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from nodulax.errors import OptionError
from nodulax.model.densenet_se import DenseNetSE

CELL = 16  # pixels of the image along each side of a cell of the pixel head's map


class Outputs(NamedTuple):
  """The outputs of a network for a batch of images.

  Attributes:
    logit: f32[B], logit of the probability that the image shows a nodule.
    map_logits: f32[B, h, w], logits of the heat map; h and w are S/32 for the image head and S/16
      for the pixel head.
  """

  logit: jax.Array
  map_logits: jax.Array


class SubNetwork(nn.Module):
  """Turns features into a map of the same height and width: f32[B, h, w, F] -> f32[B, h, w].

  Two convolutions, 3 x 3 to 128 channels and 1 x 1 to one, with biases. There is no batch norm
  between them: the paper names two convolutions and nothing else, and the features come out of
  a batch norm already.

  Attributes:
    dtype: dtype of the first convolution.
    bias: initial bias of the map, as a logit.
  """

  dtype: jax.typing.DTypeLike
  bias: float = 0.0

  @nn.compact
  def __call__(self, features: jax.Array) -> jax.Array:
    x = nn.Conv(
      128, (3, 3), kernel_init=nn.initializers.he_normal(), dtype=self.dtype, name='conv1'
    )(features)
    start = nn.initializers.constant(self.bias)
    x = nn.Conv(1, (1, 1), dtype=jnp.float32, bias_init=start, name='conv2')(nn.relu(x))
    return x[..., 0]


class Network(nn.Module):
  """Network 1 (head 'image') and network 2 (head 'pixel') of the study.

  Both end in one map of logits. Network 1's is S/32 wide and its mean is the image's logit, so
  the map is a class activation map. Network 2 doubles the features' height and width by bilinear
  interpolation first; its map is S/16 wide, and the image's logit is pooled from it.
  Without `skip`, which only the pixel head has, the parameters of both have the same names and
  shapes.

  Attributes:
    head: 'image' or 'pixel'.
    backbone: the feature extractor.
    mean, std: mean and standard deviation of the training images' pixels, in the image's unit.
    pooling: how the pixel head's map is pooled: 'max', as in the paper, takes the hottest cell's
      logit; 'logsumexp' takes log sum exp of all cells' logits, to which every hot cell contributes
      and through which every cell learns.
    skip: whether the pixel head also sees the third dense block's features, which are as fine as
      its map.
    cell_prior: initial probability of every cell of the pixel head, in (0, 1).
  """

  head: Literal['image', 'pixel']
  backbone: DenseNetSE
  mean: float
  std: float
  pooling: Literal['max', 'logsumexp'] = 'max'
  skip: bool = False
  cell_prior: float = 0.5

  @nn.compact
  def __call__(self, image: jax.Array, train: bool) -> Outputs:
    """Logits of a batch of radiographs, in float32 whatever the backbone computes in.

    Args:
      image: f32[B, S, S, 1] in [0, 1]; S a multiple of 32.
      train: use the batch's statistics and update the running ones; otherwise use the running ones.

    Raises:
      ValueError: if S is not a multiple of 32, or the head or its pooling is unknown.
    """
    image = (image - self.mean) / self.std
    features: Any = (
      self.backbone(image, train, finer=True) if self.skip else self.backbone(image, train)
    )
    if self.head == 'image':
      map_logits = SubNetwork(self.backbone.dtype, name='sub_network')(features)
      return Outputs(map_logits.mean((1, 2)), map_logits)
    if self.head != 'pixel':
      raise OptionError(f"head must be 'image' or 'pixel', not {self.head!r}")
    if self.skip:
      coarse, fine = features
      features = jnp.concatenate([_doubled(coarse), fine], -1)
    else:
      features = _doubled(features)
    bias = math.log(self.cell_prior / (1 - self.cell_prior))
    map_logits = SubNetwork(self.backbone.dtype, bias, name='sub_network')(features)
    if self.pooling == 'max':
      return Outputs(map_logits.max((1, 2)), map_logits)
    if self.pooling == 'logsumexp':
      return Outputs(jax.nn.logsumexp(map_logits, (1, 2)), map_logits)
    raise OptionError(f"pooling must be 'max' or 'logsumexp', not {self.pooling!r}")


def _doubled(features: jax.Array) -> jax.Array:
  """Doubles height and width by bilinear interpolation: f[B, h, w, F] -> f[B, 2h, 2w, F]."""
  batch, height, width, channels = features.shape
  # Antialiasing changes nothing where an image grows, and ONNX converters do not support it.
  size = (batch, 2 * height, 2 * width, channels)
  return jax.image.resize(features, size, 'bilinear', antialias=False)
