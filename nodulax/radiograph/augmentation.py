"""Random flips and affine changes of a training image, the same for the image and its mask."""

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """Ranges that each training image is drawn from anew.

  Attributes:
    flip: probability of a horizontal flip.
    shift: largest shift along each axis, as a fraction of the image's side.
    scale: largest relative change of size: factors lie in [1 - scale, 1 + scale].
    rotation: largest rotation, in degrees.
    shear: largest horizontal shear, in degrees.
  """

  flip: float
  shift: float
  scale: float
  rotation: float
  shear: float

  def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
    """A random affine map f64[2, 3] about the centre of a `size` x `size` image."""
    mirror = -1.0 if rng.random() < self.flip else 1.0
    factor = 1 + rng.uniform(-self.scale, self.scale)
    angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation))
    shear = np.tan(np.deg2rad(rng.uniform(-self.shear, self.shear)))
    shift = rng.uniform(-self.shift, self.shift, 2) * size
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = factor * rotation @ np.array([[1, shear], [0, 1]]) @ np.diag([mirror, 1])
    centre = np.full(2, (size - 1) / 2)
    return np.column_stack([linear, centre + shift - linear @ centre])


def warp(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
  """`image u8[S, S]` moved by `affine f64[2, 3]`, bilinear; what comes into view is black."""
  size = (image.shape[1], image.shape[0])
  return cv2.warpAffine(image, affine, size, flags=cv2.INTER_LINEAR, borderValue=0)
