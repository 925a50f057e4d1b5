"""Weights of torchxrayvision: what the converter writes gives the library's own features."""

import importlib.util
import pathlib

import numpy as np
import pytest

from nodulax.model import Network
from nodulax.model.build import build_network
from nodulax.model.pretrained import load_published
from nodulax.storage import published

ROOT = pathlib.Path(__file__).parents[2]


def network() -> Network:
  return build_network(
    head='image',
    size=published.CHEST_SIZE,
    squeeze_excitation=True,
    reduction=16,
    batch_norm_momentum=0.99,
    mean=published.CHEST_MEAN,
    std=published.CHEST_STD,
    precision='float32',
    recompute=False,
    pooling='max',
    skip=False,
    cell_prior=0.5,
  )


@pytest.mark.slow
def test_features_are_those_of_the_library(tmp_path, monkeypatch):
  import jax

  torch = pytest.importorskip('torch')
  library = pytest.importorskip('torchxrayvision')
  spec = importlib.util.spec_from_file_location(
    'converter', ROOT / 'launch' / 'convert_torchxrayvision.py'
  )
  converter = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(converter)
  torch.manual_seed(0)
  model = library.models.DenseNet(num_classes=18, in_channels=1).eval()
  with torch.no_grad():
    for name, array in model.features.state_dict().items():
      if name.endswith('running_var') or (array.ndim == 1 and name.endswith('weight')):
        array.uniform_(0.5, 1.5)
      elif array.ndim == 1:
        array.uniform_(-0.2, 0.2)
  file = tmp_path / 'chest.safetensors'
  converter.convert(model, file)
  images = np.random.default_rng(0).random((2, 224, 224, 1), np.float32)
  net = network()
  variables, report = load_published(file, net.init(jax.random.key(0), images, train=False))
  assert not report.unused
  backbone = {name: part['backbone'] for name, part in variables.items()}
  seen = (images - published.CHEST_MEAN) / published.CHEST_STD
  ours = np.asarray(net.backbone.apply(backbone, seen, False))
  with torch.no_grad():
    scaled = library.datasets.normalize(images, 1.0)  # to [-1024, 1024], as the library wants it
    theirs = model.features(torch.from_numpy(scaled.transpose(0, 3, 1, 2))).numpy()
  theirs = np.maximum(theirs, 0).transpose(0, 2, 3, 1)
  np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())
