"""PNG files (https://www.w3.org/TR/png-3), checked before they are decoded."""

import struct
import zlib
from collections.abc import Iterator

import imagecodecs
import numpy as np

from nodulax.radiograph.kinds import kind_of
from nodulax.radiograph.record import RadiographError, as_grey, check_size

SIGNATURE = b'\x89PNG\r\n\x1a\n'
_GREY = 0  # the PNG colour type
# Chunks that hold or describe pixels in numbers, and tell when the file was written, as all of NIH
# ChestX-ray14's do. Any other, a colour profile (iCCP) too, may hold text, so a patient's name.
_PIXEL_CHUNKS = {b'IHDR', b'IDAT', b'IEND', b'cHRM', b'gAMA', b'pHYs', b'sBIT', b'sRGB', b'tIME'}


def decode_png(data: bytes, name: str) -> np.ndarray:
  """Decodes a grey PNG.

  Args:
    data: the bytes of the file.
    name: of the file, for messages.

  Returns:
    u8 or u16[H, W]. RGB and RGBA are accepted where every pixel is grey and opaque.

  Raises:
    RadiographError: the file is not a PNG, is truncated or damaged (every checksum is verified),
      is too large, or is not grey.
  """
  return as_grey(png_samples(data, name), name)


def png_samples(data: bytes, name: str) -> np.ndarray:
  """Like `decode_png`, with colours and transparency: u8 or u16[H, W] or [H, W, C]."""
  for _ in _chunks(data, name):
    pass
  try:
    return imagecodecs.png_decode(data)
  except Exception:
    raise _damaged(name) from None


def encode_png(pixels: np.ndarray) -> bytes:
  """The lossless PNG file of `pixels`, u8 or u16[H, W]; the same bytes for the same pixels."""
  return bytes(imagecodecs.png_encode(pixels, level=3))


def passes_through(data: bytes) -> bool:
  """Whether these bytes are an undamaged one-channel 8- or 16-bit PNG that says nothing but pixels.

  Such a file goes into a shard without being encoded again. One with text in it is encoded again:
  the text might name the patient.
  """
  if not data.startswith(SIGNATURE):
    return False
  try:
    kinds = list(_chunks(data, ''))
  except RadiographError:
    return False
  bit_depth, colour_type = data[24:26]
  return bit_depth in (8, 16) and colour_type == _GREY and _PIXEL_CHUNKS.issuperset(kinds)


def _chunks(data: bytes, name: str) -> Iterator[bytes]:
  """Yields the type of every chunk, after its length and checksum and the image size are seen."""
  if not data.startswith(SIGNATURE):
    other = kind_of(data)
    raise RadiographError(f'{name}: {f"{other} file, " if other else ""}not a PNG; give a PNG')
  view = memoryview(data)
  start, kind = len(SIGNATURE), b''
  while kind != b'IEND':
    head = data[start : start + 8]
    length, kind = struct.unpack('>I4s', head) if len(head) == 8 else (0, b'')
    end = start + 8 + length
    if data[end : end + 4] != struct.pack('>I', zlib.crc32(view[start + 4 : end])):
      raise _damaged(name)
    if start == len(SIGNATURE):
      if kind != b'IHDR' or length != 13:
        raise _damaged(name)
      width, height = struct.unpack_from('>II', data, start + 8)
      check_size(height, width, name)
    yield kind
    start = end + 4
  if start != len(data):
    yield b'trailing bytes'


def _damaged(name: str) -> RadiographError:
  return RadiographError(f'{name}: the PNG is truncated or damaged; copy it again from its source')
