import math

import jax.numpy as jnp
import numpy as np

from nodulax.training import losses


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
