"""Who is radiographed and how they are positioned: random patients and poses.

Where no source is given, we chose the ranges by looking at radiographs.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Patient:
  """One body; all lengths in mm at the detector, at full inspiration.

  Attributes:
    sex: 'female' or 'male'.
    age: years.
    seed: determines what is particular to this body (vessel trees, bumps) in every pose.
    lung_width: half the inner width of the thorax.
    lung_depth: half its inner depth.
    lung_height: from the apex to the right dome.
    fat: thickness of the subcutaneous fat.
    muscle: thickness of the chest wall under it.
    breast: radius of the breasts; 0 if there are none.
    heart_ratio: heart width over thoracic width; up to 0.5 is normal on PA (Danzer 1919).
    aorta: radius of the aortic knob; it widens and unfolds with age.
    trachea: radius; coronal diameter 13 to 25 mm in men, 10 to 21 in women (Breatnach 1984).
    bone_density: mineral content relative to that of a young adult; it falls with age.
    lung_density: g/cm3, around the 0.26 of ICRU Report 44.
  """

  sex: str
  age: float
  seed: int
  lung_width: float
  lung_depth: float
  lung_height: float
  fat: float
  muscle: float
  breast: float
  heart_ratio: float
  aorta: float
  trachea: float
  bone_density: float
  lung_density: float


def draw_patient(
  rng: np.random.Generator,
  *,
  mean_age: float = 57.0,
  female_share: float = 0.45,
  fatness: float = 1.0,
) -> Patient:
  """A random adult: age is normal around mean_age (SD 15) within 18 and 90 years.

  Layers of fat differ widely between people; `fatness` multiplies them all.
  """
  female = bool(rng.random() < female_share)
  age = float(np.clip(round(rng.normal(mean_age, 15)), 18, 90))
  stature = rng.normal(0.93 if female else 1.0, 0.045)
  fatness = float(np.clip(fatness * rng.gamma(4.0, 0.25), 0.35, 3.0))
  ageing = np.clip((age - 40) / 50, 0, 1)
  return Patient(
    sex='female' if female else 'male',
    age=age,
    seed=int(rng.integers(2**31)),
    lung_width=142 * stature * rng.normal(1, 0.04),
    lung_depth=82 * stature * rng.normal(1, 0.07) * (1 + 0.08 * ageing),
    lung_height=222 * stature * rng.normal(1, 0.05),
    fat=(14 if female else 10) * fatness,
    muscle=(11 if female else 15) * rng.normal(1, 0.15),
    breast=float(np.clip(rng.normal(60, 11) * fatness**0.35, 35, 92)) if female else 0.0,
    heart_ratio=float(np.clip(rng.normal(0.45 + 0.03 * ageing, 0.035), 0.36, 0.60)),
    aorta=(14 + 6 * ageing) * rng.normal(1, 0.1),
    trachea=(7.5 if female else 9.0) * rng.normal(1, 0.1),
    bone_density=float(np.clip((1.0 - 0.3 * ageing) * rng.normal(1, 0.1), 0.5, 1.3)),
    lung_density=float(np.clip(rng.normal(0.25, 0.03), 0.17, 0.36)),
  )


@dataclass(frozen=True)
class Pose:
  """How the patient stands (or sits) for one exposure.

  Attributes:
    seed: determines what is particular to this exposure.
    view: 'PA' or 'AP'. On AP the heart is magnified and the scapulae lie over the lungs.
    inspiration: 1 at full inspiration (10 posterior ribs above the dome), 0.75 at a poor one.
    rotation: radians about the body's axis; front and back shift in opposite directions.
    tilt: radians by which the patient leans.
    arms: radians between the trunk and the upper arms.
    shift: mm from the field's centre to the body's, x and y.
  """

  seed: int
  view: str
  inspiration: float
  rotation: float
  tilt: float
  arms: float
  shift: tuple[float, float]


def draw_pose(rng: np.random.Generator, *, ap_share: float = 0.0) -> Pose:
  """A random pose; bedside (AP) patients inhale less and lie less straight."""
  supine = bool(rng.random() < ap_share)
  spread = 2.0 if supine else 1.0
  return Pose(
    seed=int(rng.integers(2**31)),
    view='AP' if supine else 'PA',
    inspiration=float(np.clip(rng.normal(0.86 if supine else 0.96, 0.05), 0.7, 1.06)),
    rotation=float(rng.normal(0, 0.03 * spread)),
    tilt=float(rng.normal(0, 0.02 * spread)),
    arms=float(rng.uniform(0.08, 0.25) if supine else rng.uniform(0.2, 0.75)),
    shift=(float(rng.normal(0, 7 * spread)), float(rng.normal(0, 9 * spread))),
  )
