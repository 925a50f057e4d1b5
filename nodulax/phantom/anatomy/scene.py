"""One patient in front of one detector: what the parts of the simulation share."""

from dataclasses import dataclass

import numpy as np

from nodulax.phantom.anatomy.body import Body
from nodulax.phantom.anatomy.frame import Frame
from nodulax.phantom.anatomy.patient import Patient, Pose


@dataclass(frozen=True)
class Scene:
  """The patient, the pose, the view, and the body that is being built up."""

  patient: Patient
  pose: Pose
  frame: Frame
  body: Body

  @property
  def dome_mm(self) -> float:
    """Height of the right dome below the lungs' apex."""
    return self.patient.lung_height * self.pose.inspiration

  def pick(self, where: np.ndarray, rng: np.random.Generator) -> tuple[float, float] | None:
    """Body x, y (mm) of a random pixel of a bool[H, W] map; None if the map is empty."""
    places = np.flatnonzero(where)
    if not len(places):
      return None
    place = places[int(rng.integers(len(places)))]
    x, y = self.frame.grid
    return float(x.flat[place]), float(y.flat[place])
