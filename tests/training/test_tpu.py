"""The study's training step fits a TPU: compiled for chips that are not there."""

import json
import pathlib

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

from configs import nih_aihub_pixel
from nodulax.distributed import parallel
from nodulax.model.build import build_network
from nodulax.training import optimizer, step
from nodulax.training.losses import Loss

CHIP_MEMORY = 16e9  # bytes of a v5e
STEP = pathlib.Path(__file__).parents[2] / 'launch' / 'step.json'  # what launch/README.md says


@pytest.fixture
def no_cache():
  """What was compiled for a chip that is not there cannot be read back from the cache."""
  jax.config.update('jax_enable_compilation_cache', False)
  compilation_cache.reset_cache()  # whether it is used is asked once
  yield
  jax.config.update('jax_enable_compilation_cache', True)
  compilation_cache.reset_cache()


@pytest.mark.slow
@pytest.mark.usefixtures('no_cache')
def test_the_full_size_step_of_four_chips_fits_them(monkeypatch):
  """Network 2 in bfloat16, 16 radiographs of 512 pixels, by the same pmap that training uses."""
  pytest.importorskip('libtpu', reason='libtpu comes with jax[tpu]')
  monkeypatch.setenv('TPU_SKIP_MDS_QUERY', '1')
  monkeypatch.setenv('ALLOW_MULTIPLE_LIBTPU_LOAD', '1')
  from jax.experimental import topologies

  chips = topologies.get_topology_desc(platform='tpu', topology_name='v5e:2x2').devices
  config = nih_aihub_pixel.get_config()
  config.model.precision = 'bfloat16'
  size, side = config.preprocessing.image_size, config.preprocessing.image_size // 16
  assert (len(chips), size, config.model.size, config.train.batch_size) == (4, 512, '121', 16)

  network = build_network(**config.model, axis_name=parallel.AXIS)
  adam = optimizer.adam(optimizer.learning_rate_schedule(**config.optimizer, steps_per_epoch=100))
  alone = step.state_shapes(network, adam, size)
  share = config.train.batch_size // len(chips)

  def on_each(shape, dtype):
    return jax.ShapeDtypeStruct((len(chips), *shape), dtype)

  state = jax.tree.map(lambda leaf: on_each(leaf.shape, leaf.dtype), alone)
  batch = {
    'image': on_each((share, size, size, 1), jnp.uint8),
    'label': on_each((share,), jnp.float32),
    'truth': on_each((share, side, side), jnp.float32),
    'located': on_each((share,), jnp.float32),
    'index': on_each((share,), jnp.int32),
  }
  mapped = parallel.map_devices(
    step.step_function(network, adam, Loss(**config.loss)), chips, donate=(0,)
  )
  compiled = mapped.lower(state, batch).compile()

  assert 'all-reduce' in compiled.as_text()
  memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
  needed = (
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes
    + memory.generated_code_size_in_bytes
  )
  counted = {
    'gflop_per_image': cost['flops'] / share / 1e9,
    'gb_accessed_per_image': cost['bytes accessed'] / share / 1e9,
    'temporary_gb_per_image': memory.temp_size_in_bytes / share / 1e9,
  }
  print(f'{needed / 1e9:.2f} GB a chip; {counted}')
  assert needed < CHIP_MEMORY
  published = json.loads(STEP.read_text())
  assert counted == pytest.approx({name: published[name] for name in counted}, rel=0.1)
