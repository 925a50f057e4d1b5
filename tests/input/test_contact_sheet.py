import subprocess
import sys

import cv2
import numpy as np

from nodulax.radiograph.pictures import TRUTH_COLOUR


def test_the_command_draws_radiographs_above_their_augmented_selves(command, shards, tmp_path):
  output = tmp_path / 'sheet.png'
  command(
    'nodulax.input',
    f'--dataset={shards}',
    f'--output={output}',
    '--images=4',
    '--tile=64',
    '--config.preprocessing.image_size=64',
    '--config.augmentation.flip=1.0',
    '--config.augmentation.shift=0.0',
    '--config.augmentation.scale=0.0',
    '--config.augmentation.rotation=0.0',
    '--config.augmentation.shear=0.0',
  )
  sheet = cv2.imread(str(output))
  assert sheet.shape == (2 * 64, 4 * 64, 3)
  # Normals stand to the right; with a flip alone, the lower picture mirrors the upper one.
  upper, lower = sheet[:64, 192:], sheet[64:, 192:]
  np.testing.assert_array_equal(lower, upper[:, ::-1])
  assert (sheet == TRUTH_COLOUR[::-1]).all(axis=-1).any()


def test_a_knob_out_of_range_is_told_in_one_line(shards, tmp_path):
  finished = subprocess.run(
    [sys.executable, '-m', 'nodulax.input', f'--dataset={shards}']
    + [f'--output={tmp_path / "sheet.png"}', '--config.preprocessing.image_size=0'],
    capture_output=True,
    text=True,
  )
  assert finished.returncode == 1
  assert 'nodulax: preprocessing.image_size is 0; it must be from 1 to' in finished.stderr
  assert 'Traceback' not in finished.stderr
