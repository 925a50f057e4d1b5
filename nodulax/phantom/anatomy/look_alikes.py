"""What can be mistaken for a nodule: end-on vessels, rib callus, granulomas, pleural plaques.

We chose the sizes so that each overlaps the range of true nodules.
"""

import numpy as np

from nodulax.phantom.anatomy.scene import Scene
from nodulax.phantom.anatomy.shapes import capsule, ellipse, half_chord
from nodulax.phantom.anatomy.skeleton import rib_curve


def add_vessel_end_on(scene: Scene, rng: np.random.Generator) -> None:
  """A vessel that runs along the beam near a hilum: a small dense disc."""
  body = scene.body
  aside = np.abs(body.aside)
  near_hilum = (body.height > 0.35) & (body.height < 0.75) & (aside > 35) & (aside < 80)
  centre = scene.pick(near_hilum & (body.lung > 40), rng)
  if centre is None:
    return
  x, y = scene.frame.grid
  radius = rng.uniform(2.0, 4.0)
  disc = half_chord(ellipse(x, y, centre, (radius, radius * rng.uniform(0.85, 1.15))))
  body.replace_lung(np.float32(radius * rng.uniform(3, 6)) * disc)


def add_healed_rib(scene: Scene, rng: np.random.Generator) -> None:
  """Callus around an old rib fracture."""
  curve, _, _ = rib_curve(scene.patient, int(rng.integers(3, 9)), int(rng.choice([-1, 1])))
  place = int(rng.integers(len(curve) // 4, 3 * len(curve) // 4))
  x, y = scene.frame.grid
  centre = (float(curve[place, 0]), float(curve[place, 1]))
  radii = (rng.uniform(6, 10), rng.uniform(5, 8))
  callus = half_chord(ellipse(x, y, centre, radii, rng.uniform(0, np.pi)))
  scene.body.add_bone(np.float32(rng.uniform(2.0, 4.5)) * callus)


def add_granuloma(scene: Scene, rng: np.random.Generator) -> None:
  """A small calcified scar of an old infection, denser than its size suggests."""
  body = scene.body
  centre = scene.pick((body.lung > 30) & (body.dome <= 0), rng)
  if centre is None:
    return
  x, y = scene.frame.grid
  radius = rng.uniform(1.5, 3.5)
  chord = np.float32(2 * radius) * half_chord(ellipse(x, y, centre, (radius, radius)))
  body.replace_lung(chord)
  body.add_bone(np.float32(rng.uniform(0.4, 0.8)) * chord)


def add_pleural_plaque(scene: Scene, rng: np.random.Generator) -> None:
  """A flat thickening of the pleura seen from the front: a patch with a vague outline."""
  body = scene.body
  outer = (np.abs(body.aside) > 0.5 * scene.patient.lung_width) & (body.dome <= 0)
  centre = scene.pick(outer & (body.lung > 25), rng)
  if centre is None:
    return
  x, y = scene.frame.grid
  length, angle = rng.uniform(6, 18), rng.uniform(0.9, 1.6)
  end = (centre[0] + length * np.cos(angle), centre[1] + length * np.sin(angle))
  radius = rng.uniform(5, 10)
  body.replace_lung(
    np.float32(rng.uniform(0.5, 1.0)) * capsule(x, y, centre, end, (radius, 0.8 * radius))
  )
