"""The network bundled with nodulax."""

import jax
import numpy as np
import pytest

from nodulax.checkpoints import checkpoint, networks, shipped
from nodulax.checkpoints.checkpoint import CheckpointError


def test_the_shipped_network_is_whole():
  network, variables = networks.load_network('nodulax')
  assert network.head == 'pixel' and network.skip
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables))
  described = checkpoint.describe('nodulax')
  assert checkpoint.digest(variables) == described.weights_sha256
  assert described.preprocessing.image_size % 32 == 0
  assert 0.5 < described.thresholds.tune_auc <= 1


def test_other_weights_are_refused(monkeypatch):
  network, variables = networks.load_network('nodulax')
  changed = jax.tree.map(lambda leaf: leaf + 1, variables)
  monkeypatch.setattr(shipped, 'variables', lambda: changed)
  with pytest.raises(CheckpointError, match='not those that were saved'):
    checkpoint.load('nodulax', networks.shapes(network, 64))
