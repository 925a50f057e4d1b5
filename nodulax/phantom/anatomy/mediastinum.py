"""Heart, great vessels, trachea and whatever else lies between the lungs."""

from dataclasses import dataclass

import numpy as np

from nodulax.phantom.anatomy.patient import Patient, Pose
from nodulax.phantom.anatomy.shapes import by_height, capsule, ellipse, half_chord, merged

# On AP views the heart is farther from the detector and the tube is closer, which magnifies the
# heart; we chose by how much.
_AP_MAGNIFICATION = 1.13


@dataclass(frozen=True)
class Mediastinum:
  """Half chords in mm, f32[H, W].

  Attributes:
    heart: only the heart. front: the heart and all that lies at its depth. back: what lies
      behind, along the spine. air: trachea and main bronchi.
  """

  heart: np.ndarray
  front: np.ndarray
  back: np.ndarray
  air: np.ndarray


def build_mediastinum(
  patient: Patient, pose: Pose, x: np.ndarray, y: np.ndarray, bottom: float, left_bottom: float
) -> Mediastinum:
  """The mediastinum over lungs that end at `bottom` (right dome) and `left_bottom`, mm."""
  rng = np.random.default_rng([patient.seed, 11])
  turn = np.sin(pose.rotation)
  front = 0.35 * patient.lung_depth * turn
  aorta = patient.aorta
  wide = patient.heart_ratio * 2 * patient.lung_width
  wide *= _AP_MAGNIFICATION if pose.view == 'AP' else 1.0
  heart = _heart(rng, x, y, front, wide, bottom, left_bottom)

  knob_y = bottom * rng.uniform(0.27, 0.33)
  knob_x = 14 + 0.55 * aorta + 0.3 * front
  trunk = 34 * half_chord(
    ellipse(x, y, (front + rng.uniform(14, 20), 0.50 * bottom), (19, 34), -0.3)
  )
  ascending = capsule(
    x, y, (front - 2, knob_y), (front - 10, bottom - 0.62 * wide), (0.9 * aorta, 1.25 * aorta)
  )
  # Superior vena cava on the right, subclavian vessels on the left, more fat in heavy patients.
  stout = 0.2 * patient.fat
  side = np.where(
    x < 0,
    by_height(y, [(-90, 26), (-20, 31), (10, 24 + stout), (55, 21 + stout), (120, 22), (400, 22)]),
    by_height(y, [(-90, 26), (-20, 31), (10, 23 + stout), (55, 20 + stout), (120, 20), (400, 20)]),
  )
  edge = (x - 0.3 * front) / (1.1 * side)
  core = 0.66 * patient.lung_depth * np.maximum(1 - edge**4, 0)
  hila = []
  for sign, down in ((-1, 0.52), (1, 0.48)):
    middle = (0.27 * sign * patient.lung_width + front, down * bottom)
    outline = ellipse(x, y, middle, (13, 24), -0.35 * sign)
    hila.append(12 * np.maximum(1 - outline, 0))
  front_half = merged(heart, trunk, ascending, core, *hila)

  knob = 1.5 * aorta * half_chord(ellipse(x, y, (knob_x, knob_y), (aorta, 1.05 * aorta)))
  descending_x = knob_x - 0.06 * (y - knob_y) - 0.6 * patient.lung_depth * turn
  descending_x = np.maximum(descending_x, 6)
  descending = 0.85 * aorta * half_chord(((x - descending_x) / (0.85 * aorta)) ** 2)
  vertebrae = 18 * half_chord(((x + 0.6 * patient.lung_depth * turn) / 21) ** 2)
  back_half = merged(knob, descending * (y > knob_y), vertebrae)

  carina = (0.3 * front + rng.normal(2, 1.5), 0.31 * bottom)
  radius = patient.trachea
  air = 0.85 * merged(
    capsule(x, y, (0.2 * front, -120.0), carina, (radius, radius)),
    capsule(x, y, carina, (front - 22, 0.43 * bottom), (0.7 * radius, 0.45 * radius)),
    capsule(x, y, carina, (front + 32, 0.46 * bottom), (0.62 * radius, 0.4 * radius)),
  )
  return Mediastinum(heart, front_half, back_half, air)


def _heart(
  rng: np.random.Generator,
  x: np.ndarray,
  y: np.ndarray,
  front: float,
  wide: float,
  bottom: float,
  left_bottom: float,
) -> np.ndarray:
  """Half the chord of a heart `wide` mm across, whose middle lies `front` mm from the axis."""
  right = wide * rng.uniform(0.28, 0.36)
  # Left border: nearly straight from the pulmonary trunk to the apex, which rests on the dome.
  apex_radius = rng.uniform(0.24, 0.31) * wide
  apex = (front + (wide - right) - apex_radius, left_bottom - rng.uniform(0.02, 0.16) * wide)
  base = (front + rng.uniform(-2, 8), bottom - rng.uniform(0.62, 0.75) * wide)
  ventricles = capsule(x, y, base, apex, (0.26 * wide, apex_radius))
  atrium_radius = rng.uniform(0.26, 0.32) * wide
  middle = (front - right + atrium_radius, bottom - 0.30 * wide)
  outline = ellipse(x, y, middle, (atrium_radius, 0.44 * wide))
  return merged(ventricles * 1.6, 1.4 * atrium_radius * half_chord(outline))
