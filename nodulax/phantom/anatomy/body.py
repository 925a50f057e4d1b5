"""What lies in the beam at every pixel."""

from dataclasses import dataclass, fields

import cv2
import numpy as np

# g/cm3; a lesion that replaces lung is measured against this density.
_WET, _AERATED = 1.06, 0.26


def scaled(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
  """An f32[H, W] map on another grid over the same field, with smooth edges on a finer grid."""
  if image.shape == shape:
    return image
  image = cv2.GaussianBlur(image, (0, 0), 0.7, borderType=cv2.BORDER_REPLICATE)
  return cv2.resize(image, shape[::-1], interpolation=cv2.INTER_LINEAR)


@dataclass
class Body:
  """Path lengths in mm, all f32[H, W]; parts are added to it in place.

  Attributes:
    lung: aerated lung; soft: everything wet; fat; bone: cortical; metal: titanium.
    heart: half the chord of the heart itself. dome: chord of the abdomen under the diaphragm.
    height: position between the lungs' apex (0) and the right dome (1).
    aside: mm from the body's axis, negative in the right lung.
    chest: chord of the inside of the rib cage.
  """

  lung: np.ndarray
  soft: np.ndarray
  fat: np.ndarray
  bone: np.ndarray
  metal: np.ndarray
  heart: np.ndarray
  dome: np.ndarray
  height: np.ndarray
  aside: np.ndarray
  chest: np.ndarray

  def cut(self, window: tuple[slice, slice]) -> 'Body':
    """A window of the body; its arrays are views, so adding to them adds to this body."""
    return Body(*(getattr(self, field.name)[window] for field in fields(self)))

  def scaled(self, shape: tuple[int, int]) -> 'Body':
    """The same body on another grid over the same field."""
    return Body(*(scaled(getattr(self, field.name), shape) for field in fields(self)))

  def paths_cm(self) -> dict[str, np.ndarray]:
    """Path lengths in cm by tissue, as physics.transmission takes them."""
    return {
      name: getattr(self, name) * np.float32(0.1)
      for name in ('lung', 'soft', 'fat', 'bone', 'metal')
    }

  def replace_lung(self, extent: np.ndarray, density: float = _WET) -> None:
    """Fills `extent` mm of lung with tissue of a density (g/cm3) between lung's and water's."""
    tissue = np.minimum(extent, self.lung) * np.float32((density - _AERATED) / (_WET - _AERATED))
    self.soft += tissue
    self.lung -= tissue

  def add_bone(self, extent: np.ndarray) -> None:
    """Turns `extent` mm of soft tissue into cortical bone."""
    extent = np.minimum(extent, self.soft)
    self.bone += extent
    self.soft -= extent
