"""The two networks: DenseNet with squeeze-and-excitation, a sub-network and a head."""

from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from nodulax.model.densenet_se import DenseNetSE


class Outputs(NamedTuple):
  """What a network says of a batch of images.

  Attributes:
    logit: f32[B], of the probability that the image shows a nodule.
    map_logits: f32[B, h, w], of the heat map; h and w are S/32 for the image head and S/16 for
      the pixel head.
  """

  logit: jax.Array
  map_logits: jax.Array


class SubNetwork(nn.Module):
  """Features to a map of the same height and width: f32[B, h, w, F] -> f32[B, h, w].

  Two convolutions, 3 x 3 to 128 channels and 1 x 1 to one, with biases. There is no batch norm
  between them: the paper names two convolutions and nothing else, and the features come out of
  a batch norm already.
  """

  dtype: jax.typing.DTypeLike

  @nn.compact
  def __call__(self, features: jax.Array) -> jax.Array:
    x = nn.Conv(
      128, (3, 3), kernel_init=nn.initializers.he_normal(), dtype=self.dtype, name='conv1'
    )(features)
    return nn.Conv(1, (1, 1), dtype=jnp.float32, name='conv2')(nn.relu(x))[..., 0]


class Network(nn.Module):
  """Network 1 (head 'image') and network 2 (head 'pixel') of the study.

  Both end in one map of logits. Network 1's is S/32 wide and its mean is the image's logit, so
  the map is a class activation map. Network 2 doubles the features' height and width by bilinear
  interpolation first; its map is S/16 wide and the image's logit is the map's maximum.
  The parameters of both have the same names and shapes.

  Attributes:
    head: 'image' or 'pixel'.
    backbone: the feature extractor.
    mean, std: of the training images' pixels, in the unit of the image.
  """

  head: Literal['image', 'pixel']
  backbone: DenseNetSE
  mean: float
  std: float

  @nn.compact
  def __call__(self, image: jax.Array, train: bool) -> Outputs:
    """Logits of a batch of radiographs, in float32 whatever the backbone computes in.

    Args:
      image: f32[B, S, S, 1] in [0, 1]; S a multiple of 32.
      train: use and update the batch's statistics rather than use the running ones.

    Raises:
      ValueError: if S is not a multiple of 32, or the head is unknown.
    """
    features = self.backbone((image - self.mean) / self.std, train)
    sub_network = SubNetwork(self.backbone.dtype, name='sub_network')
    if self.head == 'image':
      map_logits = sub_network(features)
      return Outputs(map_logits.mean((1, 2)), map_logits)
    if self.head == 'pixel':
      batch, height, width, channels = features.shape
      size = (batch, 2 * height, 2 * width, channels)
      # Antialiasing changes nothing where an image grows, and ONNX converters do not know it.
      map_logits = sub_network(jax.image.resize(features, size, 'bilinear', antialias=False))
      return Outputs(map_logits.max((1, 2)), map_logits)
    raise ValueError(f"head must be 'image' or 'pixel', not {self.head!r}")
