"""What looks like an upright frontal chest: simulated, real and other pictures."""

import os
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from nodulax.phantom.frontal_template import simulated_arrangement
from nodulax.phantom.train_lungs import simulated
from nodulax.radiograph import guard
from nodulax.radiograph.lungs import find_lung_box
from nodulax.radiograph.reading import read_radiograph
from tests.radiograph import guard_figures


def objection(pixels: np.ndarray) -> str:
  return guard.pixel_objection(pixels, find_lung_box(pixels))


@pytest.fixture(scope='module')
def chests() -> list[np.ndarray]:
  """Simulated radiographs that the template was not made of."""
  return [simulated(seed)[0] for seed in range(10_000, 10_008)]


def test_simulated_radiographs_are_read_in_8_and_16_bits(chests):
  assert [objection(pixels) for pixels in chests] == [''] * len(chests)
  assert objection(chests[0].astype(np.uint16) * 257) == ''


@pytest.mark.parametrize(
  ('turn', 'says'), [(1, 'by 90 degrees clockwise'), (2, 'by 180'), (3, 'by 90 degrees anti')]
)
def test_what_lies_is_refused_with_the_turn_that_mends_it(chests, turn, says):
  for pixels in chests:
    said = objection(np.ascontiguousarray(np.rot90(pixels, turn)))
    assert said.startswith('it is not upright; turn it ' + says)


def test_masks_blanks_and_noise_are_refused():
  rng = np.random.default_rng(0)
  pictures = [
    *guard_figures.masks(20, rng),
    *guard_figures.blanks(20, rng),
    *guard_figures.clouds(20, rng),
    *guard_figures.photographs(30, rng),
  ]
  assert np.mean([bool(objection(pixels)) for pixels in pictures]) >= 0.95


def test_each_reason_is_told():
  assert objection(np.full((64, 64), 7, np.uint8)) == 'it is blank'
  assert objection(np.full((8, 9), 7, np.uint8)) == 'it has only 9 x 8 pixels'
  halves = np.tile(np.repeat(np.uint8([9, 80]), 64), (128, 1))
  assert 'only 2 grey levels' in objection(halves)
  soft = cv2.GaussianBlur(
    cv2.circle(np.zeros((300, 300), np.uint8), (90, 90), 30, 255, -1), (0, 0), 2
  )
  assert 'black or white' in objection(soft)
  ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
  assert objection(ramp) in (
    'no pair of lungs was found in it',
    'it does not look like a frontal chest radiograph',
  )


def test_likeness_is_a_correlation(chests):
  pixels, box = chests[0], find_lung_box(chests[0])
  one = guard.arrangement(pixels.shape, box)
  np.testing.assert_allclose(one.mean(axis=(1, 2)), 0, atol=1e-5)
  np.testing.assert_allclose((one**2).mean(axis=(1, 2)), 1, rtol=1e-4)
  template = guard._template()
  expected = np.mean(
    [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, template, strict=True)]
  )
  assert guard.likeness(pixels, box) == pytest.approx(expected, abs=2e-3)


def test_the_template_is_what_the_command_makes():
  """The mean of the first few of its 400 radiographs is much like the whole."""
  few = np.mean([simulated_arrangement(seed) for seed in range(12)], axis=0)
  assert np.corrcoef(few.ravel(), guard._template().ravel())[0, 1] > 0.97


def test_real_radiographs_are_read_and_those_on_their_side_refused(real_data):
  paths = sorted((real_data / 'nih' / 'images').glob('*.png'))[:100]
  upright = [read_radiograph(path).pixels for path in paths]
  assert sum(bool(objection(pixels)) for pixels in upright) <= 2
  lying = [np.ascontiguousarray(np.rot90(pixels)) for pixels in upright[:40]]
  assert sum('clockwise' in objection(pixels) for pixels in lying) >= 38


@pytest.mark.slow
def test_the_shares_that_readme_tells(real_data):
  finished = subprocess.run(
    [sys.executable, 'tests/radiograph/guard_figures.py'],
    cwd=pathlib.Path(__file__).parents[2],
    env={**os.environ, 'NODULAX_TEST_DATA': str(real_data)},
    capture_output=True,
    text=True,
    check=True,
  )
  lines = finished.stdout.splitlines()
  shares = {
    line.split(':')[0]: float(line.split('refused (')[1].split('%')[0])
    for line in lines
    if 'refused (' in line
  }
  assert shares['ChestX-ray14, upright'] <= 1 and shares['JSRT'] <= 1
  assert all(
    share >= 95 for name, share in shares.items() if name not in ('ChestX-ray14, upright', 'JSRT')
  )


def test_real_pictures_of_bones_are_refused(real_data):
  files = sorted((real_data / 'dicom' / 'nonchest').rglob('*.dcm'))
  for path in files:
    radiograph = read_radiograph(path)
    assert radiograph.objection or objection(radiograph.pixels), path
