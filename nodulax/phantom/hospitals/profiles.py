"""The four virtual hospitals: their patients, how they are radiographed and what is stored.

They imitate measured practice at a site only where a comment says so. We chose the differences
between them so that a model meets other detectors, exposures, processing and populations.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from nodulax.phantom.anatomy.patient import Patient, Pose, draw_patient, draw_pose
from nodulax.phantom.imaging.physics import Detector
from nodulax.phantom.imaging.radiography import Equipment
from nodulax.phantom.imaging.vendor import Processing

# Seldom seen on an upright patient in the X-ray room.
_BEDSIDE = ('lead_wires', 'skin_fold', 'central_line')
_BEDSIDE_WHEN_UPRIGHT = 0.05

# Width and height of a field in mm, and how often it is used.
Fields = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Hospital:
  """How a hospital works.

  Attributes:
    mean_age, female_share, ap_share: figures of its patients. fatness: see draw_patient.
    extras: how often each of extras.EXTRAS is present (of the bedside ones: at the bedside).
    fields: for upright and for bedside exposures.
    kilovolts: range of the tube voltage.
    detector, processing: the room's average. shutter_share, text_share: see Equipment.
  """

  mean_age: float
  fatness: float
  female_share: float
  ap_share: float
  extras: Mapping[str, float]
  fields: Fields
  bedside_fields: Fields
  kilovolts: tuple[float, float]
  detector: Detector
  processing: Processing
  shutter_share: float
  text_share: float

  def patient(self, rng: np.random.Generator) -> Patient:
    """The next patient."""
    return draw_patient(
      rng, mean_age=self.mean_age, female_share=self.female_share, fatness=self.fatness
    )

  def pose(self, rng: np.random.Generator) -> Pose:
    """The patient's pose for one exposure."""
    return draw_pose(rng, ap_share=self.ap_share)

  def draw_extras(self, rng: np.random.Generator, pose: Pose) -> tuple[str, ...]:
    """What else is visible in one exposure."""
    chance = rng.random(len(self.extras))
    return tuple(
      name
      for (name, rate), draw in zip(self.extras.items(), chance, strict=True)
      if draw < rate * (1 if pose.view == 'AP' or name not in _BEDSIDE else _BEDSIDE_WHEN_UPRIGHT)
    )

  def equipment(self, rng: np.random.Generator, bedside: bool = False) -> Equipment:
    """The room as set up for one exposure; field, exposure and display vary slightly."""
    fields = np.array(self.bedside_fields if bedside else self.fields)
    width, height, _ = fields[rng.choice(len(fields), p=fields[:, 2] / fields[:, 2].sum())]
    collimation = rng.uniform(0.95, 1.0)
    look = self.processing
    return Equipment(
      field_mm=(float(width * collimation), float(height * collimation)),
      kilovolts=float(rng.uniform(*self.kilovolts)),
      detector=replace(
        self.detector,
        quanta_per_mm2=self.detector.quanta_per_mm2 * float(rng.lognormal(0, 0.25)),
        scatter_fraction=self.detector.scatter_fraction * float(rng.uniform(0.75, 1.25)),
      ),
      processing=replace(
        look,
        latitude=look.latitude * float(rng.uniform(0.9, 1.1)),
        detail=look.detail * float(rng.uniform(0.6, 1.4)),
        edges=look.edges * float(rng.uniform(0.6, 1.4)),
        headroom=look.headroom * float(rng.uniform(0, 2)),
        curve=look.curve * float(rng.uniform(0.8, 1.2)),
        gamma=look.gamma * float(rng.lognormal(0, look.spread)),
      ),
      shutter_share=self.shutter_share,
      text_share=self.text_share,
    )


