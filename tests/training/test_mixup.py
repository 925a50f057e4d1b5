"""Radiographs, labels and outlines are blended alike."""

import jax
import numpy as np
import pytest

from nodulax import train
from nodulax.errors import OptionError
from nodulax.training.mixup import blend


def batch(count):
  label = (np.arange(count) < count // 2).astype(np.float32)  # each pair has one of either class
  return {
    'image': np.broadcast_to(label[:, None, None, None] * 255, (count, 4, 4, 1)).astype(np.uint8),
    'label': label,
    'truth': np.broadcast_to(label[:, None, None], (count, 2, 2)),
    'located': np.ones(count, np.float32),
    'index': np.arange(count, dtype=np.int32),
  }


def test_image_label_and_outline_are_blended_with_one_weight():
  mixed = blend(batch(6), jax.random.key(0), 1.0)
  label = np.asarray(mixed['label'])
  assert ((label > 0) & (label < 1)).all()
  for name, scale in (('image', 255), ('truth', 1)):
    values = np.asarray(mixed[name]).reshape(6, -1) / scale
    np.testing.assert_allclose(values, np.broadcast_to(label[:, None], values.shape), atol=1e-6)
  np.testing.assert_array_equal(mixed['index'], np.arange(6))


def test_a_pair_with_unknown_outlines_teaches_no_location():
  given = batch(4)
  given['located'] = np.array([1, 0, 1, 1], np.float32)
  np.testing.assert_array_equal(blend(given, jax.random.key(0), 1.0)['located'], [1, 0, 0, 1])


@pytest.mark.parametrize('alpha', [0.2, 1.0])
def test_weights_follow_the_beta_distribution(alpha):
  """Its mean is 1/2 and its variance 1 / (4 (2 alpha + 1))."""
  mixed = blend(batch(20_000), jax.random.key(1), alpha)
  weight = np.asarray(mixed['label'])[:10_000]  # of the own label, 1
  assert weight.mean() == pytest.approx(0.5, abs=0.015)
  assert weight.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.04)


def test_a_batch_of_one_radiograph_a_device_is_refused(config, tmp_path):
  config.loss.mixup = 0.2
  config.train.batch_size = config.train.devices = 1
  with pytest.raises(OptionError, match='a batch of 1 on 1 devices leaves one each'):
    train.train(config, tmp_path)
