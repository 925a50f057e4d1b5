"""Nodules in real radiographs: contrast by the closed form, place, bytes, refusals."""

import dataclasses

import cv2
import numpy as np
import pytest

from nodulax.phantom import simulate
from nodulax.phantom.anatomy.nodule import Nodule, draw_nodule
from nodulax.phantom.anatomy.patient import draw_patient, draw_pose
from nodulax.phantom.hospitals.profiles import GMC
from nodulax.phantom.implant import (
  CTNodules,
  ImplantError,
  implant,
  prepare_background,
  simulated_opacity,
)
from nodulax.phantom.implant.attenuation import effective

SPACING = 0.8


def sphere(diameter_mm: float, zone: str = 'middle') -> Nodule:
  return Nodule(
    diameter_mm=diameter_mm,
    margin=0,
    spicules=0,
    density=1.06,
    core=0,
    calcium=0,
    zone=zone,
    seed=1,
  )


@pytest.fixture(scope='module')
def radiograph() -> np.ndarray:
  """A simulated radiograph of 512 pixels without nodules."""
  rng = np.random.default_rng(3)
  patient, pose = draw_patient(rng), draw_pose(rng, ap_share=0)
  return simulate(patient, pose, GMC.equipment(rng), 512).pixels


@pytest.fixture(scope='module')
def background(radiograph):
  return prepare_background(radiograph, SPACING, 'a.png')


@pytest.fixture(scope='module')
def flat(background):
  """Its lungs in an even picture of known gain and scatter."""
  return dataclasses.replace(
    background,
    stored=np.full(background.shape, 8000, np.uint16),
    gain=np.full((128, 128), 5000, np.float32),
    scatter=np.full((128, 128), 0.3, np.float32),
    white=65_000.0,
    limits=(0.0, 65_535.0),
    detail=0.0,
  )


@pytest.fixture(scope='module')
def ct_folder(tmp_path_factory):
  """One nodule in the form of CT: a ball of 20 HU, 21 voxels across, in lung of -850 HU."""
  folder = tmp_path_factory.mktemp('ct')
  z, y, x = np.indices((29, 29, 29)) - 14
  ball = z * z + y * y + x * x <= 10.5**2
  np.savez(
    folder / 'luna_nodules.npz',
    n0_hu=np.where(ball, 20, -850).astype(np.int16),
    n0_mask=np.packbits(ball),
    n0_shape=np.array(ball.shape, np.int16),
  )
  table = 'nodule,scan,equivalent_diameter_mm\nn0,scan-1,21.0\n'
  (folder / 'luna_nodules.csv').write_text(table)
  return folder


@pytest.mark.parametrize('diameter', [16, 24])
def test_contrast_is_that_of_the_chord(flat, diameter):
  done = implant(
    flat, [simulated_opacity(sphere(diameter), SPACING, softness=0)], np.random.default_rng(0)
  )
  # Soft tissue in place of lung over the whole diameter, scatter a third of the primary.
  excess = effective('soft') - effective('lung', 0.26)
  expected = excess * diameter / 10 / 1.3 * 5000
  peak = float(done.pixels.max()) - 8000
  assert 0.93 * expected < peak < 1.01 * expected
  assert np.count_nonzero(done.mask) * SPACING**2 == pytest.approx(
    np.pi * diameter**2 / 4, rel=0.06
  )


def test_displays_lift_small_things_more(flat):
  lifted = dataclasses.replace(flat, detail=0.8)
  for diameter, factor in ((9, 1 + 0.8 * 0.9608), (32, 1 + 0.8 * 0.6031)):
    opacity = [simulated_opacity(sphere(diameter), SPACING)]
    peak = implant(lifted, opacity, np.random.default_rng(0)).pixels.max() - 8000
    plain = implant(flat, opacity, np.random.default_rng(0)).pixels.max() - 8000
    assert peak / plain == pytest.approx(factor, rel=0.01)


def test_contrast_is_a_multiplier(flat):
  opacity = [simulated_opacity(sphere(12), SPACING)]
  one = implant(flat, opacity, np.random.default_rng(0)).pixels.astype(float) - 8000
  half = implant(flat, opacity, np.random.default_rng(0), contrast=0.5).pixels.astype(float) - 8000
  assert half.max() == pytest.approx(one.max() / 2, rel=0.01)


