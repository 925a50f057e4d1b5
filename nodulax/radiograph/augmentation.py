"""Changes a training image at random: its geometry, together with its mask's, and its greys."""

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """Ranges from which the changes to each training image are drawn.

  Attributes:
    flip: probability of a horizontal flip.
    shift: largest shift along each axis, as a fraction of the image's side.
    scale: largest relative change of size: factors lie in [1 - scale, 1 + scale].
    rotation: largest rotation, in degrees.
    shear: largest horizontal shear, in degrees.
    gamma: standard deviation of the logarithm of the tone curve's exponent.
    sharpness: largest weight of unsharp masking; negative weights, down to minus half of it, blur.
    noise: largest standard deviation of added noise, as a share of the range of greys.
  """

  flip: float
  shift: float
  scale: float
  rotation: float
  shear: float
  gamma: float = 0.0
  sharpness: float = 0.0
  noise: float = 0.0

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

  def expose(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Changes the greys of `image u8[S, S]`; returns it unchanged if all their ranges are 0."""
    if not (self.gamma or self.sharpness or self.noise):
      return image
    film = image.astype(np.float32) / 255
    film = exposed(film, rng, gamma=self.gamma, sharpness=self.sharpness, noise=self.noise)
    return (film.clip(0, 1) * 255).round().astype(np.uint8)


def exposed(
  film: np.ndarray, rng: np.random.Generator, *, gamma: float, sharpness: float, noise: float
) -> np.ndarray:
  """Changes tone curve, sharpness and noise at random, within the ranges of `Augmentation`.

  Args:
    film: f32[H, W] in [0, 1].

  Returns:
    f32[H, W]; noise may push values outside [0, 1].
  """
  film = np.power(film, np.float32(np.exp(rng.normal(0, gamma))))
  weight = rng.uniform(-0.5, 1) * sharpness
  if abs(weight) > 0.05:
    blurred = cv2.GaussianBlur(film, (0, 0), float(rng.uniform(0.8, 4)) if weight > 0 else 0.8)
    film = np.clip(film + np.float32(weight) * (film - blurred), 0, 1)
  deviation = rng.uniform(0, noise)
  return film + np.float32(deviation) * rng.standard_normal(film.shape, np.float32)


def warp(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
  """Moves `image u8[S, S]` by `affine f64[2, 3]`, bilinear; what was outside the image is black."""
  size = (image.shape[1], image.shape[0])
  return cv2.warpAffine(image, affine, size, flags=cv2.INTER_LINEAR, borderValue=0)
