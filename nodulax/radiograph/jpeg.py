"""JPEG streams (ITU-T T.81 and, for JPEG-LS, T.87), whose headers are checked before decoding."""

import struct
from typing import NamedTuple

import imagecodecs
import numpy as np

from nodulax.radiograph.record import RadiographError, as_grey, check_size

SIGNATURE = b'\xff\xd8\xff'
_JPEG_LS = 0xF7
# In this range C4, C8 and CC mark Huffman tables, an extension and arithmetic conditioning.
_START_OF_FRAME = {*range(0xC0, 0xD0), _JPEG_LS} - {0xC4, 0xC8, 0xCC}
# Markers without a segment; within a header they would hide what a decoder sees.
_WITHOUT_SEGMENT = {0x00, 0x01, *range(0xD0, 0xDA)}
_START_OF_SCAN = b'\xff\xda'
_END_OF_IMAGE = b'\xff\xd9'
# Because chroma is rounded, the channels of a grey JPEG may differ by this much of 255.
GREY_TOLERANCE = 8


def decode_jpeg(data: bytes, name: str) -> np.ndarray:
  """Decodes a grey JPEG file.

  Args:
    data: the bytes of the file.
    name: name of the file, for messages.

  Returns:
    u8 or u16[H, W]. RGB is accepted if every pixel is grey up to rounding. An EXIF
    orientation is not applied, because boxes and masks are in stored pixels.

  Raises:
    RadiographError: the file is truncated or damaged, too large, or not grey.
  """
  check_size(*frame_header(data, name).shape, name)
  try:
    samples = imagecodecs.jpeg8_decode(data)
  except Exception:
    raise damaged(name) from None
  if samples.ndim == 3 and samples.shape[2] == 4:
    raise RadiographError(
      f'{name}: the JPEG has ink colours (CMYK), but a radiograph is grey; export it as greyscale'
    )
  return as_grey(samples, name, tolerance=GREY_TOLERANCE)


class FrameHeader(NamedTuple):
  """What a JPEG or JPEG-LS stream says about its image."""

  shape: tuple[int, int]
  is_jpeg_ls: bool


def frame_header(data: bytes, name: str) -> FrameHeader:
  """Reads the frame header of a JPEG or JPEG-LS stream without decoding it.

  Raises:
    RadiographError: there is no frame header, or the stream is cut off (decoders silently fill the
      missing part with grey).
  """
  # Marker codes cannot occur within coded pixels, so an end marker must follow the last scan.
  if data.rfind(_END_OF_IMAGE) < data.rfind(_START_OF_SCAN):
    raise damaged(name)
  position = 2
  try:
    while data[position] == 0xFF and data[position : position + 2] != _START_OF_SCAN:
      marker = data[position + 1]
      if marker in _START_OF_FRAME:
        return FrameHeader(struct.unpack_from('>HH', data, position + 5), marker == _JPEG_LS)
      if marker in _WITHOUT_SEGMENT:
        break
      # Fill bytes (0xFF) may precede a marker.
      position += 1 if marker == 0xFF else 2 + struct.unpack_from('>H', data, position + 2)[0]
  except (IndexError, struct.error):
    pass
  raise damaged(name)


def damaged(name: str) -> RadiographError:
  return RadiographError(f'{name}: the JPEG is truncated or damaged; copy it again from its source')
