"""Diseases other than nodules, drawn simply, which a nodule cohort has to exclude.

Named as ChestX-ray14 names them.
"""

import cv2
import numpy as np

from nodulax.phantom.anatomy.frame import smooth_noise
from nodulax.phantom.anatomy.scene import Scene
from nodulax.phantom.anatomy.shapes import capsule, ellipse, half_chord


def add_infiltration(scene: Scene, rng: np.random.Generator) -> None:
  """A cloud of fluid in the air spaces of one or two patches."""
  body = scene.body
  x, y = scene.frame.grid
  cloud = np.clip(0.7 + 0.6 * smooth_noise(rng, scene.frame.shape, 12, octaves=4), 0, None)
  for _ in range(int(rng.integers(1, 3))):
    centre = scene.pick((body.lung > 40) & (body.height > 0.3), rng)
    if centre is None:
      return
    radii = (rng.uniform(22, 45), rng.uniform(22, 45))
    patch = half_chord(ellipse(x, y, centre, radii, rng.uniform(0, np.pi))) ** 2
    body.replace_lung(np.float32(rng.uniform(10, 28)) * patch * cloud)


def add_effusion(scene: Scene, rng: np.random.Generator) -> None:
  """Fluid in the pleural space, higher along the side wall (the meniscus)."""
  x, y = scene.frame.grid
  side = rng.choice([-1, 1])
  out = np.clip(side * x / scene.patient.lung_width, 0, 1.1)
  level = scene.dome_mm + rng.uniform(-45, 8) - 40 * out**3
  wet = np.clip((y - level) / 9, 0, 1) * (side * x > 0)
  scene.body.replace_lung(wet * scene.body.lung)


def add_atelectasis(scene: Scene, rng: np.random.Generator) -> None:
  """Nearly horizontal plates of collapsed lung in the lower zones."""
  body = scene.body
  x, y = scene.frame.grid
  for _ in range(int(rng.integers(1, 4))):
    centre = scene.pick((body.lung > 30) & (body.height > 0.55) & (body.dome <= 0), rng)
    if centre is None:
      return
    length, angle = rng.uniform(25, 60), rng.normal(0, 0.3)
    end = (centre[0] + length * np.cos(angle), centre[1] + length * np.sin(angle))
    radius = rng.uniform(1.5, 3.0)
    plate = capsule(x, y, centre, end, (radius, 0.6 * radius)) / np.float32(radius)
    body.replace_lung(np.float32(rng.uniform(8, 20)) * plate)


def add_pleural_thickening(scene: Scene, rng: np.random.Generator) -> None:
  """A rind along the inside of the rib cage, over the apex or the side of one lung."""
  body = scene.body
  side = rng.choice([-1, 1])
  top, bottom = ((-0.1, 0.25), (0.35, 1.0))[int(rng.integers(2))]
  here = (side * body.aside > 0) & (body.height > top) & (body.height < bottom)
  depth = cv2.distanceTransform((body.chest > 0).astype(np.uint8), cv2.DIST_L2, 5)
  thickness = rng.uniform(8, 16) / scene.frame.spacing_mm[0]
  rind = np.clip(1 - depth / np.float32(thickness), 0, 1) * here
  body.replace_lung(np.float32(rng.uniform(12, 25)) * rind)


def add_fibrosis(scene: Scene, rng: np.random.Generator) -> None:
  """A coarse net of scars, mostly in the bases."""
  body = scene.body
  net = 1 - np.abs(smooth_noise(rng, scene.frame.shape, 60, octaves=2))
  low = np.clip(1.6 * body.height - 0.5, 0, 1)
  body.replace_lung(np.float32(rng.uniform(5, 10)) * np.clip(net, 0, 1) ** 2 * low)