# Ages, sexes, share of AP and fields as in Data_Entry_2017_v2020.csv (mean 46.6 years, 43.5 %
# female, 40 % AP; sizes times spacings). Storage phosphors with a wide display curve, 8 bits.
NIH = Hospital(
  mean_age=46.6,
  fatness=1.3,
  female_share=0.435,
  ap_share=0.40,
  extras={
    'nipple_shadows': 0.10, 'vessel_end_on': 0.35, 'healed_rib': 0.06, 'granuloma': 0.12,
    'pleural_plaque': 0.08, 'skin_fold': 0.25, 'lead_wires': 0.6, 'central_line': 0.35,
    'pacemaker': 0.04, 'sternal_wires': 0.05, 'marker': 0.9,
  },
  fields=((430, 430, 0.34), (420, 345, 0.16), (345, 420, 0.16), (390, 390, 0.10),
          (390, 430, 0.05)),
  bedside_fields=((420, 345, 0.85), (345, 420, 0.10), (430, 430, 0.05)),
  kilovolts=(110, 125),
  detector=Detector(quanta_per_mm2=60_000 * 25, scatter_fraction=0.095, blur_mm=0.25),
  processing=Processing(
    latitude=0.8, detail=0.2, edges=0.8, window=(1.0, 99.8), headroom=0.14,
    curve=1.3, gamma=0.68, spread=0.25, bits=8,
  ),
  shutter_share=0.3,
  text_share=0.5,
)  # fmt: skip

# A Korean university hospital's screening and outpatient rooms: upright, flat panel, 8-bit export.
AIHUB = Hospital(
  mean_age=60,
  fatness=0.9,
  female_share=0.45,
  ap_share=0.03,
  extras={
    'nipple_shadows': 0.12, 'vessel_end_on': 0.25, 'healed_rib': 0.05, 'granuloma': 0.15,
    'pleural_plaque': 0.04, 'skin_fold': 0.05, 'lead_wires': 0.3, 'central_line': 0.1,
    'pacemaker': 0.01, 'sternal_wires': 0.01, 'marker': 0.95,
  },
  fields=((350, 430, 0.3), (430, 430, 0.3), (380, 400, 0.4)),
  bedside_fields=((430, 350, 1.0),),
  kilovolts=(115, 125),
  detector=Detector(quanta_per_mm2=85_000 * 25, scatter_fraction=0.07, blur_mm=0.18),
  processing=Processing(
    latitude=0.65, detail=0.3, edges=0.8, window=(1.0, 99.8), headroom=0.05,
    curve=1.8, gamma=0.95, spread=0.12, bits=8,
  ),
  shutter_share=0.1,
  text_share=0.3,
)  # fmt: skip

# One Korean teaching hospital's chest clinic, older and more often ill; flat panel, 14 bits.
GMC = Hospital(
  mean_age=65,
  fatness=0.9,
  female_share=0.38,
  ap_share=0.10,
  extras={
    'nipple_shadows': 0.12, 'vessel_end_on': 0.25, 'healed_rib': 0.08, 'granuloma': 0.18,
    'pleural_plaque': 0.08, 'skin_fold': 0.15, 'lead_wires': 0.5, 'central_line': 0.25,
    'pacemaker': 0.02, 'sternal_wires': 0.02, 'marker': 0.9,
  },
  fields=((350, 430, 0.5), (400, 420, 0.5)),
  bedside_fields=((430, 350, 1.0),),
  kilovolts=(110, 120),
  detector=Detector(quanta_per_mm2=90_000 * 25, scatter_fraction=0.065, blur_mm=0.15),
  processing=Processing(
    latitude=0.6, detail=0.35, edges=0.9, window=(0.5, 99.9), headroom=0.05,
    curve=1.2, gamma=1.0, spread=0.12, bits=14,
  ),
  shutter_share=0.15,
  text_share=0.3,
)  # fmt: skip

# Two Vietnamese hospitals' walk-in patients: younger, slimmer, many machines, 12 bits.
VINDR = Hospital(
  mean_age=50,
  fatness=0.8,
  female_share=0.45,
  ap_share=0.03,
  extras={
    'nipple_shadows': 0.15, 'vessel_end_on': 0.25, 'healed_rib': 0.05, 'granuloma': 0.20,
    'pleural_plaque': 0.06, 'skin_fold': 0.05, 'lead_wires': 0.2, 'central_line': 0.1,
    'pacemaker': 0.01, 'sternal_wires': 0.01, 'marker': 0.9,
  },
  fields=((430, 430, 0.5), (350, 430, 0.5)),
  bedside_fields=((430, 350, 1.0),),
  kilovolts=(100, 120),
  detector=Detector(quanta_per_mm2=50_000 * 25, scatter_fraction=0.085, blur_mm=0.20),
  processing=Processing(
    latitude=0.8, detail=0.2, edges=0.5, window=(0.5, 99.8), headroom=0.06,
    curve=2.2, gamma=0.9, spread=0.25, bits=12,
  ),
  shutter_share=0.15,
  text_share=0.1,
)  # fmt: skip
