"""Dynamic loss scaling, for gradients that leave the range of float16, 6e-8 to 65504.

Micikevicius et al., Mixed Precision Training, ICLR 2018. The loss is multiplied by a factor before
its gradient is taken, and the gradient, by then in float32, divided by it. If the product overflows
float16, the step is skipped and the factor halved; after some steps without overflow it is doubled.
"""

import dataclasses
from typing import Any, Self

import flax
import jax
import jax.numpy as jnp

SMALLEST = 1.0  # a gradient that is not finite at this scale is not so because of it
LARGEST = 2.0**24


@flax.struct.dataclass
class LossScale:
  """The factor, and the counts that decide when it changes.

  Attributes:
    value: f32[], what the loss is multiplied by.
    good_steps: i32[], steps since it last changed.
    skipped_steps: i32[], steps skipped so far.
    grow_after: steps without overflow before it is doubled.
  """

  value: jax.Array
  good_steps: jax.Array
  skipped_steps: jax.Array
  grow_after: int = flax.struct.field(pytree_node=False)

  @classmethod
  def create(cls, *, initial: float, grow_after: int) -> Self:
    zero = jnp.zeros((), jnp.int32)
    return cls(jnp.float32(initial), zero, zero, grow_after)

  def unscale(self, gradient: Any) -> Any:
    """The gradient of the loss, from that of the scaled loss."""
    return jax.tree.map(lambda leaf: leaf / self.value, gradient)

  def overflows(self, loss: jax.Array, gradient_norm: jax.Array) -> jax.Array:
    """Whether a smaller scale may repair this step: bool[].

    It may if only the gradient is not finite and the scale is not at its floor. A loss that is not
    finite was so before it was scaled.
    """
    return jnp.isfinite(loss) & ~jnp.isfinite(gradient_norm) & (self.value > SMALLEST)

  def after(self, overflow: jax.Array) -> Self:
    """The scale of the next step."""
    grows = self.good_steps + 1 >= self.grow_after
    factor = jnp.where(overflow, 0.5, jnp.where(grows, 2.0, 1.0))
    return dataclasses.replace(
      self,
      value=jnp.clip(self.value * factor, SMALLEST, LARGEST),
      good_steps=jnp.where(overflow | grows, 0, self.good_steps + 1),
      skipped_steps=self.skipped_steps + overflow,
    )
