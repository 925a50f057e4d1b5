"""Coarse checks of a radiograph: is it blank, poor, inverted, lateral, or a duplicate?

The bounds were set on 443 frontal radiographs, 319 of NIH ChestX-ray14 and 124 of JSRT.
"""

from collections.abc import Iterator

import cv2
import numpy as np

# The perceptual hash: this many low frequencies along each side of an image of that size.
_FREQUENCIES = 16
_HASHED_SIZE = 64
# Hashes of one picture: re-encoding, resizing, brightness and contrast change up to 28 of the
# 256 bits, whereas the two most similar patients among the 443 radiographs differ in 56.
NEAR_DUPLICATE_BITS = 32

_SMALL = 32
# None of the 443 is below this; 438 of them are when inverted.
_LOWEST_POLARITY = -0.3
# 440 of the 443 are above this.
_LOWEST_SYMMETRY = 0.15
_FARTHEST_AXIS = 4
# A tenth of a detector's pixels: a smaller image is a thumbnail, or the wrong column was read.
_FEWEST_PIXELS = 200
# Of the 256 of an 8-bit radiograph; a format with few colours leaves fewer.
_FEWEST_SHADES = 64


def is_blank(pixels: np.ndarray) -> bool:
  """Whether at least 99 in 100 pixels of u8 or u16[H, W] have the same value, such as all black."""
  return bool(_histogram(pixels).max() >= 0.99 * pixels.size)


def _histogram(pixels: np.ndarray) -> np.ndarray:
  values = 256 if pixels.dtype == np.uint8 else 65_536
  return cv2.calcHist([pixels], [0], None, [values], [0, values])


def suspicions(pixels: np.ndarray) -> Iterator[tuple[str, str]]:
  """Why someone should look at u8 or u16[H, W]: pairs of (what it may be, what to do)."""
  height, width = pixels.shape
  if min(height, width) < _FEWEST_PIXELS:
    yield 'few pixels', f'{width} x {height} pixels; give the radiograph as the detector made it'
  small = cv2.resize(pixels, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA).astype(np.float64)
  spread = small.std()
  if spread == 0:
    return
  shades = np.count_nonzero(_histogram(pixels))
  if shades < min(_FEWEST_SHADES, pixels.size // 8):
    yield 'few shades', f'{shades} different values; export it with all the values of the detector'
  if polarity(small / spread) < _LOWEST_POLARITY:
    yield 'maybe inverted', 'dense tissue must be bright; if it is dark, invert the image'
  if symmetry(small) < _LOWEST_SYMMETRY:
    yield 'maybe not frontal', 'the left half does not mirror the right; exclude lateral views'


def polarity(small: np.ndarray) -> float:
  """How much brighter the mediastinum is than the lungs and the air beside the neck.

  Args:
    small: a radiograph f[32, 32] in units of its standard deviation.

  Returns:
    Positive where dense tissue is bright, negative where it is dark.
  """
  mediastinum = small[8:20, 14:18].mean()
  lungs = (small[8:20, 5:11].mean() + small[8:20, 21:27].mean()) / 2
  air = (small[:6, :5].mean() + small[:6, -5:].mean()) / 2
  return float((mediastinum - lungs) + (mediastinum - air))


def symmetry(small: np.ndarray) -> float:
  """The best correlation of a radiograph f[32, 32] with its mirror image, axes near the middle."""
  best = -1.0
  for offset in range(-_FARTHEST_AXIS, _FARTHEST_AXIS + 1):
    around = small[4:28, max(offset, 0) : _SMALL + min(offset, 0)]
    deviation = around - around.mean()
    norm = (deviation**2).sum()
    if norm > 0:
      best = max(best, float((deviation * deviation[:, ::-1]).sum() / norm))
  return best


def fingerprint(pixels: np.ndarray) -> bytes:
  """A perceptual hash of u8 or u16[H, W]: 256 bits.

  Which of the lowest 16 x 16 frequencies of the cosine transform of the image, at 64 x 64 pixels,
  are above their median (Zauner, Implementation and benchmarking of perceptual image hash
  functions, 2010).
  """
  size = (_HASHED_SIZE, _HASHED_SIZE)
  small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
  low = cv2.dct(small)[:_FREQUENCIES, :_FREQUENCIES].ravel()
  return np.packbits(low > np.median(low[1:])).tobytes()


def near_duplicates(fingerprints: np.ndarray) -> Iterator[tuple[int, int]]:
  """The pairs of images whose hashes differ in at most `NEAR_DUPLICATE_BITS` bits.

  Args:
    fingerprints: u8[N, 32].
  """
  words = np.ascontiguousarray(fingerprints).view(np.uint64)
  for one in range(len(words) - 1):
    distance = np.bitwise_count(words[one + 1 :] ^ words[one]).sum(axis=1, dtype=np.uint16)
    for other in np.flatnonzero(distance <= NEAR_DUPLICATE_BITS):
      yield one, one + 1 + int(other)
