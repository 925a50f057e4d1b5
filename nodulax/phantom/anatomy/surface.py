"""Breasts, nipples and skin folds. We chose the sizes."""

import numpy as np

from nodulax.phantom.anatomy.scene import Scene
from nodulax.phantom.anatomy.shapes import ellipse, half_chord

_GLAND_SHARE = 0.35


def _nipples(scene: Scene) -> tuple[tuple[float, float], ...]:
  """Body x, y of both nipples, mm."""
  patient = scene.patient
  rng = np.random.default_rng([patient.seed, 4])
  aside = patient.lung_width * rng.uniform(0.58, 0.72)
  down = scene.dome_mm * rng.uniform(0.84, 1.02) + (8 if patient.breast else -12)
  return ((-aside, down + rng.normal(0, 5)), (aside, down + rng.normal(0, 5)))


def add_breasts(scene: Scene) -> None:
  """Both breasts of a woman: sharp at the lower edge, fading out upwards."""
  radius = scene.patient.breast
  if not radius:
    return
  x, y = scene.frame.grid
  rng = np.random.default_rng([scene.patient.seed, 5])
  thickness = rng.uniform(0.45, 0.8) * radius
  for aside, down in _nipples(scene):
    fold = down + 0.5 * radius
    centre = fold - 0.85 * radius
    tall = np.where(y > centre, 0.85 * radius, 1.7 * radius)
    outline = ((x - 0.92 * aside) / (1.05 * radius)) ** 2 + ((y - centre) / tall) ** 2
    above = np.clip((fold - y) / (1.7 * radius), 0, 1)
    chord = thickness * half_chord(outline) * (1 - above) ** 2
    scene.body.soft += _GLAND_SHARE * chord
    scene.body.fat += (1 - _GLAND_SHARE) * chord


def add_nipple_shadows(scene: Scene, rng: np.random.Generator) -> None:
  """Nipples, which are surrounded by air and cast a round shadow over the lower lungs."""
  x, y = scene.frame.grid
  radius = rng.uniform(4.0, 6.5)
  height = rng.uniform(5, 10)
  for aside, down in _nipples(scene):
    bump = half_chord(ellipse(x, y, (aside, down), (radius, radius * rng.uniform(0.8, 1.1))))
    scene.body.soft += np.float32(height * rng.uniform(0.6, 1.0)) * bump


def add_skin_fold(scene: Scene, rng: np.random.Generator) -> None:
  """A fold pressed against a bedside detector: an edge that fades out to one side."""
  x, y = scene.frame.grid
  side = rng.choice([-1, 1])
  angle = rng.normal(0, 0.3)
  middle = side * scene.patient.lung_width * rng.uniform(0.55, 0.9)
  distance = side * (x - middle) + np.tan(angle) * (y - 0.6 * scene.dome_mm)
  distance += 6 * np.sin(y / 60)
  along = np.clip(1 - np.abs(y - 0.6 * scene.dome_mm) / 140, 0, 1)
  covered = scene.body.soft > 5
  fold = np.float32(rng.uniform(4, 9)) * np.exp(-np.maximum(distance, 0) / 14) * (distance > 0)
  scene.body.soft += fold * along * covered
