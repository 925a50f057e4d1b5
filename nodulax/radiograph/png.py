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
# Chunks that hold pixels, describe them in numbers, or give the time of writing (as in all files of
# NIH ChestX-ray14). Others, even a colour profile (iCCP), may hold text such as a patient's name.
_PIXEL_CHUNKS = {b'IHDR', b'IDAT', b'IEND', b'cHRM', b'gAMA', b'pHYs', b'sBIT', b'sRGB', b'tIME'}


def decode_png(data: bytes, name: str) -> np.ndarray:
  """Decodes a grey PNG.

  Args:
    data: the bytes of the file.
    name: name of the file, for messages.

  Returns:
    u8 or u16[H, W]. RGB and RGBA are accepted if every pixel is grey and opaque.

  Raises:
    RadiographError: the file is not a PNG, is truncated or damaged (every checksum is verified),
      is too large, or is not grey.
  """
  return as_grey(png_samples(data, name), name)


def png_samples(data: bytes, name: str) -> np.ndarray:
  """Like `decode_png`, but allows colours and transparency: u8 or u16[H, W] or [H, W, C]."""
  for _ in _chunks(data, name):
    pass
  try:
    return imagecodecs.png_decode(data)
  except Exception:
    raise _damaged(name) from None


def encode_png(pixels: np.ndarray) -> bytes:
  """Encodes `pixels`, u8 or u16[H, W], as a lossless PNG file; equal pixels give equal bytes."""
  return bytes(imagecodecs.png_encode(pixels, level=3))


def passes_through(data: bytes) -> bool:
  """Whether these bytes are an undamaged one-channel 8- or 16-bit PNG with nothing but pixels.

  Such a file goes into a shard unchanged. A file with text in it is encoded again, because the text
  might name the patient.
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
  """Yields the type of every chunk, after checking its length and checksum and the image size."""
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
