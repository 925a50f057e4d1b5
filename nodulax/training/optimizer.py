"""Adam with a learning rate that falls in steps."""

from collections.abc import Mapping, Sequence

import optax


def learning_rate_schedule(
  *, learning_rate: float, drop_epochs: Sequence[int], drop_factor: float, steps_per_epoch: int
) -> optax.Schedule:
  """The initial rate, multiplied by `drop_factor` at the start of each epoch in `drop_epochs`."""
  drops: Mapping[int, float] = {epoch * steps_per_epoch: drop_factor for epoch in drop_epochs}
  return optax.piecewise_constant_schedule(learning_rate, dict(drops))


def adam(schedule: optax.Schedule) -> optax.GradientTransformation:
  """Adam with Keras's constants, which the study used: epsilon 1e-7, the others as usual."""
  return optax.adam(schedule, b1=0.9, b2=0.999, eps=1e-7)