def test_a_ball_from_ct_has_the_contrast_of_its_hounsfield_units(flat, ct_folder):
  nodules = CTNodules(ct_folder)
  opacity = nodules.opacity(0, np.random.default_rng(5), 21, SPACING, softness=0)
  # 870 HU over lung, times what water takes, over 2.1 cm.
  expected = 0.870 * effective('soft', 1.0) * 2.1
  assert opacity.change.max() == pytest.approx(expected, rel=0.06)
  assert opacity.mask.sum() * SPACING**2 == pytest.approx(np.pi * 21**2 / 4, rel=0.05)
  # No edge of the cut-out shows: all around is untouched.
  assert not opacity.change[[0, -1]].any() and not opacity.change[:, [0, -1]].any()


def test_nodules_lie_within_the_lungs_apart_and_in_their_zone(background):
  rng = np.random.default_rng(1)
  zones = background.zones
  extent = np.any(list(zones.values()), axis=0)
  count = 0
  for _ in range(40):
    opacities = [simulated_opacity(draw_nodule(rng, mass=False), SPACING) for _ in range(3)]
    done = implant(background, opacities, rng)
    alone = np.zeros(background.shape, int)
    for lesion in done.lesions:
      alone[lesion.window] += lesion.mask
      x, y = (int(at) for at in lesion.centre)
      assert zones[lesion.zone][y, x]
    assert alone.max() == 1
    assert not (alone.astype(bool) & ~extent).any()
    assert ((done.mask == 255) == alone.astype(bool)).all()
    count += len(done.lesions)
  assert count > 100
  assert all(zones[zone].any() for zone in ('apex', 'hilum', 'behind_heart', 'below_diaphragm'))


def test_the_same_seed_gives_the_same_bytes(background, ct_folder):
  def once() -> bytes:
    rng = np.random.default_rng(7)
    nodules = CTNodules(ct_folder)
    opacity = nodules.opacity(nodules.choose(rng, 15), rng, 15, SPACING)
    done = implant(background, [opacity], rng)
    return done.pixels.tobytes() + done.mask.tobytes()

  assert once() == once()


def test_far_from_the_nodule_no_pixel_changes(background):
  done = implant(background, [simulated_opacity(sphere(15), SPACING)], np.random.default_rng(2))
  x, y = done.lesions[0].centre
  rows, columns = np.indices(background.shape)
  far = np.hypot(rows - y, columns - x) * SPACING > 15
  assert (done.pixels[far] == background.stored[far]).all()
  assert (done.pixels[~far] >= background.stored[~far]).all()
  assert done.pixels.max() <= background.stored.max()


def test_pictures_that_will_not_do_are_refused(radiograph):
  noise = np.random.default_rng(0).integers(0, 255, (256, 256)).astype(np.uint8)
  with pytest.raises(ImplantError, match='noise.png: no pair of lungs'):
    prepare_background(noise, None, 'noise.png')
  side = np.ascontiguousarray(np.rot90(radiograph))
  with pytest.raises(
    ImplantError, match='side.png: it is not upright; turn it by 90 degrees clockwise'
  ):
    prepare_background(side, None, 'side.png')
  with pytest.raises(ImplantError, match='a.png: a pixel spacing of 12 mm'):
    prepare_background(radiograph, 12, 'a.png')
  with pytest.raises(ImplantError, match='a.png: pixels are float32'):
    prepare_background(radiograph.astype(np.float32), None, 'a.png')


def test_an_unknown_spacing_comes_from_the_lungs(radiograph):
  known = prepare_background(radiograph, 0.8, 'a.png')
  unknown = prepare_background(radiograph, None, 'a.png')
  assert unknown.spacing_assumed and not known.spacing_assumed
  x_min, _, x_max, _ = unknown.lung_box
  assert unknown.spacing_mm * (x_max - x_min) == pytest.approx(300)


def test_a_nodule_for_another_spacing_is_refused(background):
  with pytest.raises(ImplantError, match='pixel spacing'):
    implant(background, [simulated_opacity(sphere(15), 0.4)], np.random.default_rng(0))


def test_scans_are_split_by_name_alone(ct_folder):
  everything = CTNodules(ct_folder)
  (part,) = (p for p in ('train', 'tune') if _holds(ct_folder, p))
  assert CTNodules(ct_folder, part).names == everything.names == ('n0',)


def _holds(folder, part: str) -> bool:
  try:
    return len(CTNodules(folder, part)) > 0
  except ImplantError:
    return False


def test_real_lungs_on_their_side_are_refused(real_data):
  picture = cv2.imread(str(next((real_data / 'jsrt/images').glob('JPCNN*.png'))), 0)
  assert prepare_background(picture, 1.6, 'upright').lungs.any()
  with pytest.raises(ImplantError, match='is not upright'):
    prepare_background(np.ascontiguousarray(np.rot90(picture)), 1.6, 'turned')
