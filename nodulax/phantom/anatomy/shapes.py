"""Bodies whose chord along the beam has a closed form. Lengths in mm, arrays f32[H, W]."""

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator

_TABLE_STEP_MM = 0.5


def half_chord(distance2: np.ndarray) -> np.ndarray:
  """Half the chord of a unit sphere at squared distance `distance2` from its centre; 0 outside."""
  return np.sqrt(np.maximum(1 - distance2, 0))


def ellipse(
  x: np.ndarray,
  y: np.ndarray,
  centre: tuple[float, float],
  radii: tuple[float, float],
  angle: float = 0.0,
) -> np.ndarray:
  """Squared distance from an ellipse's centre in units of its radii: 1 on the outline."""
  cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
  dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
  along = (cosine * dx + sine * dy) * np.float32(1 / radii[0])
  across = (cosine * dy - sine * dx) * np.float32(1 / radii[1])
  return along * along + across * across


def capsule(
  x: np.ndarray,
  y: np.ndarray,
  start: tuple[float, float],
  end: tuple[float, float],
  radii: tuple[float, float],
) -> np.ndarray:
  """Half chord of a round limb from start to end; its radius changes from radii[0] to radii[1]."""
  dx, dy = np.float32(end[0] - start[0]), np.float32(end[1] - start[1])
  from_x, from_y = x - np.float32(start[0]), y - np.float32(start[1])
  along = np.clip((from_x * dx + from_y * dy) / (dx * dx + dy * dy), 0, 1)
  from_x -= along * dx
  from_y -= along * dy
  radius = np.float32(radii[0]) + along * np.float32(radii[1] - radii[0])
  return np.sqrt(np.maximum(radius * radius - from_x * from_x - from_y * from_y, 0))


def by_height(y: np.ndarray, knots: Sequence[tuple[float, float]]) -> np.ndarray:
  """A length given at some heights, smooth and monotonic between them, constant beyond."""
  heights, lengths = zip(*knots, strict=True)
  at = np.arange(heights[0], heights[-1] + _TABLE_STEP_MM, _TABLE_STEP_MM)
  table = PchipInterpolator(heights, lengths)(np.minimum(at, heights[-1])).astype(np.float32)
  index = (y - np.float32(heights[0])) * np.float32(1 / _TABLE_STEP_MM)
  return table[np.clip(index, 0, len(table) - 1).astype(np.int32)]


def merged(*half_chords: np.ndarray) -> np.ndarray:
  """Half chord of bodies at about the same depth: the largest of them, rounded where two meet."""
  total = np.zeros_like(half_chords[0])
  for half in half_chords:
    cube = half * half
    total += cube * cube * cube
  return np.sqrt(np.cbrt(total))
