"""Windows bitmaps, uncompressed: with 8 bits and a palette, 24 or 32 bits per pixel."""

import struct

import numpy as np

from nodulax.radiograph.record import RadiographError, as_grey, check_size

_OLD_HEADER = 12  # bytes
_HEADERS = (_OLD_HEADER, 40, 52, 56, 64, 108, 124)
_FILE_HEADER = 14  # bytes


def is_bmp(data: bytes) -> bool:
  """Whether these bytes begin like a bitmap."""
  if data[:2] != b'BM' or len(data) < _FILE_HEADER + 4:
    return False
  return struct.unpack_from('<I', data, _FILE_HEADER)[0] in _HEADERS


def decode_bmp(data: bytes, name: str) -> np.ndarray:
  """Decodes a grey bitmap.

  Args:
    data: the bytes of the file.
    name: name of the file, for messages.

  Returns:
    u8[H, W].

  Raises:
    RadiographError: the file is truncated or damaged, too large, compressed or not grey.
  """
  try:
    width, height, bits, compression, colours, palette_start = _header(data)
  except struct.error:
    raise _damaged(name) from None
  check_size(abs(height), width, name)
  if compression or bits not in (8, 24, 32):
    raise RadiographError(
      f'{name}: a bitmap of {bits} bits per pixel, compression {compression}; export it without '
      'compression with 8, 24 or 32 bits, or as PNG'
    )
  start = struct.unpack_from('<I', data, 10)[0]
  stride = (width * bits + 31) // 32 * 4
  if start + stride * abs(height) > len(data):
    raise _damaged(name)
  rows = np.frombuffer(data, np.uint8, stride * abs(height), start).reshape(abs(height), stride)
  samples = rows[:, : width * bits // 8].reshape(abs(height), width, bits // 8)
  if height > 0:  # stored from the bottom up
    samples = samples[::-1]
  if bits == 8:
    samples = _of_palette(samples[..., 0], data, palette_start, colours, name)
  # Blue, green, red; the fourth byte is unused.
  return as_grey(samples[..., :3], name)


def _header(data: bytes) -> tuple[int, int, int, int, int, int]:
  """(width, height, bits per pixel, compression, palette colours, start of the palette)."""
  (size,) = struct.unpack_from('<I', data, _FILE_HEADER)
  if size == _OLD_HEADER:
    width, height, _, bits = struct.unpack_from('<HHHH', data, _FILE_HEADER + 4)
    return width, height, bits, 0, 256, _FILE_HEADER + size
  width, height, _, bits, compression = struct.unpack_from('<iiHHI', data, _FILE_HEADER + 4)
  (colours,) = struct.unpack_from('<I', data, _FILE_HEADER + 32)
  return width, height, bits, compression, colours or 256, _FILE_HEADER + size


def _of_palette(
  indices: np.ndarray, data: bytes, start: int, colours: int, name: str
) -> np.ndarray:
  """The palette colours u8[H, W, 3] for `indices u8[H, W]`."""
  size = 3 if start == _FILE_HEADER + _OLD_HEADER else 4
  colours = min(colours, 256, (len(data) - start) // size)
  if indices.max() >= colours:
    raise _damaged(name)
  return np.frombuffer(data, np.uint8, colours * size, start).reshape(colours, size)[indices]


def _damaged(name: str) -> RadiographError:
  return RadiographError(f'{name}: the bitmap is truncated or damaged; copy it again')
