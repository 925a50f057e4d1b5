import jax.numpy as jnp
import numpy as np

from nodulax.training import optimizer


def test_the_rate_falls_at_the_start_of_the_named_epochs():
  schedule = optimizer.learning_rate_schedule(
    learning_rate=1e-4, drop_epochs=(25, 37), drop_factor=0.1, steps_per_epoch=10
  )
  rates = [float(schedule(step)) for step in (0, 249, 250, 369, 370, 499)]
  np.testing.assert_allclose(rates, [1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6], rtol=1e-5)


def test_the_first_adam_step_is_the_rate_against_the_sign_of_the_gradient():
  adam = optimizer.adam(lambda _: 0.01)
  params = {'w': jnp.array([1.0, -2.0])}
  updates, _ = adam.update({'w': jnp.array([3.0, -0.5])}, adam.init(params), params)
  np.testing.assert_allclose(updates['w'], [-0.01, 0.01], rtol=1e-4)
