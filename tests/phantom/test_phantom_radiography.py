"""What a simulated radiograph shows, and that it shows the truth it comes with."""

import dataclasses

import numpy as np
import pytest

from nodulax.phantom.anatomy.extras import EXTRAS
from nodulax.phantom.anatomy.nodule import ZONES, Nodule, draw_nodule
from nodulax.phantom.anatomy.patient import draw_patient, draw_pose
from nodulax.phantom.hospitals.profiles import AIHUB, GMC, NIH, VINDR
from nodulax.phantom.imaging.radiography import simulate

SPHERE = Nodule(
  diameter_mm=20, margin=0, spicules=0, density=1.06, core=0, calcium=0, zone='middle', seed=5
)


def take(seed=0, hospital=GMC, nodules=(), size=192, extras=(), female_share=0.5, **pose):
  rng = np.random.default_rng(seed)
  patient = draw_patient(rng, female_share=female_share)
  stand = dataclasses.replace(draw_pose(rng), **pose)
  return simulate(patient, stand, hospital.equipment(rng), size, nodules, extras)


def test_same_seed_same_pixels():
  np.testing.assert_array_equal(take(3).pixels, take(3).pixels)
  assert (take(3).pixels != take(4).pixels).any()


@pytest.mark.parametrize('hospital', [NIH, AIHUB, GMC, VINDR])
def test_bright_is_dense(hospital):
  shot = take(1, hospital)
  level = shot.pixels.astype(float) / (2**hospital.processing.bits - 1)
  assert shot.pixels.max() <= 2**hospital.processing.bits - 1
  outside = level[shot.primary > 0.9]
  middle = level[110:150, 92:100]
  assert np.median(outside) < np.median(level[shot.lungs]) < np.median(middle)


@pytest.mark.parametrize('seed', range(6))
def test_anatomy_has_human_proportions(seed):
  shot = take(seed, tilt=0.0, rotation=0.0)
  area = shot.spacing_mm[0] * shot.spacing_mm[1]
  # Both lungs on a radiograph cover some 350 to 700 cm2.
  assert 250e2 < shot.lungs.sum() * area < 800e2
  heart = np.flatnonzero((shot.heart & ~shot.lungs).any(0))
  lungs = np.flatnonzero(shot.lungs.any(0))
  assert 0.33 < np.ptp(heart) / np.ptp(lungs) < 0.68
  # More of the heart lies on the patient's left, which is the image's right.
  columns = np.nonzero(shot.heart)[1]
  assert columns.mean() > (lungs[0] + lungs[-1]) / 2


@pytest.mark.parametrize('zone', ZONES)
def test_mask_is_where_the_nodule_changed_the_beam(zone):
  nodule = dataclasses.replace(SPHERE, zone=zone, diameter_mm=12)
  without, with_it = take(2), take(2, nodules=[nodule])
  (placed,) = with_it.nodules
  assert placed.zone == zone
  np.testing.assert_array_equal(with_it.primary != without.primary, placed.mask)
  np.testing.assert_array_equal(with_it.mask, placed.mask)
  assert (with_it.primary <= without.primary).all()
  x_min, y_min, x_max, y_max = map(int, placed.box)
  assert placed.mask[y_min:y_max, x_min:x_max].sum() == placed.mask.sum()


@pytest.mark.parametrize('diameter', [10.0, 20.0])
def test_a_sphere_has_its_size_and_contrast(diameter):
  nodule = dataclasses.replace(SPHERE, diameter_mm=diameter)
  shot = take(2, nodules=[nodule], size=384)
  (placed,) = shot.nodules
  area = placed.mask.sum() * shot.spacing_mm[0] * shot.spacing_mm[1]
  assert area == pytest.approx(np.pi * diameter**2 / 4, rel=0.1)
  # Tissue less lung, 1/cm, from the softest to the hardest of the beam (NIST, 50 to 100 keV).
  lung = shot.patient.lung_density
  least, most = 1.06 * 0.1693 - lung * 0.1695, 1.06 * 0.2264 - lung * 0.2270
  assert least * diameter / 10 < placed.contrast < most * diameter / 10


def test_blind_zones_lie_behind_heart_and_below_the_diaphragm():
  hidden = dataclasses.replace(SPHERE, diameter_mm=8)
  shot = take(
    2,
    nodules=[
      dataclasses.replace(hidden, zone='behind_heart'),
      dataclasses.replace(hidden, zone='below_diaphragm', seed=6),
    ],
  )
  behind, below = shot.nodules
  column, row = (int(at) for at in behind.centre)
  assert shot.heart[row, column]
  column, row = (int(at) for at in below.centre)
  assert not shot.lungs[row, column]
  assert shot.primary[row, column] < np.median(shot.primary[shot.lungs])


def test_a_nodule_keeps_its_place_from_one_exposure_to_the_next():
  first, second = (take(2, nodules=[SPHERE], shift=s) for s in ((0, 0), (9, -6)))
  moved = [
    (a - b) * spacing
    for a, b, spacing in zip(
      first.nodules[0].centre, second.nodules[0].centre, first.spacing_mm, strict=True
    )
  ]
  assert moved == pytest.approx([9, -6], abs=4)


def test_larger_nodules_are_as_a_rule_easier_to_see():
  grades = {
    diameter: [
      int(placed.conspicuity)
      for seed in range(6)
      for placed in take(
        seed, nodules=[dataclasses.replace(SPHERE, diameter_mm=diameter, seed=seed)], size=128
      ).nodules
    ]
    for diameter in (6, 28)
  }
  assert np.mean(grades[28]) > np.mean(grades[6]) + 0.5


@pytest.mark.parametrize('name', EXTRAS)
def test_every_extra_is_seen(name):
  plain, changed = take(7, size=160), take(7, size=160, extras=[name])
  difference = changed.primary != plain.primary
  assert 3 < difference.sum() < difference.size
  assert np.isfinite(changed.primary).all() and (changed.primary > 0).all()


def test_women_have_breasts_and_men_have_none():
  women = [draw_patient(np.random.default_rng(i), female_share=1) for i in range(20)]
  men = [draw_patient(np.random.default_rng(i), female_share=0) for i in range(20)]
  assert all(patient.breast > 0 and patient.sex == 'female' for patient in women)
  assert not any(patient.breast for patient in men)
  assert np.mean([w.lung_width for w in women]) < np.mean([m.lung_width for m in men])


def test_drawn_nodules_stay_within_the_stated_range():
  rng = np.random.default_rng(0)
  drawn = [draw_nodule(rng) for _ in range(400)]
  diameters = np.array([nodule.diameter_mm for nodule in drawn])
  assert diameters.min() >= 5 and diameters.max() <= 50
  assert {nodule.zone for nodule in drawn} == set(ZONES)
  assert any(nodule.core for nodule in drawn) and any(nodule.calcium for nodule in drawn)
  assert all(n.diameter_mm >= 30 for n in (draw_nodule(rng, mass=True) for _ in range(50)))
