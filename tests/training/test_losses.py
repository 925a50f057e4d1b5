import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nodulax.errors import OptionError
from nodulax.training import losses
from nodulax.training.losses import Loss

LOGITS = np.array([-3.0, -0.4, 0.0, 1.2, 2.5], np.float32)
LABELS = np.array([1.0, 0.0, 1.0, 0.0, 1.0], np.float32)
P = 1 / (1 + np.exp(-LOGITS.astype(float)))  # of a nodule
RIGHT = np.where(LABELS == 1, P, 1 - P)  # of the label


def value_and_slope(loss: Loss):
  """The loss of each radiograph and its derivative by the logit."""
  value = loss.of_image(jnp.array(LOGITS), jnp.array(LABELS))
  slope = jax.grad(lambda logit: loss.of_image(logit, jnp.array(LABELS)).sum())(jnp.array(LOGITS))
  return np.asarray(value, float), np.asarray(slope, float)


def test_generalized_cross_entropy():
  # d/dlogit of (1 - r^q) / q is -r^(q-1) times dr/dlogit = +-p (1 - p).
  value, slope = value_and_slope(Loss(1.0, 'generalized', generalized_q=0.7))
  np.testing.assert_allclose(value, (1 - RIGHT**0.7) / 0.7, rtol=1e-5)
  sign = np.where(LABELS == 1, 1, -1)
  np.testing.assert_allclose(slope, -sign * RIGHT**-0.3 * P * (1 - P), rtol=1e-5)
  # Its limits: cross-entropy as q goes to 0, and 1 - r, the mean absolute error, at q = 1.
  value, slope = value_and_slope(Loss(1.0, 'generalized', generalized_q=1e-4))
  plain, plain_slope = value_and_slope(Loss(1.0))
  np.testing.assert_allclose(value, plain, rtol=1e-3)
  np.testing.assert_allclose(slope, plain_slope, rtol=1e-3)
  value, _ = value_and_slope(Loss(1.0, 'generalized', generalized_q=1.0))
  np.testing.assert_allclose(value, 1 - RIGHT, rtol=1e-5)


def test_symmetric_cross_entropy():
  # -sum p log(y) with log 0 = -4 leaves 4 times the probability of the other label.
  value, slope = value_and_slope(Loss(1.0, 'symmetric', symmetric_weights=(0.1, 2.0)))
  np.testing.assert_allclose(value, -0.1 * np.log(RIGHT) + 2 * 4 * (1 - RIGHT), rtol=1e-5)
  sign = np.where(LABELS == 1, 1, -1)
  expected = 0.1 * (P - LABELS) - 8 * sign * P * (1 - P)
  np.testing.assert_allclose(slope, expected, rtol=1e-5)


def test_forward_correction():
  # A label says nodule for 0.9 of the nodules and 0.2 of the normals.
  said = P * 0.9 + (1 - P) * 0.2
  value, slope = value_and_slope(Loss(1.0, 'forward', wrong_normal=0.2, wrong_nodule=0.1))
  np.testing.assert_allclose(value, -np.log(np.where(LABELS == 1, said, 1 - said)), rtol=1e-5)
  factor = np.where(LABELS == 1, -1 / said, 1 / (1 - said))
  np.testing.assert_allclose(slope, factor * 0.7 * P * (1 - P), rtol=1e-4)
  # Right labels need no correction.
  for one, other in zip(
    value_and_slope(Loss(1.0, 'forward')), value_and_slope(Loss(1.0)), strict=True
  ):
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_forward_correction_finds_the_true_probability():
  # Half of 1,000 radiographs are nodules, labelled at those rates: 0.5 * 0.9 + 0.5 * 0.2 = 0.55.
  loss = Loss(1.0, 'forward', wrong_normal=0.2, wrong_nodule=0.1)
  logits = np.linspace(-3, 3, 601)
  labelled = 0.55 * loss.of_image(logits, np.ones(601)) + 0.45 * loss.of_image(
    logits, np.zeros(601)
  )
  assert logits[np.argmin(labelled)] == pytest.approx(0, abs=0.011)


def test_label_smoothing():
  value, slope = value_and_slope(Loss(1.0, smoothing=0.2))
  target = np.where(LABELS == 1, 0.9, 0.1)
  np.testing.assert_allclose(value, -target * np.log(P) - (1 - target) * np.log(1 - P), rtol=1e-5)
  np.testing.assert_allclose(slope, P - target, rtol=1e-5)


def test_early_learning_regularisation():
  target = np.array([0.9, 0.2, 0.5, 0.1, 0.7])
  loss = losses.early_learning(jnp.array(LOGITS), jnp.array(target))
  agreement = target * P + (1 - target) * (1 - P)
  np.testing.assert_allclose(loss, np.log(1 - agreement), rtol=1e-5)
  slope = jax.grad(lambda logit: losses.early_learning(logit, jnp.array(target)).sum())(
    jnp.array(LOGITS)
  )
  # It draws the probability towards the target's side.
  np.testing.assert_allclose(slope, -(2 * target - 1) * P * (1 - P) / (1 - agreement), rtol=1e-4)


@pytest.mark.parametrize(
  ('options', 'says'),
  [
    ({'generalized_q': 0}, 'generalized_q is 0'),
    ({'smoothing': 1.0}, 'smoothing is 1.0'),
    ({'wrong_normal': 0.6, 'wrong_nodule': 0.4}, 'sum to 1 or more'),
    ({'early_learning_momentum': 1.0}, 'early_learning_momentum is 1.0'),
    ({'symmetric_weights': (-1.0, 1.0)}, 'symmetric_weights is'),
  ],
)
def test_options_out_of_range_are_refused(options, says):
  with pytest.raises(OptionError, match=says):
    Loss(1.0, **options)


def test_classification_is_the_binary_cross_entropy():
  # log(1 + e^-2) for a right call at logit 2, log(1 + e^2) for a wrong one.
  right, wrong = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
  loss = losses.classification(jnp.array([2.0, 2.0, -2.0]), jnp.array([1.0, 0.0, 0.0]))
  np.testing.assert_allclose(loss, [right, wrong, right], rtol=1e-6)


def test_localization_is_the_mean_over_the_cells_of_each_map():
  # Logits of zero cost log 2 whatever the truth; a cell half filled costs the mean of both sides.
  maps = jnp.stack([jnp.zeros((2, 2)), jnp.full((2, 2), 1.0)])
  truth = jnp.stack([jnp.array([[0.0, 1.0], [0.3, 0.0]]), jnp.full((2, 2), 0.5)])
  half = (math.log1p(math.exp(-1)) + math.log1p(math.exp(1))) / 2
  np.testing.assert_allclose(losses.localization(maps, truth), [math.log(2), half], rtol=1e-6)
