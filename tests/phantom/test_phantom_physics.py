"""The beam, the detector and the contrast of a sphere, against numbers worked out here."""

import dataclasses
import math

import numpy as np
import pytest

from nodulax.phantom.anatomy.body import Body
from nodulax.phantom.anatomy.nodule import Nodule, add_nodule, nodule_chord
from nodulax.phantom.imaging.physics import Detector, beam_spectrum, blur, detect, transmission

# NIST, cm2/g at 40, 50, 60, 80, 100 keV, copied once more by hand.
SOFT = (0.2688, 0.2264, 0.2048, 0.1823, 0.1693)
LUNG = (0.2699, 0.2270, 0.2053, 0.1826, 0.1695)
BONE = (0.6655, 0.4242, 0.3148, 0.2229, 0.1855)


def test_spectrum_is_a_share_and_hardens_with_voltage():
  energies = np.array([40, 50, 60, 80, 100])
  low, high = beam_spectrum(80), beam_spectrum(120)
  assert low.sum() == pytest.approx(1) and high.sum() == pytest.approx(1)
  assert high @ energies > low @ energies + 5
  assert beam_spectrum(120, aluminium_mm=10) @ energies > high @ energies
  assert low[-1] == 0  # no photon has more energy than the tube's voltage gives it


def test_beer_lambert_through_slabs():
  spectrum = np.array([0.0, 0.0, 0.25, 0.75, 0.0])
  paths = {'soft': np.full((2, 3), 12.0, np.float32), 'bone': np.full((2, 3), 0.5, np.float32)}
  by_hand = 0.25 * math.exp(-(1.06 * 0.2048 * 12 + 1.92 * 0.3148 * 0.5)) + 0.75 * math.exp(
    -(1.06 * 0.1823 * 12 + 1.92 * 0.2229 * 0.5)
  )
  np.testing.assert_allclose(transmission(paths, spectrum), by_hand, rtol=1e-5)


class Axes:
  """Body coordinates of every pixel, 0.25 mm apart, 0 in the middle."""

  def __init__(self, side: int = 121):
    line = ((np.arange(side) - side // 2) * 0.25).astype(np.float32)
    self.x, self.y = np.meshgrid(line, line)


def slab(shape: tuple[int, int], lung_mm: float, soft_mm: float) -> Body:
  body = Body(*(np.zeros(shape, np.float32) for _ in dataclasses.fields(Body)))
  body.lung += lung_mm
  body.soft += soft_mm
  return body


@pytest.mark.parametrize('diameter', [10.0, 20.0])
def test_contrast_of_a_sphere_is_the_closed_form(diameter):
  axes = Axes()
  body = slab(axes.x.shape, lung_mm=120.0, soft_mm=60.0)
  spectrum = beam_spectrum(120)
  before = transmission(body.paths_cm(), spectrum, lung_density=0.26)
  sphere = Nodule(
    diameter_mm=diameter,
    margin=0,
    spicules=0,
    density=1.06,
    core=0,
    calcium=0,
    zone='upper',
    seed=1,
  )
  add_nodule(body, sphere, nodule_chord(sphere, axes.x, axes.y, (0.0, 0.0)))
  contrast = np.log(before / transmission(body.paths_cm(), spectrum, lung_density=0.26))

  # A sphere's chord at distance r is 2 sqrt(R^2 - r^2); tissue takes the place of lung.
  for distance in (0.0, 0.25 * diameter, 0.45 * diameter):
    column = 60 + round(distance / 0.25)
    r = (column - 60) * 0.25
    chord_cm = 2 * math.sqrt(diameter**2 / 4 - r**2) / 10
    share_before = [
      w * math.exp(-(0.26 * lung * 12 + 1.06 * soft * 6))
      for w, lung, soft in zip(spectrum, LUNG, SOFT, strict=True)
    ]
    share_after = [
      w * math.exp(-(0.26 * lung * (12 - chord_cm) + 1.06 * soft * (6 + chord_cm)))
      for w, lung, soft in zip(spectrum, LUNG, SOFT, strict=True)
    ]
    closed_form = math.log(sum(share_before) / sum(share_after))
    assert contrast[60, column] == pytest.approx(closed_form, rel=1e-3)
  assert contrast[60, 60] == pytest.approx(0.0155 * diameter, rel=0.06)  # 0.155 a cm at 120 kV
  assert contrast[0, 0] == 0


def test_calcium_and_ground_glass_change_the_contrast():
  axes = Axes()
  spectrum = beam_spectrum(120)

  def middle(**kind):
    body = slab(axes.x.shape, lung_mm=120.0, soft_mm=60.0)
    before = transmission(body.paths_cm(), spectrum)[60, 60]
    lesion = Nodule(
      **{
        'diameter_mm': 16.0, 'margin': 0, 'spicules': 0, 'density': 1.06, 'core': 0, 'calcium': 0,
        'zone': 'upper', 'seed': 1, **kind,
      }
    )  # fmt: skip
    add_nodule(body, lesion, nodule_chord(lesion, axes.x, axes.y, (0.0, 0.0)))
    return math.log(before / transmission(body.paths_cm(), spectrum)[60, 60])

  solid, glass, part_solid, calcified = (
    middle(), middle(density=0.62), middle(density=0.62, core=0.5), middle(calcium=0.2),
  )  # fmt: skip
  assert glass == pytest.approx(0.45 * solid, rel=0.02)  # (0.62 - 0.26) / (1.06 - 0.26)
  assert glass < part_solid < solid < calcified


def test_detector_counts_like_poisson_and_keeps_the_mean():
  open_field = np.full((200, 200), 0.5, np.float32)
  detector = Detector(quanta_per_mm2=1000, scatter_fraction=0, blur_mm=0, electronic_noise=0)
  signal = detect(open_field, detector, (1.0, 1.0), np.random.default_rng(1))
  assert signal.mean() == pytest.approx(0.5, rel=2e-3)
  # 500 quanta a pixel: standard deviation sqrt(500) / 1000.
  assert signal.std() == pytest.approx(math.sqrt(500) / 1000, rel=0.03)


def test_scatter_fills_the_dense_parts_most():
  primary = np.full((100, 100), 0.1, np.float32)
  primary[40:60] = 0.01
  detector = Detector(quanta_per_mm2=1e8, scatter_fraction=0.08, blur_mm=0)
  signal = detect(primary, detector, (4.0, 4.0), np.random.default_rng(1))
  ratio = signal / primary - 1
  assert 0.1 < ratio[10, 50] < 0.5
  assert ratio[50, 50] > 3 * ratio[10, 50]


def test_wide_blur_is_a_gaussian():
  point = np.zeros((300, 300), np.float32)
  point[150, 150] = 1e4
  wide = blur(point, 20.0)
  rows = np.arange(300)
  mean = (wide.sum(1) * rows).sum() / wide.sum()
  spread = math.sqrt((wide.sum(1) * (rows - mean) ** 2).sum() / wide.sum())
  assert wide.sum() == pytest.approx(1e4, rel=0.02)
  assert spread == pytest.approx(20, rel=0.1)
