"""The trainer of the lung network, on a handful of simulated radiographs."""

import jax
import numpy as np
import pytest

from nodulax.phantom import train_lungs
from nodulax.radiograph import lung_network


@pytest.fixture(scope='module')
def library() -> list[tuple[np.ndarray, np.ndarray]]:
  return [train_lungs.simulated(seed) for seed in range(3)]


def test_a_simulated_radiograph_is_fixed_by_its_seed(library):
  pixels, lungs = train_lungs.simulated(1)
  np.testing.assert_array_equal(pixels, library[1][0])
  np.testing.assert_array_equal(lungs, library[1][1])
  assert pixels.dtype == np.uint8 and lungs.dtype == bool and pixels.shape == lungs.shape
  assert 0.1 < lungs.mean() < 0.6
  # Air is dark.
  assert pixels[lungs].mean() < pixels[pixels.shape[0] * 4 // 5 :][:, 60:100].mean()


def test_spoiling_moves_truth_with_the_image(library):
  pixels, lungs = library[0]
  marked = np.where(lungs, 0, 255).astype(np.uint8)  # an image that is its own truth
  agreements = []
  for seed in range(20):
    film, truth = train_lungs.spoilt(marked, lungs, np.random.default_rng(seed))
    assert film.shape == truth.shape == pixels.shape and film.dtype == np.uint8
    inside, outside = truth > 0.9, (truth < 0.1) & (film > 0)
    if inside.any() and outside.any():
      agreements.append(film[inside].mean() < film[outside].mean())
  assert np.mean(agreements) > 0.8


def test_training_lowers_the_loss(library):
  films, targets = next(train_lungs.batches(library, 8, np.random.default_rng(1)))
  assert films.shape == (8, 128, 128, lung_network.INPUT_CHANNELS)
  assert targets.shape == (8, 64, 64) and targets.min() >= 0 and targets.max() <= 1
  untrained = train_lungs.initial_parameters(np.random.default_rng(0))
  trained = train_lungs.train(library, 25, 4, 2e-3, np.random.default_rng(0))
  loss = jax.jit(train_lungs.loss)
  assert loss(trained, films, targets) < 0.9 * loss(untrained, films, targets)
