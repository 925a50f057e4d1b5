"""The trunk with the lungs: skin, fat, muscle, rib cage, diaphragm and the gas under it."""

import numpy as np

from nodulax.phantom.anatomy.body import Body, scaled
from nodulax.phantom.anatomy.frame import Frame, smooth_noise
from nodulax.phantom.anatomy.mediastinum import build_mediastinum
from nodulax.phantom.anatomy.patient import Patient, Pose
from nodulax.phantom.anatomy.shapes import by_height, capsule, ellipse, half_chord

# Skin lines and outlines of soft organs need no finer grids than these, and are scaled up.
_TRUNK_SPACING_MM = 2.0
_ORGAN_SPACING_MM = 1.0


def build_thorax(patient: Patient, pose: Pose, frame: Frame) -> Body:
  """A patient without bones and lung vessels, in a pose."""
  coarse = _build(patient, pose, frame.coarser(_ORGAN_SPACING_MM))
  return coarse.scaled(frame.shape)


def _build(patient: Patient, pose: Pose, frame: Frame) -> Body:
  rng = np.random.default_rng([patient.seed, 1])
  x, y = frame.grid
  bottom = patient.lung_height * pose.inspiration
  # The right dome is higher, usually by 15 to 20 mm; we chose the spread.
  left_bottom = bottom + rng.normal(13, 6)
  skin, under_fat = _trunk(patient, pose, frame)
  cavity = _cavity(patient, x, y)
  middle = build_mediastinum(patient, pose, x, y, bottom, left_bottom)
  dome = _diaphragm(patient, rng, x, y, bottom, left_bottom, cavity)

  # Heart and dome overlap in depth, so the larger one counts; what lies along the spine is behind
  # both.
  chest = 2 * cavity
  taken = np.maximum(dome, np.minimum(2 * middle.front, chest))
  lung = np.maximum(chest - taken - 2 * middle.back, 0)

  gas = 2 * middle.air + _stomach(rng, x, y, left_bottom, patient.lung_width)
  # Vessels that are too fine to draw; an upright lung has more blood towards its bases.
  mottle = 0.012 * smooth_noise(rng, frame.shape, 14, octaves=5, gain=0.75)
  blood = np.clip(mottle + 0.03 * np.clip(y / bottom - 0.4, -0.4, 0.6), -0.05, 0.08) * lung
  return Body(
    lung=lung - np.maximum(blood, 0),
    soft=np.maximum(under_fat - lung - gas, 0) + blood,
    fat=skin - under_fat,
    bone=np.zeros_like(x),
    metal=np.zeros_like(x),
    heart=middle.heart,
    dome=dome,
    height=y / np.float32(bottom),
    aside=x,
    chest=chest,
  )


