"""DenseNet-121 as a textbook of Flax writes it: what network 1's speed is held against."""

import time
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax


class DenseNet121(nn.Module):
  @nn.compact
  def __call__(self, x, train):
    norm = partial(nn.BatchNorm, use_running_average=not train, momentum=0.9)
    conv = partial(nn.Conv, use_bias=False)
    x = nn.relu(norm()(conv(64, (7, 7), 2)(x)))
    x = nn.max_pool(x, (3, 3), (2, 2), 'SAME')
    for size in (6, 12, 24, 16):
      for _ in range(size):
        new = conv(128, (1, 1))(nn.relu(norm()(x)))
        new = conv(32, (3, 3))(nn.relu(norm()(new)))
        x = jnp.concatenate([x, new], -1)
      if size != 16:
        x = conv(x.shape[-1] // 2, (1, 1))(nn.relu(norm()(x)))
        x = nn.avg_pool(x, (2, 2), (2, 2))
    return nn.Dense(1)(nn.relu(norm()(x)).mean((1, 2)))


class Flax:
  """One training step and one inference."""

  def __init__(self, batch: int, image_size: int):
    self._network, self._adam = DenseNet121(), optax.adam(1e-4)
    self._image = jax.random.uniform(jax.random.key(1), (batch, image_size, image_size, 1))
    self._label = jnp.arange(batch, dtype=jnp.float32)[:, None] % 2
    start, processor = time.perf_counter(), time.process_time()
    self._step = (
      jax.jit(self._update, donate_argnums=0)
      .lower(jax.eval_shape(self._init), self._image, self._label)
      .compile()
    )
    self.compile_s = time.perf_counter() - start
    self.compile_processor_s = time.process_time() - processor

  def load(self) -> None:
    self._state = jax.jit(self._init)()
    self._variables = jax.jit(self._init)()[0]
    self._infer = jax.jit(lambda variables, x: self._network.apply(variables, x, False))

  def train(self) -> None:
    self._state, loss = self._step(self._state, self._image, self._label)
    jax.block_until_ready(loss)

  def infer(self) -> None:
    jax.block_until_ready(self._infer(self._variables, self._image))

  def _init(self):
    variables = self._network.init(jax.random.key(0), self._image, False)
    return variables, self._adam.init(variables['params'])

  def _update(self, state, image, label):
    variables, moments = state

    def loss(params):
      logit, updates = self._network.apply(
        {**variables, 'params': params}, image, True, mutable=['batch_stats']
      )
      return optax.sigmoid_binary_cross_entropy(logit, label).mean(), updates

    (value, updates), gradient = jax.value_and_grad(loss, has_aux=True)(variables['params'])
    change, moments = self._adam.update(gradient, moments)
    params = optax.apply_updates(variables['params'], change)
    return ({'params': params, **updates}, moments), value
