"""How readers draw boxes around what they see. We chose the spreads."""

import numpy as np

Box = tuple[float, float, float, float]

# Share of the lesions of each conspicuity grade that a reader marks.
_SEEN = {'1': 0.45, '2': 0.65, '3': 0.85, '4': 0.95, '5': 0.99}


def sees(rng: np.random.Generator, conspicuity: str) -> bool:
  """Whether a reader without CT notices a lesion of this grade."""
  return bool(rng.random() < _SEEN[conspicuity])


def drawn_box(
  rng: np.random.Generator, box: Box, shape: tuple[int, int], spread: float, margin: float
) -> Box:
  """A box as a reader draws it: `margin` wider on each side and off by `spread`, as shares of it.

  Args:
    box: x_min, y_min, x_max, y_max in pixels.
    shape: rows and columns of the image, which the box does not leave.
  """
  x_min, y_min, x_max, y_max = box
  width, height = x_max - x_min, y_max - y_min
  left, top, right, bottom = margin + spread * rng.standard_normal(4)
  rows, columns = shape
  x_min, x_max = x_min - left * width, x_max + right * width
  y_min, y_max = y_min - top * height, y_max + bottom * height
  # If random errors turn the box inside out, it is drawn correctly instead.
  if x_max - x_min < 0.3 * width or y_max - y_min < 0.3 * height:
    return box
  return (
    round(float(np.clip(x_min, 0, columns)), 1),
    round(float(np.clip(y_min, 0, rows)), 1),
    round(float(np.clip(x_max, 0, columns)), 1),
    round(float(np.clip(y_max, 0, rows)), 1),
  )
