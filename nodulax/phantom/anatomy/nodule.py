"""Nodules and masses: bodies of soft tissue in the lung, with their exact outline."""

from dataclasses import dataclass

import numpy as np

from nodulax.phantom.anatomy.body import Body
from nodulax.phantom.anatomy.scene import Scene
from nodulax.phantom.anatomy.shapes import half_chord


@dataclass(frozen=True)
class Nodule:
  """A lesion before it is placed.

  Attributes:
    diameter_mm: diameter of a sphere of the same width, at the detector.
    margin: unevenness of the outline as a share of the radius: 0 a sphere, 0.15 lobulated.
    spicules: the same in short waves.
    density: g/cm3 of its tissue; 1.06 solid, about 0.6 ground glass.
    core: share of the diameter taken by a solid core, for a part-solid nodule.
    calcium: mm of cortical bone per mm of nodule (0 to 0.25).
    zone: where to place it; one of ZONES.
    seed: determines its outline and place.
  """

  diameter_mm: float
  margin: float
  spicules: float
  density: float
  core: float
  calcium: float
  zone: str
  seed: int


@dataclass(frozen=True)
class PlacedNodule:
  """A lesion as it appears in the radiograph.

  Attributes:
    mask: bool[H, W], its projected outline.
    centre: x, y in pixels.
    conspicuity: '1' to '5', see conspicuity().
    contrast: largest change of the negative logarithm of the primary beam.
  """

  mask: np.ndarray
  centre: tuple[float, float]
  diameter_mm: float
  zone: str
  conspicuity: str
  contrast: float

  @property
  def box(self) -> tuple[float, float, float, float]:
    """x_min, y_min, x_max, y_max in pixels, half-open."""
    rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


ZONES = ('upper', 'middle', 'lower', 'apex', 'hilum', 'behind_heart', 'below_diaphragm')
# Our choice: a fifth in the blind zones, and the rest over the lungs, mostly in the upper lobes,
# where most cancers lie.
ZONE_SHARES = (0.34, 0.24, 0.18, 0.06, 0.06, 0.07, 0.05)
# How many random places are tried before a nodule is left out.
_TRIES = 2000


def draw_nodule(rng: np.random.Generator, mass: bool | None = None) -> Nodule:
  """A random lesion: a nodule of 5 to 30 mm, or a mass (over 30 mm; Fleischner glossary 2008)."""
  if mass is None:
    mass = bool(rng.random() < 0.2)
  small = float(np.clip(rng.lognormal(np.log(15), 0.38), 5, 30))
  diameter = float(rng.uniform(30, 50)) if mass else small
  part_solid = not mass and rng.random() < 0.12
  calcified = not mass and not part_solid and rng.random() < 0.10
  return Nodule(
    diameter_mm=diameter,
    margin=float(rng.uniform(0.04, 0.2)),
    spicules=float(rng.choice([0.0, 0.16], p=[0.7, 0.3])),
    density=0.62 if part_solid else 1.06,
    core=float(rng.uniform(0.3, 0.6)) if part_solid else 0.0,
    calcium=float(rng.uniform(0.05, 0.2)) if calcified else 0.0,
    zone=str(rng.choice(ZONES, p=ZONE_SHARES)),
    seed=int(rng.integers(2**31)),
  )


def _zones(body: Body) -> dict[str, np.ndarray]:
  """Where each zone is, bool[H, W]; they do not overlap."""
  height, aside = body.height, np.abs(body.aside)
  below = body.dome > 0
  behind_heart = (body.heart > 12) & ~below
  hilum = (aside > 25) & (aside < 55) & (height > 0.4) & (height < 0.62) & ~behind_heart
  free = ~behind_heart & ~below & ~hilum
  return {
    'apex': free & (height < 0.17),
    'upper': free & (height >= 0.17) & (height < 0.45),
    'middle': free & (height >= 0.45) & (height < 0.72),
    'lower': free & (height >= 0.72),
    'hilum': hilum,
    'behind_heart': behind_heart,
    'below_diaphragm': below,
  }


