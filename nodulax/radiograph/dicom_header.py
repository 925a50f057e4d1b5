"""The header of a DICOM file, read tolerantly: hospitals' files hold what the standard forbids.

An invalid value counts as absent, and the code that needs it decides what follows. Only the
attributes named below are parsed, so that no name or identifier of a patient can reach a message or
a log.
"""

import contextlib
import dataclasses
import io
import logging
import math
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from nodulax.radiograph.record import MAX_BYTES, RadiographError

_VALUES = (
  'NumberOfFrames', 'SamplesPerPixel', 'PhotometricInterpretation', 'PlanarConfiguration', 'Rows',
  'Columns', 'BitsAllocated', 'BitsStored', 'HighBit', 'PixelRepresentation', 'PixelPaddingValue',
  'PixelPaddingRangeLimit', 'RescaleSlope', 'RescaleIntercept', 'WindowCenter', 'WindowWidth',
  'VOILUTFunction', 'PresentationLUTShape', 'PixelSpacing', 'ImagerPixelSpacing', 'PatientSex',
  'PatientAge', 'ViewPosition', 'PatientOrientation', 'SOPClassUID', 'Modality',
  'BodyPartExamined',
)  # fmt: skip
# Coded attributes, of which the meanings of the codes are read.
_CODES = ('ViewCodeSequence', 'AnatomicRegionSequence')
_LUTS = ('ModalityLUTSequence', 'VOILUTSequence')
# Overlay Bit Position of the sixteen groups that an overlay can have (C.9.2).
_OVERLAY_BIT_POSITIONS = tuple((0x6000 + group << 16) + 0x0102 for group in range(0, 32, 2))
_TEXTS = ('AS', 'CS', 'DS', 'IS', 'LO', 'SH', 'ST', 'LT', 'UI')
_DEFLATED = DeflatedExplicitVRLittleEndian.encode()
_EXPLICIT = ExplicitVRLittleEndian.encode().ljust(len(_DEFLATED), b'\0')
_NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?')

_parsing = threading.Lock()


@dataclasses.dataclass(frozen=True, eq=False)
class LookUpTable:
  """A modality or VOI LUT (C.11.1.1.1).

  Attributes:
    entries: f64[N], at least one.
    first: the input value of the first entry; unsigned if the file does not say.
    bits: bits per entry, as stated in the file.
  """

  entries: np.ndarray
  first: int
  bits: int


@dataclasses.dataclass(frozen=True, eq=False)
class Header:
  """What a DICOM file says about its image.

  Attributes:
    values: values of each attribute by keyword: text without padding, or numbers if binary.
    luts: the valid LUTs of each sequence, by keyword.
    overlay_bits: the bits of a pixel that belong to overlays.
    pixel_data: as stored in the file; None if there is none.
    words: whether the pixels are stored as 16-bit words.
    undefined_length: whether the pixels are stored without their length, as compressed ones are.
    little_endian: the byte order.
    syntax: the transfer syntax, if the file states it.
  """

  values: dict[str, list[str | int]]
  luts: dict[str, list[LookUpTable]]
  overlay_bits: int
  pixel_data: bytes | None
  words: bool
  undefined_length: bool
  little_endian: bool
  syntax: UID | None

  def texts(self, keyword: str) -> list[str]:
    """The values of an attribute as upper-case text."""
    return [str(value).upper() for value in self.values[keyword]]

  def text(self, keyword: str) -> str:
    """The only value of an attribute as upper-case text; empty if there is none or several."""
    texts = self.texts(keyword)
    return texts[0] if len(texts) == 1 else ''

  def numbers(self, keyword: str) -> list[float]:
    """The values of an attribute, NaN if not a number; decimal commas are accepted."""
    texts = [str(value).replace(',', '.') for value in self.values[keyword]]
    numbers = [float(text) if _NUMBER.fullmatch(text) else math.nan for text in texts]
    return [number if math.isfinite(number) else math.nan for number in numbers]

  def words_of(self, keyword: str) -> set[str]:
    """The words of an attribute, or of the meaning of a coded one, in capitals."""
    return set(re.findall('[A-Z]+', ' '.join(self.texts(keyword))))

  def number(self, keyword: str, default: float) -> float:
    """The first value of an attribute: `default` if absent or empty, NaN if invalid."""
    return self.numbers(keyword)[0] if any(self.texts(keyword)[:1]) else default

  def whole(self, keyword: str, default: int | None = None) -> int:
    """A whole number that is needed to read the pixels.

    Raises:
      ValueError: it is absent and has no default, or it is not a number.
    """
    return int(self.number(keyword, math.nan if default is None else default))


def read_header(data: bytes, name: str) -> Header:
  """Parses all attributes that are used, at once.

  Args:
    data: the bytes of the file.
    name: name of the file, for messages.

  Raises:
    RadiographError: the file is deflated, and is damaged or too large.
    Exception: almost anything from pydicom, if the file is broken.
  """
  data = inflated(data, name)
  tags = [*map(_tag, (*_VALUES, *_LUTS, *_CODES, 'PixelData')), *_OVERLAY_BIT_POSITIONS]
  with pydicom_silenced():
    dataset = pydicom.dcmread(io.BytesIO(data), force=True, specific_tags=tags)
    little_endian = bool(dataset.original_encoding[1])
    bits = [bit for tag in _OVERLAY_BIT_POSITIONS for bit in _values(dataset, tag)]
    pixels = dataset.get(_tag('PixelData'))
    return Header(
      values={keyword: _values(dataset, _tag(keyword)) for keyword in _VALUES}
      | {keyword: _meanings(dataset, keyword) for keyword in _CODES},
      luts={keyword: _look_up_tables(dataset, keyword, little_endian) for keyword in _LUTS},
      overlay_bits=sum({1 << bit for bit in bits if isinstance(bit, int) and bit < 16}),
      pixel_data=None if pixels is None else pixels.value,
      words=pixels is not None and pixels.VR == 'OW',
      undefined_length=pixels is not None and pixels.is_undefined_length,
      little_endian=little_endian,
      syntax=dataset.file_meta.get('TransferSyntaxUID'),
    )


