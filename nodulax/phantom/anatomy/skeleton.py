"""Ribs, clavicles, scapulae, upper arms and spine."""

import cv2
import numpy as np

from nodulax.phantom.anatomy.frame import Frame
from nodulax.phantom.anatomy.patient import Patient, Pose
from nodulax.phantom.anatomy.shapes import capsule, half_chord
from nodulax.phantom.anatomy.tubes import Matter, resampled, spline, tube, turned

# At full inspiration ten posterior ribs lie above the dome.
_RIBS_ABOVE_DOME = 9.7
_FIRST_RIB = 1.5


def build_skeleton(patient: Patient, pose: Pose, frame: Frame) -> np.ndarray:
  """Path length through all bones, f32[H, W], in mm of cortical bone."""
  rng = np.random.default_rng([patient.seed, 2])
  spacing = min(frame.spacing_mm)
  tubes = _rib_cage(patient, pose, spacing, rng)
  plates = _spine(patient, pose, frame, rng)
  for sign in (-1, 1):
    joint = np.array([patient.lung_width + 24, 26 - rng.normal(0, 6)])
    tubes += _shoulder(patient, pose, spacing, sign, joint)
    plates += _upper_arm(pose, frame, sign, joint)
    plates += _blade(patient, pose, frame, sign, joint)
  matter = Matter.together(tubes)
  bone = frame.project(matter.x, matter.y, matter.volume)
  # Points that are a pixel apart cause a slight ripple.
  bone = cv2.GaussianBlur(bone, (0, 0), 0.6) + plates
  return bone * np.float32(patient.bone_density)


def rib_curve(patient: Patient, number: int, sign: int) -> tuple[np.ndarray, float, float]:
  """A rib's centre line from the spine to its anterior end, f64[300, 3], and its arch's radii, mm.

  A rib leaves the spine horizontally or rising slightly, descends along the side of the chest and
  keeps descending in front, where its bone ends short of the sternum.
  """
  pitch = patient.lung_height / _RIBS_ABOVE_DOME
  head = pitch * (number - _FIRST_RIB)
  above = np.clip(1 - (head + 1.1 * pitch) / (0.95 * patient.lung_height), 0, 1)
  opening = np.sqrt(1 - above**2.7)
  across = patient.lung_width * opening + 3
  deep = patient.lung_depth * (0.30 + 0.70 * opening) + 3
  last = np.interp(number, [1, 3, 10, 11, 12], [2.7, 2.5, 2.35, 1.7, 1.2])
  fall = np.interp(number, [1, 2, 4, 7, 12], [26, 33, 41, 48, 50])
  angle = np.linspace(0.16, last, 300)
  rise = 6 * np.sin(2 * np.minimum(angle, np.pi / 2))
  points = np.stack(
    [
      sign * across * np.sin(angle) ** 0.65,
      head + fall * (1 - np.cos(angle)) - rise,
      -deep * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.85,
    ],
    1,
  )
  return points, across, deep


def _rib_cage(
  patient: Patient, pose: Pose, spacing: float, rng: np.random.Generator
) -> list[Matter]:
  ribs = []
  for number in range(1, 13):
    for sign in (-1, 1):
      points, across, deep = rib_curve(patient, number, sign)
      points[:, 1] += rng.normal(0, 1.3) + rng.normal(0, 1.5) * np.linspace(-1, 1, len(points))
      curve = resampled(turned(points, pose.rotation), 0.9 * spacing)
      outwards = np.stack([curve[:, 0] / across**2, 0 * curve[:, 1], curve[:, 2] / deep**2], 1)
      outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
      # In front a rib is thinner, and it ends in cartilage.
      matter = np.interp(
        np.linspace(0, 1, len(curve)), [0, 0.08, 0.5, 0.64, 0.92, 1], [0.8, 1, 1, 0.5, 0.3, 0.15]
      )
      ribs.append(
        tube(curve, (5.8, 3.5), spacing=spacing, shell=1.1, core=0.15, thin=outwards, matter=matter)
      )
  return ribs


def _scapula_edge(patient: Patient, pose: Pose) -> float:
  """Distance of the scapula's medial border from the axis, mm; raised arms turn it off the lung."""
  return patient.lung_width * (0.74 if pose.view == 'AP' else 0.98 + 0.1 * (pose.arms - 0.4))