def zone_at(scene: Scene, row: int, column: int) -> str:
  """The zone of a pixel."""
  one = scene.body.cut((slice(row, row + 1), slice(column, column + 1)))
  return next(zone for zone, here in _zones(one).items() if here[0, 0])


def place_nodule(nodule: Nodule, scene: Scene) -> tuple[int, int] | None:
  """Row and column of a place in the nodule's zone, or elsewhere if the zone has no room.

  The same nodule lies at the same place in the lungs in every pose, if there is room. Returns None
  if no part of the lungs has room. The centre is the centre of a pixel, so that the mask of a
  nodule smaller than a pixel still has one pixel.
  """
  rng = np.random.default_rng([nodule.seed, 2])
  side, down = rng.uniform(-1, 1, _TRIES), rng.uniform(0, 1.5, _TRIES)
  x, y = side * scene.patient.lung_width, down * scene.dome_mm
  column, row = (at.astype(int) for at in scene.frame.to_pixels(x, y))
  height, width = scene.frame.shape
  seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
  column, row = column[seen], row[seen]
  room = scene.body.lung[row, column] > 0.9 * nodule.diameter_mm
  in_zone = room & _zones(scene.body)[nodule.zone][row, column]
  tries = np.flatnonzero(in_zone if in_zone.any() else room)
  return (int(row[tries[0]]), int(column[tries[0]])) if len(tries) else None


def nodule_chord(
  nodule: Nodule, x: np.ndarray, y: np.ndarray, centre: tuple[float, float]
) -> np.ndarray:
  """Chord of a lesion's tissue centred on a body point, f32[H, W] in mm; exactly 0 outside it.

  Its outline is a circle with a few broad waves, and with fine ones if it is spiculated.
  """
  rng = np.random.default_rng([nodule.seed, 1])
  dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
  radius = np.float32(nodule.diameter_mm / 2)
  angle = np.arctan2(dy, dx)
  outline = np.ones_like(angle)
  for wave in (*range(2, 7), *range(13, 30, 4)):
    strength = nodule.margin if wave < 7 else nodule.spicules
    size, phase = strength * rng.normal() / np.sqrt(wave), rng.uniform(0, 2 * np.pi)
    outline += np.float32(size) * np.cos(wave * angle + np.float32(phase))
  outline = np.clip(outline, 0.5, 1.5) * radius
  return 2 * radius * half_chord((dx * dx + dy * dy) / (outline * outline))


def add_nodule(body: Body, nodule: Nodule, extent: np.ndarray) -> None:
  """Replaces lung with a lesion of the given chord (mm)."""
  core = np.zeros_like(extent)
  if nodule.core > 0:
    core = np.maximum(extent - np.float32((1 - nodule.core) * nodule.diameter_mm), 0)
  body.replace_lung(extent - core, nodule.density)
  body.replace_lung(core)
  if nodule.calcium > 0:
    body.add_bone(np.float32(nodule.calcium) * extent)


# JSRT has 25, 29, 50, 38 and 12 nodules of grades 1 to 5; with these limits, nodules from
# draw_nodule have about the same shares at the virtual GMC.
_GRADE_LIMITS = (0.23, 0.39, 0.86, 1.74)


def conspicuity(
  change: np.ndarray, before: np.ndarray, inside: np.ndarray, diameter_mm: float
) -> str:
  """Grade '1' (extremely subtle) to '5' (obvious), as JSRT grades (Shiraishi et al. 2000).

  The grade follows from the mean contrast over the spread of the surroundings, times the square
  root of the size: larger things are visible at lower contrast (Rose's law would use the size
  itself).

  Args:
    change: what the lesion adds to the negative logarithm of the beam, f32[h, w].
    before: the negative logarithm without it.
    inside: bool[h, w], the lesion.
  """
  if not inside.any() or inside.all():
    return '1'
  ratio = float(change[inside].mean()) / max(float(before[~inside].std()), 1e-3)
  return str(1 + int(np.searchsorted(_GRADE_LIMITS, ratio * np.sqrt(diameter_mm / 15))))
