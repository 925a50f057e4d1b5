"""Pictures to look at: a radiograph with its heat map, the true outline and findings."""

from collections.abc import Sequence

import cv2
import numpy as np

TRUTH_COLOUR = (64, 224, 96)  # RGB
FINDING_COLOUR = (64, 200, 255)  # RGB


def overlay(
  image: np.ndarray,
  heat_map: np.ndarray | None = None,
  mask: np.ndarray | None = None,
  opacity: float = 0.5,
) -> np.ndarray:
  """Colours a radiograph by its heat map, and outlines the truth.

  Args:
    image: u8[H, W].
    heat_map: f[h, w] in [0, 1], enlarged bilinearly to the image's size; where it is 0 the
      radiograph is unchanged.
    mask: u8 or bool [H, W], outlined where it is non-zero.
    opacity: opacity of the colour where the heat map is 1.

  Returns:
    u8[H, W, 3], RGB.
  """
  picture = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
  if heat_map is not None:
    height, width = image.shape
    heat = cv2.resize(
      np.asarray(heat_map, np.float32), (width, height), interpolation=cv2.INTER_LINEAR
    ).clip(0, 1)
    eight_bits = (heat * 255).round().astype(np.uint8)
    weight = opacity * heat
    rest = (1 - weight) * image
    # A colour at a time, which is several times as fast as pixels of three colours.
    picture = cv2.merge(
      [(rest + weight * cv2.LUT(eight_bits, table)).round().astype(np.uint8) for table in _TABLES]
    )
  if mask is not None and np.any(mask):
    binary = (np.asarray(mask) > 0).astype(np.uint8)
    outlines, _ = cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, image.shape[0] // 256)
    picture = cv2.drawContours(np.ascontiguousarray(picture), outlines, -1, TRUTH_COLOUR, thickness)
  return picture


def boxes(picture: np.ndarray, edges: Sequence[np.ndarray]) -> np.ndarray:
  """Draws boxes, (x_min, y_min, x_max, y_max) in pixels, on a copy of `picture u8[H, W, 3]`."""
  picture = np.array(picture)
  thickness = max(1, max(picture.shape) // 512)
  for box in edges:
    x_min, y_min, x_max, y_max = (round(float(edge)) for edge in box)
    cv2.rectangle(picture, (x_min, y_min), (x_max - 1, y_max - 1), FINDING_COLOUR, thickness)
  return picture


def caption(picture: np.ndarray, text: str, row: int) -> np.ndarray:
  """Writes white text with a black rim on a copy of a picture.

  Args:
    picture: u8[H, W, 3].
    text: in ASCII, made small enough to fit the width.
    row: row of the text, counted from the top, or from the bottom if it is negative.
  """
  picture = np.array(picture)
  height, width = picture.shape[:2]
  font = cv2.FONT_HERSHEY_SIMPLEX
  (wide, _), _ = cv2.getTextSize(text, font, 1.0, 1)
  scale = min(max(width, height) / 1024, 0.95 * width / wide)
  line = 40 * scale
  place = (round(0.01 * width), round(line * (row + 0.8) + (height if row < 0 else 0)))
  stroke = max(1, round(scale))
  for colour, thickness in ((0, 0, 0), 4 * stroke), ((255, 255, 255), stroke):
    cv2.putText(picture, text, place, font, scale, colour, thickness)
  return picture


def heat_layer(heat_map: np.ndarray, lowest: float = 0.0) -> np.ndarray:
  """A heat map as a layer of colour, whose opacity is the heat.

  Over a radiograph, at some opacity, it looks like `overlay` where the heat map reaches `lowest`.

  Args:
    heat_map: f[H, W] in [0, 1].
    lowest: below it the layer is transparent.

  Returns:
    u8[H, W, 4], RGB and alpha.
  """
  eight_bits = (heat_map.clip(0, 1) * 255).round().astype(np.uint8)
  return np.dstack([_colours(eight_bits), np.where(heat_map < lowest, 0, eight_bits)])


def colour_scale(steps: int) -> list[str]:
  """The colours of a heat map from 0 to 1 in CSS notation: '#rrggbb'."""
  heat = np.linspace(0, 255, steps).round().astype(np.uint8)[None]
  return ['#' + bytes(colour).hex() for colour in _colours(heat)[0].tolist()]


def _colours(heat: np.ndarray) -> np.ndarray:
  """Converts `u8[H, W]` to RGB u8[H, W, 3]."""
  return cv2.applyColorMap(heat, cv2.COLORMAP_INFERNO)[..., ::-1]


# Red, green and blue of heat from 0 to 1 in 8 bits, u8[3, 256].
_TABLES = np.ascontiguousarray(_colours(np.arange(256, dtype=np.uint8)[None])[0].T)


def contact_sheet(pictures: list[np.ndarray], columns: int) -> np.ndarray:
  """Equally large pictures `u8[H, W, 3]` row by row: u8[rows * H, columns * W, 3]."""
  blank = np.zeros_like(pictures[0])
  rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
  return np.vstack([np.hstack(row + [blank] * (columns - len(row))) for row in rows])


def png(picture: np.ndarray) -> bytes:
  """Encodes `u8[H, W]` or `u8[H, W, 3 or 4]` (RGB, or RGB and alpha) as a PNG file."""
  if picture.ndim == 3:
    swap = cv2.COLOR_RGB2BGR if picture.shape[-1] == 3 else cv2.COLOR_RGBA2BGRA
    picture = cv2.cvtColor(picture, swap)
  return cv2.imencode('.png', picture)[1].tobytes()