def _shoulder(
  patient: Patient, pose: Pose, spacing: float, sign: int, joint: np.ndarray
) -> list[Matter]:
  """The clavicle and the borders of the scapula on one side."""
  width, lift = patient.lung_width, 26 - joint[1]
  medial = _scapula_edge(patient, pose)
  parts = (
    # Centre line (x outwards, y, z), radii, cortex, core.
    (
      [(14, 34, 68), (40, 23, 70), (75, 6 - lift / 2, 45), (0.8 * width, -8 - lift, 20),
       (width + 18, -4 - lift, 5)],
      (5.6, 5.0), 1.4, 0.15,
    ),
    (
      [(joint[0] - 14, joint[1] + 16, -25), (medial + 14, 92, -60), (medial + 3, 138, -75)],
      (4.5, 3.0), 1.3, 0.25,
    ),
    (
      [(medial + 3, 138, -75), (medial - 6, 90, -78), (medial, 34, -74), (medial + 12, 2, -62)],
      (2.6, 2.0), 1.0, 0.3,
    ),
    (
      [(medial + 2, 30, -82), (medial + 26, 8, -78), (joint[0], joint[1] - 29, -30)],
      (5.0, 2.4), 1.1, 0.2,
    ),
  )  # fmt: skip
  bones = []
  for points, radii, shell, core in parts:
    line = spline(np.array(points, float) * [sign, 1, 1], 0.9 * spacing)
    # The ends taper off, since they lead into joints that are not drawn.
    matter = np.interp(np.linspace(0, 1, len(line)), [0, 0.15, 0.8, 1], [0.3, 1, 1, 0.1])
    curve = turned(line, pose.rotation)
    bones.append(tube(curve, radii, spacing=spacing, shell=shell, core=core, matter=matter))
  return bones


def _upper_arm(pose: Pose, frame: Frame, sign: int, joint: np.ndarray) -> np.ndarray:
  """Head and shaft of the humerus: f32[H, W]."""
  x, y = frame.grid
  way = np.array([sign * np.sin(pose.arms), np.cos(pose.arms)])
  start = (sign * joint[0], joint[1])
  neck, end = ((start[0] + reach * way[0], start[1] + reach * way[1]) for reach in (50, 420))
  outer, inner = (
    np.maximum(
      capsule(x, y, start, neck, (23 - rim, 13 - cortex)),
      capsule(x, y, neck, end, (13 - cortex, 11 - cortex)),
    )
    for rim, cortex in ((0, 0), (0.8, 3.5))
  )
  return 2 * outer - 1.88 * inner


def _blade(patient: Patient, pose: Pose, frame: Frame, sign: int, joint: np.ndarray) -> np.ndarray:
  """The scapula's blade, a thin plate: f32[H, W]."""
  medial = _scapula_edge(patient, pose)
  corners = np.array(
    [(medial + 3, 138), (medial - 6, 90), (medial, 34), (medial + 12, 2), joint - [14, -16],
     (medial + 14, 92)], float,
  )  # fmt: skip
  column, row = frame.to_pixels(sign * corners[:, 0], corners[:, 1])
  # Fixed point: OpenCV takes units of 1/256 of a pixel.
  outline = np.rint(256 * (np.stack([column, row], 1) - 0.5)).astype(np.int32)
  plate = np.zeros(frame.shape, np.uint8)
  cv2.fillPoly(plate, [outline], 255, cv2.LINE_AA, 8)
  return plate.astype(np.float32) * np.float32(1.5 / 255)


def _spine(patient: Patient, pose: Pose, frame: Frame, rng: np.random.Generator) -> np.ndarray:
  """Vertebral bodies with end plates, pedicles, and spinous and transverse processes."""
  x, y = frame.grid
  pitch = patient.lung_height / _RIBS_ABOVE_DOME
  sway = rng.normal(0, 2.5) * np.sin(y / 95) - 0.6 * patient.lung_depth * np.sin(pose.rotation)
  x = x - sway.astype(np.float32)
  level = (y + _FIRST_RIB * pitch) / pitch
  within = level - np.floor(level)
  half_width = (13.5 + 0.45 * np.clip(level, -4, 14)).astype(np.float32)
  waist = half_width * (0.92 + 0.32 * (within - 0.5) ** 2)
  aside = np.abs(x)
  side = np.sqrt(np.maximum(1 - (x / waist) ** 2, 0))
  in_body = np.clip((0.41 - np.abs(within - 0.5)) * 30, 0, 1)
  spongy = 28 * 0.09 * side * in_body
  lamina = 2.6 * half_chord((x / (1.3 * half_width)) ** 2)
  wall = np.clip(1 - np.abs(aside - waist + 1.0) / 1.3, 0, 1) * 1.8 * in_body
  plate = np.clip(1 - np.abs(np.abs(within - 0.5) - 0.395) / 0.035, 0, 1) * 1.5 * (side > 0)
  pedicle = ((aside - 0.70 * half_width) / 3.8) ** 2 + ((within - 0.36) * pitch / 5.5) ** 2
  ring = np.clip(1 - np.abs(np.sqrt(pedicle) - 0.85) / 0.28, 0, 1) * 2.2
  spinous = 6 * half_chord((x / 2.8) ** 2 + ((within - 0.80) * pitch / 7.0) ** 2)
  transverse = 2.5 * half_chord(
    ((aside - 1.35 * half_width) / (0.7 * half_width)) ** 2 + ((within - 0.30) * pitch / 4.5) ** 2
  )
  return (spongy + lamina + wall + plate + ring + spinous + transverse).astype(np.float32)
