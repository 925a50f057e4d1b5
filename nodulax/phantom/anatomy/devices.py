"""Metal and plastic on and in the patient, and the markers beside them. We chose the sizes."""

import cv2
import numpy as np

from nodulax.phantom.anatomy.scene import Scene
from nodulax.phantom.anatomy.shapes import ellipse
from nodulax.phantom.anatomy.tubes import spline, tube


def _wire(scene: Scene, points: list[tuple[float, float]], radius: float, metal: float) -> None:
  """Adds a round wire through points (body x, y in mm); `metal` is its share of solid metal."""
  spacing = min(scene.frame.spacing_mm)
  line = spline(np.array([(x, y, 0.0) for x, y in points]), 0.8 * spacing)
  wire = tube(line, (radius, radius), spacing=spacing, shell=0.5 * radius, core=1.0)
  scene.body.metal += np.float32(metal) * scene.frame.project(wire.x, wire.y, wire.volume)


def add_lead_wires(scene: Scene, rng: np.random.Generator) -> None:
  """A monitor's electrodes with their wires."""
  width, dome = scene.patient.lung_width, scene.dome_mm
  x, y = scene.frame.grid
  for aside, down in ((-0.75, 0.1), (0.75, 0.1), (0.8, 0.95), (-0.8, 0.95))[: rng.integers(2, 5)]:
    spot = (aside * width + rng.normal(0, 15), down * dome + rng.normal(0, 15))
    button = ellipse(x, y, spot, (4.5, 4.5))
    scene.body.metal += 0.5 * ((button < 1) & (button > 0.45)) + 1.2 * (button < 0.12)
    way = (spot[0] + rng.normal(0, 50), spot[1] + rng.uniform(20, 60))
    off = (rng.choice([-1, 1]) * 260, way[1] + rng.normal(20, 60))
    _wire(scene, [spot, way, ((way[0] + off[0]) / 2, off[1] + rng.normal(0, 40)), off], 0.7, 0.5)


def add_pacemaker(scene: Scene, rng: np.random.Generator) -> None:
  """A generator under the left clavicle with one or two leads to the heart."""
  width, dome = scene.patient.lung_width, scene.dome_mm
  x, y = scene.frame.grid
  box = (0.62 * width + rng.normal(0, 6), 0.22 * dome + rng.normal(0, 8))
  rounded = ((x - box[0]) / 24) ** 4 + ((y - box[1]) / 21) ** 4
  scene.body.metal += np.where(rounded < 1, 2.2, 0) + np.where(rounded < 0.35, 1.5, 0)
  for end in ((0.42 * width, dome - 12), (-0.10 * width, 0.78 * dome))[: rng.integers(1, 3)]:
    _wire(
      scene,
      [(box[0] - 18, box[1] - 16), (0.3 * width, 0.08 * dome), (-0.05 * width, 0.2 * dome),
       (-0.14 * width, 0.45 * dome), (-0.10 * width, 0.8 * dome), end],
      0.9, 0.8,
    )  # fmt: skip


def add_sternal_wires(scene: Scene, rng: np.random.Generator) -> None:
  """Loops that hold a sternum opened for heart surgery."""
  turn = 0.8 * scene.patient.lung_depth * np.sin(scene.pose.rotation)
  for down in np.linspace(0.22, 0.85, int(rng.integers(5, 8))):
    middle = (turn + rng.normal(0, 1.5), down * scene.dome_mm + rng.normal(0, 2))
    angle = np.linspace(0, 2 * np.pi, 9) + rng.uniform(0, 6)
    loop = [(middle[0] + 9 * np.cos(a), middle[1] + rng.uniform(3, 5) * np.sin(a)) for a in angle]
    _wire(scene, loop, 0.45, 1.0)


def add_central_line(scene: Scene, rng: np.random.Generator) -> None:
  """A catheter from the right side of the neck or the clavicle to the superior vena cava."""
  width, dome = scene.patient.lung_width, scene.dome_mm
  start = ((-0.35 * width, -70.0), (-0.9 * width, 0.1 * dome))[int(rng.integers(2))]
  _wire(
    scene,
    [start, (-0.35 * width, 0.02 * dome), (-0.17 * width, 0.22 * dome),
     (-0.15 * width, rng.uniform(0.45, 0.6) * dome)],
    1.1, 0.25,
  )  # fmt: skip


def add_marker(scene: Scene, rng: np.random.Generator) -> None:
  """A lead letter in an upper corner that marks the side; often not upright."""
  frame = scene.frame
  height, width = frame.shape
  left = rng.random() < 0.75
  # Drawn at a fixed size and then warped, so that it turns, flips and scales as a real marker does.
  letter = np.zeros((64, 64), np.uint8)
  cv2.putText(letter, 'L' if left else 'R', (14, 54), cv2.FONT_HERSHEY_SIMPLEX, 2.0, 255, 7)
  if rng.random() < 0.4:
    letter = letter[:, ::-1].copy()
  size_mm = rng.uniform(13, 24)
  scale = size_mm / 64 / frame.spacing_mm[0]
  column = width * (rng.uniform(0.86, 0.95) if left else rng.uniform(0.05, 0.14))
  row = height * rng.uniform(0.04, 0.14)
  turn = cv2.getRotationMatrix2D((32, 32), rng.normal(0, 20), scale)
  turn[0, 2] += column - 32
  turn[1, 2] += row - 32
  lead = cv2.warpAffine(letter, turn, (width, height), flags=cv2.INTER_AREA)
  scene.body.metal += lead.astype(np.float32) * np.float32(rng.uniform(4, 10) / 255)
