"""The losses of the study, one value per radiograph, and losses that tolerate wrong labels.

Network 1 learns from the classification loss only, network 2 also from a weighted `localization`.
The study uses the cross-entropy; the other classification losses are for labels of which some are
wrong. All are for two classes: p is the probability of the label that a radiograph has.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from nodulax.errors import OptionError

_LOG_ZERO = -4.0  # replaces log 0 in the symmetric cross-entropy, as in its paper


@dataclasses.dataclass(frozen=True)
class Loss:
  """The loss of a network.

  Attributes:
    localization_weight: weight of the map's mean pixel-wise loss; the image's loss has weight 1.
    classification: loss of the image's label. 'cross_entropy' is the study's. 'generalized' is (1 -
      p^q) / q, between cross-entropy (q to 0) and the mean absolute error (q = 1; Zhang and
      Sabuncu, NeurIPS 2018). 'symmetric' adds the cross-entropy with label and probability
      exchanged (Wang et al., ICCV 2019). 'forward' applies the known rates of wrong labels to the
      probability before comparing it with the label (Patrini et al., CVPR 2017).
    generalized_q: q of 'generalized'.
    symmetric_weights: weights of the cross-entropy and of the exchanged one.
    wrong_normal, wrong_nodule: rates of 'forward': share of the radiographs without a nodule that
      are labelled with one, and share of those with a nodule that are labelled without.
    smoothing: the label 1 becomes 1 - smoothing / 2 and 0 becomes smoothing / 2 (Szegedy et al.,
      CVPR 2016).
    early_learning: weight of early-learning regularisation, which keeps the network close to a
      moving average of its own probabilities (Liu et al., NeurIPS 2020); 0 leaves it out.
    early_learning_momentum: momentum of that average.

  Raises:
    OptionError: a number is out of range.
  """

  localization_weight: float
  classification: Literal['cross_entropy', 'generalized', 'symmetric', 'forward'] = 'cross_entropy'
  generalized_q: float = 0.7
  symmetric_weights: tuple[float, float] = (0.1, 1.0)
  wrong_normal: float = 0.0
  wrong_nodule: float = 0.0
  smoothing: float = 0.0
  early_learning: float = 0.0
  early_learning_momentum: float = 0.7

  def __post_init__(self) -> None:
    for name, fits, allowed in (
      ('localization_weight', self.localization_weight >= 0, 'at least 0'),
      ('generalized_q', 0 < self.generalized_q <= 1, 'above 0 and at most 1'),
      ('symmetric_weights', min(self.symmetric_weights) >= 0, 'two numbers of at least 0'),
      ('smoothing', 0 <= self.smoothing < 1, 'at least 0 and below 1'),
      ('early_learning', self.early_learning >= 0, 'at least 0'),
      ('early_learning_momentum', 0 <= self.early_learning_momentum < 1, 'at least 0, below 1'),
      ('wrong_normal', 0 <= self.wrong_normal < 1, 'at least 0 and below 1'),
      ('wrong_nodule', 0 <= self.wrong_nodule < 1, 'at least 0 and below 1'),
    ):
      if not fits:
        raise OptionError(f'config.loss.{name} is {getattr(self, name)}; it must be {allowed}')
    if self.wrong_normal + self.wrong_nodule >= 1:
      raise OptionError(
        f'config.loss.wrong_normal {self.wrong_normal} and wrong_nodule {self.wrong_nodule} sum to '
        '1 or more: such labels are useless or mostly reversed; give rates that sum to less'
      )

  def of_image(self, logit: jax.Array, label: jax.Array) -> jax.Array:
    """The classification loss of `logit f32[B]` against `label f32[B]` in [0, 1]: f32[B].

    A label between 0 and 1 gives the mean of both labels' losses, weighted by it.
    """
    target = label * (1 - self.smoothing) + self.smoothing / 2
    match self.classification:
      case 'generalized':
        return generalized(logit, target, self.generalized_q)
      case 'symmetric':
        return symmetric(logit, target, self.symmetric_weights)
      case 'forward':
        return forward(logit, target, self.wrong_normal, self.wrong_nodule)
    return classification(logit, target)


def classification(logit: jax.Array, label: jax.Array) -> jax.Array:
  """Binary cross-entropy of `logit f32[B]` against `label f32[B]` in [0, 1]: f32[B]."""
  return optax.sigmoid_binary_cross_entropy(logit, label)


def generalized(logit: jax.Array, label: jax.Array, q: float) -> jax.Array:
  """Generalized cross-entropy (1 - p^q) / q, f32[B]."""
  nodule = -jnp.expm1(q * jax.nn.log_sigmoid(logit)) / q
  normal = -jnp.expm1(q * jax.nn.log_sigmoid(-logit)) / q
  return label * nodule + (1 - label) * normal


def symmetric(logit: jax.Array, label: jax.Array, weights: tuple[float, float]) -> jax.Array:
  """Cross-entropy and, with label and probability exchanged, the reverse one, f32[B]."""
  probability = jax.nn.sigmoid(logit)
  reverse = -_LOG_ZERO * (label * (1 - probability) + (1 - label) * probability)
  return weights[0] * classification(logit, label) + weights[1] * reverse


def forward(
  logit: jax.Array, label: jax.Array, wrong_normal: float, wrong_nodule: float
) -> jax.Array:
  """Cross-entropy of the probability that the *label* is a nodule, f32[B]."""
  nodule, normal = jax.nn.log_sigmoid(logit), jax.nn.log_sigmoid(-logit)

  def mixed(right: jax.Array, wrong: jax.Array, kept: float, flipped: float) -> jax.Array:
    if flipped == 0:  # the logarithm of nothing
      return right + jnp.log(kept)
    return jnp.logaddexp(right + jnp.log(kept), wrong + jnp.log(flipped))

  labelled_nodule = mixed(nodule, normal, 1 - wrong_nodule, wrong_normal)
  labelled_normal = mixed(normal, nodule, 1 - wrong_normal, wrong_nodule)
  return -label * labelled_nodule - (1 - label) * labelled_normal


def early_learning(logit: jax.Array, target: jax.Array) -> jax.Array:
  """log(1 - agreement) of the probabilities with their own moving average `target`, f32[B]."""
  probability = jax.nn.sigmoid(logit)
  agreement = target * probability + (1 - target) * (1 - probability)
  return jnp.log1p(-jnp.clip(agreement, 0, 1 - 1e-4))


def localization(map_logits: jax.Array, truth: jax.Array) -> jax.Array:
  """Mean pixel-wise binary cross-entropy of the map against the share of nodule in each cell.

  Args:
    map_logits: f32[B, h, w].
    truth: f32[B, h, w] in [0, 1].

  Returns:
    f32[B].
  """
  return optax.sigmoid_binary_cross_entropy(map_logits, truth).mean(axis=(1, 2))
