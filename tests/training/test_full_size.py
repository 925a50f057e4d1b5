"""The networks at the size of the study take a training step."""

import jax
import numpy as np
import optax
import pytest

from configs import nih_aihub_pixel, nih_image
from nodulax.distributed import parallel
from nodulax.model.build import build_network
from nodulax.training import step
from nodulax.training.losses import Loss


@pytest.mark.slow
@pytest.mark.parametrize('config', [nih_image, nih_aihub_pixel], ids=['network1', 'network2'])
def test_densenet_121_at_512_pixels_takes_a_step(config):
  config = config.get_config()
  size = config.preprocessing.image_size
  assert size == 512 and config.model.size == '121'
  devices = jax.local_devices()[:1]
  network = build_network(**config.model, axis_name=parallel.AXIS)
  adam = optax.adam(config.optimizer.learning_rate)
  state = step.initial_state(network, adam, config.seed, size)
  rng = np.random.default_rng(0)
  batch = {
    'image': rng.integers(0, 256, (2, size, size, 1), dtype=np.uint8),
    'label': np.array([0, 1], np.float32),
    'truth': np.zeros((2, 32, 32), np.float32),
    'located': np.ones(2, np.float32),
    'index': np.arange(2, dtype=np.int32),
  }
  take_step = parallel.map_devices(step.step_function(network, adam, Loss(**config.loss)), devices)
  after, metrics = take_step(parallel.replicate(state, devices), parallel.split(batch, devices))
  assert np.isfinite(metrics['loss']).all()
  outputs = jax.eval_shape(
    lambda: network.apply(state.variables, np.zeros((1, size, size, 1), np.float32), train=False)
  )
  side = 16 if config.model.head == 'image' else 32
  assert outputs.map_logits.shape == (1, side, side)
  new = parallel.first(after).params
  moved = jax.tree.map(lambda a, b: float(abs(a - b).max()), new, state.params)
  assert max(jax.tree.leaves(moved)) > 0
