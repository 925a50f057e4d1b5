"""MetaImage files (.mha), as ITK and the NODE21 challenge write them: a text header, then pixels.

https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

import contextlib
import math
import re
import zlib

import numpy as np

from nodulax.radiograph.record import MAX_BYTES, Radiograph, RadiographError, check_size

_BEGINS = re.compile(rb'\s*(ObjectType|NDims|Comment|ObjectSubType)\s*=')
_LAST_KEY = re.compile(rb'^[ \t]*ElementDataFile[ \t]*=[ \t]*([^\r\n]*)\r?\n', re.MULTILINE)
_LONGEST_HEADER = 16_384  # bytes
_TYPES = {
  'MET_UCHAR': 'u1', 'MET_CHAR': 'i1', 'MET_USHORT': 'u2', 'MET_SHORT': 'i2', 'MET_UINT': 'u4',
  'MET_INT': 'i4', 'MET_FLOAT': 'f4', 'MET_DOUBLE': 'f8',
}  # fmt: skip


def is_metaimage(data: bytes) -> bool:
  """Whether these bytes begin like a MetaImage file."""
  return _BEGINS.match(data[:64]) is not None


def decode_metaimage(data: bytes, name: str) -> Radiograph:
  """Decodes a MetaImage of one grey image with its pixels in the same file.

  Whole numbers from 0 to 65535 are kept; others, and fractions, are mapped linearly to 16 bits,
  from the lowest to the highest.

  Args:
    data: the bytes of the file.
    name: name of the file, for messages.

  Returns:
    The radiograph. A spacing of 1 mm, which ITK writes if it knows none, counts as unknown: the
    chest would be a metre wide.

  Raises:
    RadiographError: the file is truncated or damaged, too large, has several images or channels,
      or its pixels are in another file.
  """
  header, start = _header(data, name)
  shape = _shape(header, name)
  kind = header.get('ElementType', '').upper()
  if kind not in _TYPES or header.get('ElementNumberOfChannels', '1') != '1':
    raise RadiographError(
      f'{name}: elements of type {kind[:20]!r} or several channels; write it again with one '
      f'channel of one of the types {", ".join(_TYPES)}'
    )
  if not _is_true(header, 'BinaryData', True):
    raise RadiographError(f'{name}: pixels as text; write the MetaImage in binary')
  msb = _is_true(header, 'BinaryDataByteOrderMSB', False) or _is_true(
    header, 'ElementByteOrderMSB', False
  )
  dtype = np.dtype(_TYPES[kind]).newbyteorder('>' if msb else '<')
  size = shape[0] * shape[1] * dtype.itemsize
  if size > MAX_BYTES:
    raise RadiographError(
      f'{name}: {size:,} bytes of pixels, but a radiograph has at most {MAX_BYTES:,}; exclude it'
    )
  pixels = data[start:]
  if _is_true(header, 'CompressedData', False):
    stream = zlib.decompressobj()
    pixels = b''
    with contextlib.suppress(zlib.error):
      pixels = stream.decompress(data[start:], size)
      # The checksum follows the last byte of the stream.
      pixels += stream.decompress(stream.unconsumed_tail, 1)
    if not stream.eof:
      raise _damaged(name)
  if len(pixels) != size:
    raise _damaged(name)
  elements = np.frombuffer(pixels, dtype).reshape(shape)
  return Radiograph(_grey(elements, name), spacing_mm=_spacing_mm(header))


def _header(data: bytes, name: str) -> tuple[dict[str, str], int]:
  """The keys of the header, and the position of the pixels."""
  last = _LAST_KEY.search(data[:_LONGEST_HEADER])
  if last is None:
    raise _damaged(name)
  where = last[1].strip().decode('latin-1')
  if where.upper() != 'LOCAL':
    raise RadiographError(
      f'{name}: a MetaImage whose pixels are in another file; write both as one .mha'
    )
  lines = data[: last.start()].decode('latin-1').splitlines()
  pairs = (line.partition('=') for line in lines)
  return {key.strip(): value.strip() for key, _, value in pairs}, last.end()


def _shape(header: dict[str, str], name: str) -> tuple[int, int]:
  """(height, width); a third dimension may hold one image."""
  sides = header.get('DimSize', '').split()
  if len(sides) not in (2, 3) or not all(re.fullmatch('[0-9]{1,9}', side) for side in sides):
    raise _damaged(name)
  width, height, *depth = map(int, sides)
  if depth and depth[0] != 1:
    raise RadiographError(
      f'{name}: {depth[0]} images in one file, but a radiograph is one; export it alone'
    )
  check_size(height, width, name)
  return height, width


def _grey(elements: np.ndarray, name: str) -> np.ndarray:
  """`elements[H, W]` as u8 or u16."""
  if elements.dtype.kind == 'f' and not np.all(np.isfinite(elements)):
    raise RadiographError(f'{name}: pixels that are not finite; write it again')
  if elements.dtype == np.uint8:
    return elements.copy()
  low, high = float(elements.min()), float(elements.max())
  whole = elements.dtype.kind in 'iu' or bool(np.all(elements == np.rint(elements)))
  if whole and low >= 0 and high <= 65535:
    return elements.astype(np.uint16)
  if low == high:
    return np.zeros(elements.shape, np.uint16)
  # Halved, because the range of the largest numbers overflows.
  spread = (elements.astype(np.float64) / 2 - low / 2) / (high / 2 - low / 2)
  return np.rint(spread * 65535).astype(np.uint16)


def _spacing_mm(header: dict[str, str]) -> tuple[float, float] | None:
  texts = (header.get('ElementSpacing') or header.get('ElementSize') or '').split()
  with contextlib.suppress(ValueError):
    spacing = [float(text) for text in texts[:2]]
    valid = len(spacing) == 2 and all(math.isfinite(s) and 1e-3 <= s <= 1e3 for s in spacing)
    if valid and spacing != [1, 1]:
      return spacing[0], spacing[1]
  return None


def _is_true(header: dict[str, str], key: str, default: bool) -> bool:
  value = header.get(key)
  return default if value is None else value[:1].upper() in ('T', '1')


def _damaged(name: str) -> RadiographError:
  return RadiographError(
    f'{name}: the MetaImage is truncated or damaged; copy it again from its source'
  )
