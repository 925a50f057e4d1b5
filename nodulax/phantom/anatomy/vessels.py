"""Pulmonary vessels: trees that branch out from both hila until they are too fine to see."""

import numpy as np

from nodulax.phantom.anatomy.frame import Frame
from nodulax.phantom.anatomy.patient import Patient, Pose
from nodulax.phantom.anatomy.tubes import Matter

# Murray's law: the cubes of the daughters' radii add up to the cube of the parent's (Murray 1926).
_MURRAY = 3.0


def grow_trees(
  rng: np.random.Generator,
  start: np.ndarray,
  direction: np.ndarray,
  radius: np.ndarray,
  smallest: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Grows branches until their radii fall below `smallest`; all lengths are in mm.

  Args:
    start, direction: f64[T, 3] of the T stems; direction of any length.
    radius: f64[T].

  Returns:
    Starts f64[N, 3], ends f64[N, 3] and radii f64[N] of the segments.
  """
  starts, ends, radii = [], [], []
  left_hilum, right_hilum = start[start[:, 0] > 0].mean(0), start[start[:, 0] <= 0].mean(0)
  point, size = start, radius
  heading = direction / np.linalg.norm(direction, axis=1, keepdims=True)
  while len(size):
    length = (5 + 5.0 * size) * rng.uniform(0.7, 1.3, len(size))
    bend = heading + rng.normal(0, 0.10, heading.shape)
    bend /= np.linalg.norm(bend, axis=1, keepdims=True)
    end = point + bend * length[:, None]
    starts.append(point)
    ends.append(end)
    radii.append(size)
    # A branch leaves at a wide angle, and the stem continues nearly straight.
    share = rng.uniform(0.1, 0.5, len(size))
    axis = rng.normal(size=heading.shape) * [1, 1, 0.6]
    axis -= (axis * bend).sum(1, keepdims=True) * bend
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    turn = rng.uniform(0.5, 1.05, len(size))[:, None]
    stem = bend - axis * np.tan(turn * share[:, None] * 0.8)
    branch = bend * np.cos(turn) + axis * np.sin(turn)
    onwards = 0.002 * (end - np.where(end[:, :1] > 0, left_hilum, right_hilum))
    heading = np.concatenate([stem + onwards, branch + onwards])
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    point = np.concatenate([end, end])
    # Each generation loses slightly more than Murray's law says, to branches too fine to draw.
    size = 0.955 * np.concatenate(
      [size * (1 - share) ** (1 / _MURRAY), size * share ** (1 / _MURRAY)]
    )
    alive = size > smallest
    point, heading, size = point[alive], heading[alive], size[alive]
  return np.concatenate(starts), np.concatenate(ends), np.concatenate(radii)


def build_vessels(patient: Patient, pose: Pose, frame: Frame) -> np.ndarray:
  """Path length of blood through the trees of both lungs: f32[H, W], mm.

  The trees start with the interlobar arteries (diameter 9 to 16 mm; Fraser and Pare) and veins.
  """
  rng = np.random.default_rng([patient.seed, 3])
  # Radius at the hilum and the direction of each stem: x (outwards), y (down), z (to the front).
  stems = np.array(
    [
      (6.0, 0.45, 1.0, -0.30), (3.2, 0.75, 0.75, 0.35), (3.8, 0.85, 0.25, -0.35),
      (4.0, 0.60, -0.85, -0.20), (3.6, 0.50, -0.75, 0.40), (3.2, 0.95, -0.25, 0.25),
      (3.9, 0.90, 0.50, -0.10), (3.2, 0.25, 1.0, -0.55),
    ]
  )  # fmt: skip
  sign = np.repeat([-1.0, 1.0], len(stems))
  stems = np.concatenate([stems, stems])
  start = np.stack(
    [
      0.24 * patient.lung_width * sign,
      # The left hilum is higher.
      0.50 * patient.lung_height * pose.inspiration - 1 - 5 * sign + rng.normal(0, 5, len(sign)),
      np.full(len(sign), -5.0),
    ],
    1,
  )
  direction = stems[:, 1:] * np.stack([sign, 1 + 0 * sign, 1 + 0 * sign], 1)
  radius = stems[:, 0] * rng.normal(1, 0.1, len(sign))
  spacing = min(frame.spacing_mm)
  segments = grow_trees(
    rng, start, direction + rng.normal(0, 0.10, direction.shape), radius, 0.55 * spacing**0.5
  )
  for ends in segments[:2]:
    ends[:, 0] += np.sin(pose.rotation) * ends[:, 2]
  matter = _cylinders(*segments, spacing)
  return frame.project(matter.x, matter.y, matter.volume)


def _cylinders(start: np.ndarray, end: np.ndarray, radius: np.ndarray, spacing: float) -> Matter:
  """Straight round segments as points that are about `spacing` apart."""
  way = end - start
  length = np.linalg.norm(way, axis=1)
  flat = np.hypot(way[:, 0], way[:, 1])
  along = np.ceil(flat / (1.2 * spacing)).astype(int)
  along = np.maximum(along, 1)
  across = np.ceil(2 * radius / spacing).astype(int)
  count = along * across
  segment = np.repeat(np.arange(len(start)), count)
  point = np.arange(len(segment)) - np.repeat(np.cumsum(count) - count, count)
  t = (point // across[segment] + 0.5) / along[segment]
  u = (point % across[segment] + 0.5) / across[segment] * 2 - 1
  aside = np.stack([-way[:, 1], way[:, 0]], 1) / np.maximum(flat, 1e-6)[:, None]
  place = start[segment, :2] + t[:, None] * way[segment, :2]
  place += (u * radius[segment])[:, None] * aside[segment]
  # A round slice's shadow at u is 2 / pi of its area times sqrt(1 - u^2).
  slice_volume = (4 / np.pi) * (np.pi * radius**2 * length / count)
  return Matter(place[:, 0], place[:, 1], slice_volume[segment] * np.sqrt(1 - u * u))
