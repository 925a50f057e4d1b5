"""Curved tubes in space as clouds of points, whose mass is the same from every angle."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline


@dataclass
class Matter:
  """A body as points: x and y in mm, volume in mm3; all f64[N]. Bodies can be added."""

  x: np.ndarray
  y: np.ndarray
  volume: np.ndarray

  @staticmethod
  def together(parts: Sequence['Matter']) -> 'Matter':
    """All parts as one body, so that they are projected together."""
    return Matter(
      np.concatenate([part.x for part in parts]),
      np.concatenate([part.y for part in parts]),
      np.concatenate([part.volume for part in parts]),
    )


def tube(
  curve: np.ndarray,
  radii: tuple[float, float],
  *,
  spacing: float,
  shell: float,
  core: float,
  thin: np.ndarray | None = None,
  matter: np.ndarray | None = None,
) -> Matter:
  """A tube along a space curve, in units of its shell's matter.

  The tube's slices are ellipses, whose shadow on any line has a closed form; the matter of each
  slice is spread across the projected curve in that form.

  Args:
    curve: f64[N, 3] evenly spaced points, mm.
    radii: radii of the elliptical slice, the larger one and the one along `thin`, mm.
    spacing: between points across the tube, mm.
    shell: thickness of the dense shell, mm.
    core: the core's matter relative to the shell's.
    thin: f64[N, 3], unit vectors along the thin axis; None for the direction of the beam.
    matter: f64[N], factor on the matter along the tube.
  """
  tangent = np.gradient(curve, axis=0)
  step = np.linalg.norm(tangent, axis=1)
  tangent /= step[:, None]
  if thin is None:
    # A tube along the beam has no thin axis in the image; any direction will do.
    thin = np.where(np.abs(tangent[:, 2:]) < 0.9, [0.0, 0.0, 1.0], [0.0, 1.0, 0.0])
  wide = np.cross(tangent, thin)
  wide /= np.linalg.norm(wide, axis=1, keepdims=True)
  thin = np.cross(wide, tangent)
  flat = np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-3)
  aside = np.stack([-tangent[:, 1], tangent[:, 0]], 1) / flat[:, None]

  along_wide, along_thin = (wide[:, :2] * aside).sum(1), (thin[:, :2] * aside).sum(1)
  inner_radii = (radii[0] - shell, radii[1] - shell)
  outer = np.hypot(radii[0] * along_wide, radii[1] * along_thin)
  inner = np.hypot(inner_radii[0] * along_wide, inner_radii[1] * along_thin)
  samples = int(np.clip(np.ceil(2 * outer.max() / spacing), 5, 41))
  u = (np.arange(samples) + 0.5) / samples * 2 - 1
  # At u a, the shadow of an ellipse of area A and half width a is 2 A / (pi a) sqrt(1 - u^2).
  shadow = np.pi * radii[0] * radii[1] * np.sqrt(1 - u * u)[None, :]
  within = u[None, :] * (outer / inner)[:, None]
  hollow = np.pi * inner_radii[0] * inner_radii[1] * (outer / inner)[:, None]
  shadow = shadow - (1 - core) * hollow * np.sqrt(np.maximum(1 - within * within, 0))
  volume = shadow * (2 / np.pi * 2 / samples) * step[:, None]
  if matter is not None:
    volume = volume * matter[:, None]
  place = (outer[:, None] * u)[..., None] * aside[:, None, :] + curve[:, None, :2]
  return Matter(place[..., 0].ravel(), place[..., 1].ravel(), volume.ravel())


def resampled(points: np.ndarray, spacing: float) -> np.ndarray:
  """A polyline with evenly spaced points, f64[N, 3]."""
  length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
  at = np.linspace(0, length[-1], max(6, int(length[-1] / spacing)))
  return np.stack([np.interp(at, length, points[:, axis]) for axis in range(3)], 1)


def turned(points: np.ndarray, rotation: float) -> np.ndarray:
  """Points rotated about the body's axis by `rotation` radians, f64[N, 3]."""
  cosine, sine = np.cos(rotation), np.sin(rotation)
  x, y, z = points.T
  return np.stack([cosine * x + sine * z, y, cosine * z - sine * x], 1)


def spline(points: np.ndarray, spacing: float) -> np.ndarray:
  """Evenly spaced points on a smooth curve through a few given points, f64[N, 3]."""
  chords = np.linalg.norm(np.diff(points, axis=0), axis=1)
  at = np.concatenate([[0], np.cumsum(np.sqrt(np.maximum(chords, 1e-3)))])
  fine = CubicSpline(at, points)(np.linspace(0, at[-1], 400))
  return resampled(fine, spacing)
