"""The command that trains the bundled network, from radiographs to a checkpoint."""

import cv2
import numpy as np
import pytest

from nodulax.checkpoints import checkpoint, networks, shipped
from nodulax.phantom import simulate
from nodulax.phantom.anatomy.patient import draw_patient, draw_pose
from nodulax.phantom.hospitals.profiles import GMC
from nodulax.pretraining.run import optimizer

SMALL = {
  'data.tune_images': 2,
  'data.tune_views': 8,
  'preprocessing.image_size': 128,
  'model.size': 'tiny',
  'optimizer.warmup_steps': 1,
  'plan.steps': 4,
  'plan.whole_share': 0.5,
  'plan.crop_size': 64,
  'plan.batch_size': 4,
  'plan.whole_batch_size': 2,
  'train.pool': 8,
  'train.mine_every': 1,
  'train.mine_views': 4,
  'train.tune_every': 2,
  'train.save_every': 2,
}


@pytest.fixture(scope='module')
def normals(tmp_path_factory):
  """A folder of simulated radiographs without nodules."""
  folder = tmp_path_factory.mktemp('normals')
  for seed in range(6):
    rng = np.random.default_rng(seed)
    patient, pose = draw_patient(rng), draw_pose(rng, ap_share=0)
    pixels = simulate(patient, pose, GMC.equipment(rng), 256).pixels
    cv2.imwrite(str(folder / f'{seed}.png'), pixels)
  return folder


def test_radiographs_without_nodules_become_a_network(command, normals, tmp_path, monkeypatch):
  run = tmp_path / 'run'
  words = (
    'nodulax.pretrain',
    '--config=configs/pretrain.py',
    f'--workdir={run}',
    f"--config.data.backgrounds=('{normals}',)",
    *(f'--config.{name}={value}' for name, value in SMALL.items()),
  )
  assert 'tune auc' in command(*words)
  description = checkpoint.describe(run)
  assert (description.step, description.model['pooling']) in ((2, 'logsumexp'), (4, 'logsumexp'))
  # Written in the form of the bundled network, it gives the same answers but for float16.
  shipped_here = tmp_path / 'shipped'
  said = command(*words, f'--ship={shipped_here}')
  assert 'resumes at step 4 of 4' in said and 'weights.safetensors' in said
  image = np.random.default_rng(0).uniform(size=(1, 128, 128, 1)).astype(np.float32)
  network, trained = networks.load_network(run)
  monkeypatch.setattr(shipped, '_FOLDER', shipped_here)
  assert checkpoint.describe('nodulax').name == 'nodulax'
  same, halves = networks.load_network('nodulax')  # which holds the digest against the weights
  answers = [
    np.asarray(each.apply(variables, image, train=False).logit)
    for each, variables in ((network, trained), (same, halves))
  ]
  np.testing.assert_allclose(*answers, atol=0.05)


def test_a_start_as_long_as_the_training_is_refused():
  numbers = dict(learning_rate=1e-3, weight_decay=0.0, clip=1.0)
  optimizer(**numbers, warmup_steps=199, steps=200)
  with pytest.raises(ValueError, match='warmup_steps is 200; it must be below the 200 steps'):
    optimizer(**numbers, warmup_steps=200, steps=200)