def inflated(data: bytes, name: str) -> bytes:
  """Inflates a file of the deflated transfer syntax (PS3.5 A.5); returns any other unchanged.

  pydicom would inflate such a file whole, however large it becomes.

  Args:
    data: the bytes of the file.
    name: name of the file, for messages.

  Raises:
    RadiographError: the file is truncated or damaged, or would take more than `MAX_BYTES`.
  """
  if _DEFLATED not in data:
    return data
  start = 132 if data[128:132] == b'DICM' else 0
  # The file meta information begins with its length (PS3.10 7.1).
  if data[start : start + 6] == b'\x02\x00\x00\x00UL' and len(data) >= start + 12:
    start += 12 + struct.unpack_from('<I', data, start + 8)[0]
    meta = data[:start].replace(_DEFLATED, _EXPLICIT)
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    with contextlib.suppress(zlib.error):
      body = stream.decompress(data[start:], MAX_BYTES)
      # A transfer syntax left in the file would make pydicom inflate it once more.
      if stream.eof and _DEFLATED not in meta + body[:4096]:
        return meta + body
      if len(body) == MAX_BYTES:
        raise RadiographError(
          f'{name}: more than {MAX_BYTES:,} bytes when inflated, but a radiograph has at '
          'most that many; exclude it'
        )
  raise RadiographError(
    f'{name}: the deflated DICOM file is truncated, damaged or invalid; export it again'
  )


@contextlib.contextmanager
def pydicom_silenced() -> Iterator[None]:
  """Keeps pydicom's warnings, which may quote any part of a broken file, from users and logs."""
  logger = logging.getLogger('pydicom')
  # Warning filters and loggers belong to the whole process, hence one thread at a time.
  with _parsing, warnings.catch_warnings():
    warnings.simplefilter('ignore')
    logger.disabled = True
    try:
      yield
    finally:
      logger.disabled = False


def _tag(keyword: str) -> int:
  tag = tag_for_keyword(keyword)
  assert tag is not None
  return tag


def _values(dataset: pydicom.Dataset, tag: int) -> list[Any]:
  """The values of an attribute; none if it is absent or cannot be read."""
  if tag not in dataset:
    return []
  element = dataset.get_item(tag)
  # The text before pydicom converts it to numbers, which works only for valid ones.
  if isinstance(element, RawDataElement):
    vr = dictionary_VR(tag) if element.VR in (None, 'UN') else element.VR
    if vr in _TEXTS:
      text = (element.value or b'').decode('latin-1')
      return [value.strip(' \0\t\r\n') for value in text.split('\\')]
  try:
    value = dataset[tag].value
  except Exception:  # pydicom raises almost anything
    return []
  return [] if value is None else np.atleast_1d(value).tolist()


def _meanings(dataset: pydicom.Dataset, keyword: str) -> list[str | int]:
  """The meanings of a sequence of codes; none if it cannot be read."""
  with contextlib.suppress(Exception):
    return [str(item.get('CodeMeaning', '')) for item in dataset.get(keyword) or ()]
  return []


def _look_up_tables(
  dataset: pydicom.Dataset, keyword: str, little_endian: bool
) -> list[LookUpTable]:
  """The valid LUTs of a sequence."""
  luts = []
  with contextlib.suppress(Exception):  # a sequence that cannot be read holds none
    for item in dataset.get(keyword) or ():
      with contextlib.suppress(Exception):
        luts.append(_look_up_table(item, little_endian))
  return luts


def _look_up_table(item: pydicom.Dataset, little_endian: bool) -> LookUpTable:
  """Parses a LUT; raises some exception if the item holds none."""
  count, first, bits = (int(number) for number in item.LUTDescriptor)
  count = count or 1 << 16
  order, given = '<' if little_endian else '>', item.LUTData
  as_bytes = isinstance(given, bytes)
  data = given if as_bytes else np.atleast_1d(given).astype(f'{order}u2').tobytes()
  words = np.frombuffer(data[: len(data) // 2 * 2], f'{order}u2')
  # A padding byte may make the number of bytes even.
  single = np.frombuffer(data, np.uint8)[:count]
  # With exactly as many bytes as entries, each entry is a byte, whatever the descriptor says.
  packed = (as_bytes and bits <= 8 and len(data) <= count + 1) or (
    bits > 8 and count > 2 and len(data) == count + count % 2
  )
  bits = min(bits, 8) if packed else bits
  entries = (single if packed else words[:count]).astype(np.float64)
  if not 0 <= bits <= 16 or not entries.size or not np.all(np.isfinite(entries)):
    raise ValueError('a LUT without entries')
  return LookUpTable(entries, first, bits)