def _trunk(patient: Patient, pose: Pose, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
  """Chords of the whole body and of what is under its fat, f32[H, W] in mm."""
  coarse = frame.coarser(_TRUNK_SPACING_MM)
  x, y = coarse.grid
  outer = _trunk_under(patient, pose, x, y, patient.fat)
  inner = np.minimum(_trunk_under(patient, pose, x, y, 0.0), outer)
  return scaled(outer, frame.shape), scaled(inner, frame.shape)


def _trunk_under(
  patient: Patient, pose: Pose, x: np.ndarray, y: np.ndarray, fat: float
) -> np.ndarray:
  """Chord of the trunk, neck, shoulders and arms, with `fat` mm around the muscle."""
  width, depth, muscle = patient.lung_width, patient.lung_depth, patient.muscle
  half_width = by_height(
    y,
    [
      (-130, 54 + fat / 3),
      (-70, 57 + fat / 3),
      (-42, 72 + fat / 2),
      (-20, 0.85 * width + fat),
      (40, width + 16 + fat),
      (110, width + muscle + fat),
      (230, width + muscle + fat),
      (330, 0.98 * width + muscle + 1.4 * fat),
      (450, 0.98 * width + muscle + 1.4 * fat),
    ],
  )
  half_depth = by_height(
    y,
    [
      (-130, 58 + fat / 3), (-50, 58 + fat / 3), (0, 0.74 * depth + fat / 2),
      (60, 0.88 * depth + 0.8 * muscle + fat), (160, depth + muscle + fat),
      (450, depth + muscle + 1.3 * fat),
    ],
  )  # fmt: skip
  u = np.minimum(np.abs(x) / half_width, 1)
  total = (2 * half_depth * np.sqrt(1 - u * u * np.sqrt(u))) ** 3
  for sign in (-1, 1):
    shoulder = (sign * (width + 24), 24.0)
    elbow = (sign * (width + 24 + 450 * np.sin(pose.arms)), 24 + 450 * np.cos(pose.arms))
    neck = (sign * 62.0, -22.0)
    total += (2 * capsule(x, y, neck, shoulder, (34 + fat / 2, 46 + fat / 2))) ** 3
    total += (2 * capsule(x, y, shoulder, elbow, (47 + fat / 2, 33 + fat / 2))) ** 3
  return np.cbrt(total)


def _cavity(patient: Patient, x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Half chord of the inside of the rib cage, with rounded apices."""
  medial = np.clip(1 - np.abs(x) * np.float32(1 / (0.34 * patient.lung_width)), 0, 1)
  rolled = y - 30 * medial * medial
  above = np.clip(1 - rolled * np.float32(1 / (0.95 * patient.lung_height)), 0, 1)
  opening = np.sqrt(1 - above**2.7)
  waist = 1 - 0.04 * np.clip(y / patient.lung_height - 0.9, 0, 0.6)
  u = np.abs(x) / np.maximum(patient.lung_width * opening * waist, 1)
  deep = patient.lung_depth * (0.30 + 0.70 * opening) * np.sqrt(np.clip(rolled / 14, 0, 1))
  return deep * np.sqrt(np.maximum(1 - u * u * np.sqrt(u), 0))


def _diaphragm(
  patient: Patient,
  rng: np.random.Generator,
  x: np.ndarray,
  y: np.ndarray,
  bottom: float,
  left_bottom: float,
  cavity: np.ndarray,
) -> np.ndarray:
  """Chord of the abdomen within the rib cage, f32[H, W]; a slit of lung extends down behind it."""
  width, depth = patient.lung_width, patient.lung_depth
  surface = np.empty_like(x)
  for part, top in ((x < 0, bottom), (x >= 0, left_bottom)):
    centre = width * rng.uniform(0.36, 0.56)
    reach = np.abs(x[part]) - np.float32(centre)
    outer = np.maximum(reach, 0) / np.float32(width - centre)
    inner = np.maximum(-reach, 0) / np.float32(centre)
    surface[part] = (
      top + rng.uniform(42, 62) * outer ** rng.uniform(1.6, 2.3) + rng.uniform(2, 14) * inner**2
    )
  sulcus = 64 + 26 * np.maximum(1 - ((np.abs(x) - 0.6 * width) / (0.6 * width)) ** 2, -0.5)
  under = np.maximum(y - surface, 0) / sulcus
  half = 1.28 * depth * under**0.33
  centre_z = 0.28 * depth
  front = np.minimum(centre_z + half, cavity)
  back = np.maximum(centre_z - half, -cavity)
  return np.maximum(front - back, 0) * (under > 0)


def _stomach(
  rng: np.random.Generator, x: np.ndarray, y: np.ndarray, dome: float, width: float
) -> np.ndarray:
  """Chord of the gas under the left dome, above a horizontal fluid level, and in the bowel."""
  gas = np.zeros_like(x)
  if rng.random() < 0.75:
    radius = rng.uniform(18, 42)
    top = dome + rng.uniform(6, 12)
    centre = (width * rng.uniform(0.32, 0.52), top + 0.6 * radius)
    bubble = half_chord(ellipse(x, y, centre, (1.3 * radius, 0.6 * radius), rng.normal(0, 0.25)))
    level = top + radius * rng.uniform(0.5, 1.3)
    gas += np.float32(1.3 * radius) * bubble * np.clip((level - y) / 2 + 0.5, 0, 1)
  for _ in range(rng.poisson(1.2)):
    # A stretch of bowel: a chain of pouches.
    middle = np.array([rng.uniform(-0.7, 0.85) * width, dome + rng.uniform(30, 110)])
    way = rng.normal(0, 1, 2) * [14, 7]
    for step in range(int(rng.integers(2, 6))):
      pouch = middle + step * way + rng.normal(0, 3, 2)
      radii = (rng.uniform(7, 15), rng.uniform(6, 12))
      outline = ellipse(x, y, (pouch[0], pouch[1]), radii, rng.uniform(0, np.pi))
      gas += np.float32(rng.uniform(2, 9)) * half_chord(outline)
  return gas
