"""Points, tubes and limbs land where they should and keep their volume."""

import math

import numpy as np
import pytest

from nodulax.phantom.anatomy.frame import Frame
from nodulax.phantom.anatomy.shapes import by_height, capsule
from nodulax.phantom.anatomy.tubes import spline, tube, turned


def frame(irregular: float = 0.0, tilt: float = 0.0) -> Frame:
  bumps = np.random.default_rng(0).normal(0, irregular, (2, 7, 7)).astype(np.float32)
  return Frame((200, 160), (1.0, 1.25), (-100.0, -50.0), tilt, bumps)


def test_pixels_and_body_points_are_each_others_inverse():
  view = frame(irregular=1.5, tilt=0.05)
  x, y = view.grid
  rows, columns = np.mgrid[20:180:13, 20:140:11]
  column, row = view.to_pixels(x[rows, columns].ravel(), y[rows, columns].ravel())
  np.testing.assert_allclose(column, columns.ravel() + 0.5, atol=0.5)
  np.testing.assert_allclose(row, rows.ravel() + 0.5, atol=0.5)


def test_projection_keeps_volume():
  rng = np.random.default_rng(3)
  volume = rng.random(500)
  path = frame().project(rng.uniform(-95, 55, 500), rng.uniform(-45, 190, 500), volume)
  assert path.sum() * 1.0 * 1.25 == pytest.approx(volume.sum(), rel=1e-5)


def test_projection_shares_a_point_between_pixels():
  # Column 10.75 and row 20.5: in pixel 10 by 3/4 and in pixel 11 by 1/4.
  path = frame().project(np.array([-89.25]), np.array([-24.375]), np.array([1.25]))
  assert path[20, 10] == pytest.approx(0.75)
  assert path[20, 11] == pytest.approx(0.25)
  assert path.sum() == pytest.approx(1)


def test_a_straight_hollow_tube():
  fine = Frame((120, 400), (0.25, 0.25), (-50.0, -15.0), 0.0, np.zeros((2, 7, 7), np.float32))
  curve = np.stack([np.linspace(-40, 40, 640), np.zeros(640), np.zeros(640)], 1)
  bone = tube(curve, (6.0, 4.0), spacing=0.25, shell=1.0, core=0.2)
  path = fine.project(bone.x, bone.y, bone.volume)
  # Through its middle the beam meets two walls of 1 mm and a core of 6 mm at a fifth.
  assert path[60, 150:250].mean() == pytest.approx(2 * 1.0 + 0.2 * 6.0, rel=0.05)
  area = math.pi * (6 * 4 - 0.8 * 5 * 3)
  assert bone.volume.sum() == pytest.approx(area * 80, rel=0.02)
  # 12 mm across, whatever its thickness along the beam.
  assert (path[:, 200] > 0.3).sum() * 0.25 == pytest.approx(12, abs=0.8)


def test_a_tube_along_the_beam_is_dense_and_small():
  curve = np.stack([np.linspace(0, 1, 200), np.zeros(200), np.linspace(0, 50, 200)], 1)
  end_on = tube(curve, (4.0, 4.0), spacing=0.5, shell=1.0, core=1.0)
  assert end_on.volume.sum() == pytest.approx(math.pi * 16 * math.hypot(50, 1), rel=0.02)
  assert np.ptp(end_on.x) < 2 and np.ptp(end_on.y) < 9


def test_capsule_is_a_sphere_where_it_has_no_length():
  x = np.array([[0.0, 3.0, 6.0]], np.float32)
  half = capsule(x, np.zeros_like(x), (0, 0), (1e-3, 0), (5, 5))
  np.testing.assert_allclose(half, [[5, 4, 0]], atol=1e-2)


def test_heights_are_met_and_held_beyond():
  y = np.array([[-50.0, 0.0, 10.0, 99.0]], np.float32)
  np.testing.assert_allclose(by_height(y, [(0, 2), (10, 7), (20, 8)]), [[2, 2, 7, 8]], atol=1e-5)


def test_splines_pass_through_their_points_evenly():
  given = np.array([[0, 0, 0], [30, 10, 0], [60, 0, 20]], float)
  line = spline(given, 0.5)
  steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
  assert np.ptp(steps) < 0.05 and steps.mean() == pytest.approx(0.5, rel=0.05)
  nearest = np.linalg.norm(line[:, None] - given[None], axis=2).min(0)
  assert nearest.max() < 0.3


def test_turning_brings_the_front_to_the_left():
  np.testing.assert_allclose(
    turned(np.array([[0.0, 5.0, 100.0]]), math.radians(30)), [[50, 5, 100 * math.cos(math.pi / 6)]]
  )
