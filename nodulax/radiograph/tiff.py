"""TIFF files (TIFF 6.0, and BigTIFF), checked before they are decoded."""

import struct
from collections.abc import Iterator

import imagecodecs
import numpy as np

from nodulax.radiograph.jpeg import GREY_TOLERANCE
from nodulax.radiograph.record import RadiographError, as_grey, check_size

SIGNATURES = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_SAMPLES, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT, _DEPTH = 277, 322, 323, 339, 32997
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR = 0, 1, 2, 6
_JPEG = (6, 7)  # lossy compressions
_NUMBERS = {1: 'B', 3: 'H', 4: 'I', 16: 'Q'}  # the types of whole numbers
_MOST_PAGES = 64
# How many values of a tag are read.
_MOST_VALUES = 4

Page = dict[int, list[int]]


def decode_tiff(data: bytes, name: str) -> np.ndarray:
  """Decodes a grey TIFF of one page.

  Args:
    data: the bytes of the file.
    name: name of the file, for messages.

  Returns:
    u8 or u16[H, W], with the file's polarity. RGB is accepted if every pixel is grey. An
    orientation tag is not applied, because boxes and masks are in stored pixels.

  Raises:
    RadiographError: the file is truncated or damaged, too large, not grey, has several pages, or
      its samples are not whole numbers of 8 or 16 bits.
  """
  try:
    pages = list(_pages(data))
  except (struct.error, IndexError, OverflowError):
    raise _damaged(name) from None
  page = _only_page(pages, name)
  shape = _first(page, _HEIGHT, 0), _first(page, _WIDTH, 0)
  _check(page, shape, name)
  try:
    samples = imagecodecs.tiff_decode(data)
  except Exception:
    raise _damaged(name) from None
  if samples.shape[:2] != shape or samples.ndim > 3 or samples.dtype not in (np.uint8, np.uint16):
    raise _damaged(name)
  lossy = _first(page, _COMPRESSION, 1) in _JPEG
  grey = as_grey(samples, name, tolerance=GREY_TOLERANCE if lossy else 0)
  white_is_zero = page[_PHOTOMETRIC][0] == _WHITE_IS_ZERO
  return np.iinfo(grey.dtype).max - grey if white_is_zero else grey


def _only_page(pages: list[Page], name: str) -> Page:
  # If the lowest bit is set, the page is a smaller copy of another.
  whole = [page for page in pages if not _first(page, _SUBFILE, 0) & 1]
  if len(whole) != 1 or whole[0] is not pages[0]:
    raise RadiographError(
      f'{name}: a TIFF of {len(whole)} pages, but a radiograph has one; export it alone'
    )
  return pages[0]


def _check(page: Page, shape: tuple[int, int], name: str) -> None:
  """Raises RadiographError for a page that is not a grey image of an accepted size."""
  check_size(*shape, name)
  tile = _first(page, _TILE_HEIGHT, 1), _first(page, _TILE_WIDTH, 1)
  check_size(*tile, name)
  if any(len(set(values)) > 1 for tag, values in page.items() if tag in (_WIDTH, _HEIGHT)):
    raise _damaged(name)
  photometric = _first(page, _PHOTOMETRIC, -1)
  if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR):
    raise RadiographError(
      f'{name}: a TIFF of a palette, of inks (CMYK) or the like (photometric interpretation '
      f'{photometric}), but a radiograph is grey; export it as greyscale'
    )
  bits, kinds = set(page.get(_BITS, [1])), set(page.get(_SAMPLE_FORMAT, [1]))
  samples = _first(page, _SAMPLES, 1)
  if bits not in ({8}, {16}) or kinds != {1} or samples > 4 or _first(page, _DEPTH, 1) != 1:
    raise RadiographError(
      f'{name}: a TIFF with samples of {", ".join(map(str, sorted(bits)))} bits, sample format '
      f'{", ".join(map(str, sorted(kinds)))}, {samples} per pixel; export it with 8 or 16 unsigned '
      'bits per pixel'
    )


def _pages(data: bytes) -> Iterator[Page]:
  """Yields the tags of each page, except those that are not whole numbers.

  Raises:
    struct.error, IndexError, OverflowError: the file is cut off, or has too many pages.
  """
  order, big = '<' if data[:2] == b'II' else '>', data[2:4] in (b'+\0', b'\0+')
  offset_form, count_form = (order + form for form in ('QQ' if big else 'IH'))
  (start,) = struct.unpack_from(offset_form, data, 8 if big else 4)
  seen: set[int] = set()
  while start:
    if start in seen or len(seen) == _MOST_PAGES:
      raise IndexError('pages without an end')
    seen.add(start)
    (count,) = struct.unpack_from(count_form, data, start)
    start += struct.calcsize(count_form)
    size = 20 if big else 12
    if start + count * size > len(data):
      raise IndexError('a page that is cut off')
    page: Page = {}
    for at in range(start, start + count * size, size):
      tag, numbers = _values(data, at, order, big)
      page.setdefault(tag, []).extend(numbers)
    yield page
    (start,) = struct.unpack_from(offset_form, data, start + count * size)


def _values(data: bytes, at: int, order: str, big: bool) -> tuple[int, list[int]]:
  """The tag at this position and its first values; none if they are not whole numbers."""
  tag, kind = struct.unpack_from(order + 'HH', data, at)
  (count,) = struct.unpack_from(order + ('Q' if big else 'I'), data, at + 4)
  if kind not in _NUMBERS or not count:
    return tag, []
  form = _NUMBERS[kind]
  place, inline = (at + 12, 8) if big else (at + 8, 4)
  if count * struct.calcsize('=' + form) > inline:
    (place,) = struct.unpack_from(order + ('Q' if big else 'I'), data, place)
  return tag, list(struct.unpack_from(f'{order}{min(count, _MOST_VALUES)}{form}', data, place))


def _first(page: Page, tag: int, default: int) -> int:
  return (page.get(tag) or [default])[0]


def _damaged(name: str) -> RadiographError:
  return RadiographError(f'{name}: the TIFF is truncated or damaged; copy it again from its source')
