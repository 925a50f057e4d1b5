"""How a workstation processes the raw signal: logarithm, latitude, edges and display curve."""

from dataclasses import dataclass

import cv2
import numpy as np

from nodulax.phantom.imaging.physics import blur


@dataclass(frozen=True)
class Processing:
  """A vendor's image processing.

  Attributes:
    latitude: share of the broad differences (over some 25 mm) that is kept; a smaller share makes
      detail in the white mediastinum visible.
    detail: gain on detail of some 6 mm (vessels, ribs). edges: the same for about 1.5 mm.
    window: percentiles of the body's signal that become black and white.
    headroom: share of the grey scale that is unused at its bright end.
    curve: steepness of the S-shaped curve; 0 is linear.
    gamma: exponent after the curve; below 1 brightens the lungs. spread: how much it varies
      from one exposure to the next (standard deviation of its logarithm).
    bits: bits of a stored pixel, 8 or more.
  """

  latitude: float
  detail: float
  edges: float
  window: tuple[float, float]
  headroom: float
  curve: float
  gamma: float
  spread: float
  bits: int


def process(
  signal: np.ndarray, body: np.ndarray, spacing_mm: tuple[float, float], processing: Processing
) -> np.ndarray:
  """Pixels as stored, u8 or u16[H, W], bright where the body is dense.

  Args:
    signal: f32[H, W], 1 in the open beam.
    body: bool[H, W], where the patient is.
    spacing_mm: pixel spacing in x and y.
  """
  mean_spacing = float(np.mean(spacing_mm))
  density = -np.log(np.maximum(signal, 1e-5))
  broad = blur(density, 25 / mean_spacing)
  middle = density - blur(density, 6 / mean_spacing)
  fine = density - blur(density, max(1.5 / mean_spacing, 0.7))
  level = density + (processing.latitude - 1) * broad
  level += processing.detail * middle + processing.edges * fine
  low, high = np.percentile(level[body][::7], processing.window)
  t = (level - low) / max(high - low, 1e-3) * np.float32(1 - processing.headroom)
  if processing.curve > 0:
    # A logistic curve through (0, 0), (1/2, 1/2) and (1, 1).
    k = processing.curve
    ends = 1 / (1 + np.exp(0.5 * k))
    t = (1 / (1 + np.exp(-k * (t - 0.5))) - ends) / (1 - 2 * ends)
  t = np.clip(t, 0, 1) ** np.float32(processing.gamma)
  top = 2**processing.bits - 1
  kind = np.uint8 if processing.bits <= 8 else np.uint16
  return np.rint(t * top).astype(kind)


def shuttered(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Blackens what is outside a slightly crooked collimated field: u8 or u16[H, W]."""
  height, width = pixels.shape
  corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float) - 0.5
  # Each side moves in by a few per cent at most; the lungs are well within.
  corners *= 1 - np.abs(rng.normal(0, 0.03, (4, 2)))
  turn = rng.normal(0, 0.01)
  corners = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
  corners = (corners + 0.5 + rng.normal(0, 0.01, 2)) * [width, height]
  field = np.zeros((height, width), np.uint8)
  cv2.fillPoly(field, [np.rint(corners).astype(np.int32)], 1)
  return pixels * field


def annotated(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Burns in the text of a bedside exposure near one side: u8 or u16[H, W]."""
  height, width = pixels.shape
  scale = height / 900
  ink = np.zeros((height, width), np.uint8)
  left, top = rng.choice([0.02, 0.72]) * width, rng.uniform(0.05, 0.2) * height
  for line, text in enumerate(('AP', 'PORTABLE')):
    place = (round(left), round(top + 34 * line * scale))
    cv2.putText(
      ink, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.9 * scale, 255,
      max(1, round(2.5 * scale)), cv2.LINE_AA,
    )  # fmt: skip
  opaque = ink.astype(np.float32) / 255
  white = np.float32(pixels.max())
  return np.rint(pixels * (1 - opaque) + white * opaque).astype(pixels.dtype)
