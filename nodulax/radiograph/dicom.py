"""Chest radiographs from DICOM files, as hospitals export them.

Of a file only the attributes named below are parsed, so that no name or identifier of a patient
can reach a message or a log.
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
from collections.abc import Iterator
from typing import Self

import imagecodecs
import numpy as np
import pydicom
from pydicom.encaps import generate_frames
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from nodulax.radiograph import jpeg
from nodulax.radiograph.grayscale import grey_table
from nodulax.radiograph.record import OLDEST, Radiograph, RadiographError, Sex, View, check_size

_ATTRIBUTES = [
  'NumberOfFrames', 'SamplesPerPixel', 'PhotometricInterpretation', 'Rows', 'Columns',
  'BitsAllocated', 'BitsStored', 'HighBit', 'PixelRepresentation', 'PixelPaddingValue',
  'PixelPaddingRangeLimit', 'PixelData', 'ModalityLUTSequence', 'RescaleSlope',
  'RescaleIntercept', 'VOILUTSequence', 'WindowCenter', 'WindowWidth', 'VOILUTFunction',
  'PixelSpacing', 'ImagerPixelSpacing', 'PatientSex', 'PatientAge', 'ViewPosition',
  'PatientOrientation',
]  # fmt: skip
_JPEG_2000_CODESTREAM = b'\xff\x4f\xff\x51'
_JPEG_2000_FILE = b'\x00\x00\x00\x0cjP  '
_SEXES: dict[str, Sex] = {'F': 'female', 'M': 'male'}
_VIEWS: dict[str, View] = {'PA': 'PA', 'AP': 'AP'}
# How the standard's terms for other views begin (LL, RL, LLD, RLD, LLO, RLO), and LATERAL, OBLIQUE.
_NOT_FRONTAL = ('L', 'R', 'OBL')
_YEARS = {'D': 1 / 365.25, 'W': 7 / 365.25, 'M': 1 / 12, 'Y': 1.0, '': 1.0}

_parsing = threading.Lock()


def is_dicom(data: bytes) -> bool:
  """Whether these bytes begin as a DICOM file does, with or without preamble and file meta."""
  return data[128:132] == b'DICM' or data[:2] in (b'\x02\x00', b'\x08\x00', b'\x00\x08')


def decode_dicom(data: bytes, name: str) -> Radiograph:
  """Decodes a DICOM file.

  Uncompressed, RLE, JPEG (baseline, extended, lossless), JPEG-LS, JPEG 2000 and high-throughput
  JPEG 2000 pixels are read. How stored values become grey stands in `grayscale`.

  Args:
    data: the bytes of the file.
    name: of the file, for messages.

  Returns:
    The radiograph. Its spacing is Pixel Spacing, else Imager Pixel Spacing.

  Raises:
    RadiographError: the file holds no single grey image, is too large, truncated, damaged or
      invalid, or is compressed in a way that is not read.
  """
  try:
    dataset = _parse(data, name)
    layout = _Layout.of(dataset, name)
    grey = grey_table(dataset, layout.lowest, layout.bits_stored, name)
    samples = _samples(dataset, layout, name)
    return Radiograph(
      # A lossy decoder may step over the ends of the stored range.
      pixels=grey.take(layout.table_index(samples), mode='clip'),
      spacing_mm=_spacing_mm(dataset),
      sex=_SEXES.get(dataset.get('PatientSex'), 'unknown'),
      age=_age(dataset),
      view=_VIEWS.get(dataset.get('ViewPosition'), 'unknown'),
      frontal=not str(dataset.get('ViewPosition') or '').upper().startswith(_NOT_FRONTAL),
      orientation=_orientation(dataset),
    )
  except RadiographError:
    raise
  except Exception:
    # Broken files make pydicom raise almost anything, with values of the file in the message.
    raise RadiographError(
      f'{name}: the DICOM file is truncated, damaged or invalid; export it again'
    ) from None


def _parse(data: bytes, name: str) -> pydicom.Dataset:
  """Parses the attributes that are used, all of them now."""
  # pydicom would inflate the whole file, however large, before its header can be seen.
  if DeflatedExplicitVRLittleEndian.encode() in data[:4096]:
    raise _unsupported('deflated', name)
  with pydicom_silenced():
    dataset = pydicom.dcmread(io.BytesIO(data), force=True, specific_tags=_ATTRIBUTES)
    for _ in dataset.iterall():
      pass
  return dataset


@contextlib.contextmanager
def pydicom_silenced() -> Iterator[None]:
  """Keeps pydicom's warnings, which may quote any part of a broken file, from users and logs."""
  logger = logging.getLogger('pydicom')
  # Warning filters and loggers belong to the whole process: one thread at a time.
  with _parsing, warnings.catch_warnings():
    warnings.simplefilter('ignore')
    logger.disabled = True
    try:
      yield
    finally:
      logger.disabled = False


@dataclasses.dataclass(frozen=True)
class _Layout:
  """How the pixels are stored (PS3.3 C.7.6.3.1)."""

  shape: tuple[int, int]
  bits_allocated: int
  bits_stored: int
  high_bit: int
  signed: bool

  @classmethod
  def of(cls, dataset: pydicom.Dataset, name: str) -> Self:
    """Reads the layout; raises RadiographError where it is not that of one grey image."""
    if 'PixelData' not in dataset:
      raise RadiographError(
        f'{name}: the DICOM object holds no pixels (it is a report, a presentation state or '
        'truncated); export the image itself, or exclude the file'
      )
    frames = int(dataset.get('NumberOfFrames') or 1)
    if frames != 1:
      raise RadiographError(
        f'{name}: {frames} frames, where a radiograph has one; export one frame, or exclude it'
      )
    if (
      dataset.get('PhotometricInterpretation') not in ('MONOCHROME1', 'MONOCHROME2')
      or dataset.get('SamplesPerPixel', 1) != 1
    ):
      raise RadiographError(
        f'{name}: a colour image, or its polarity is not stated; export it as MONOCHROME1 or '
        'MONOCHROME2, or exclude it'
      )
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    high_bit = int(dataset.get('HighBit', stored - 1))
    if allocated not in (8, 16) or not 1 <= stored <= high_bit + 1 <= allocated:
      raise RadiographError(
        f'{name}: {stored} bits stored, up to bit {high_bit}, of {allocated} allocated; export '
        'the image with 8 to 16 bits a pixel'
      )
    shape = int(dataset.Rows), int(dataset.Columns)
    check_size(*shape, name)
    return cls(shape, allocated, stored, high_bit, bool(dataset.get('PixelRepresentation', 0)))

  @property
  def lowest(self) -> int:
    """The lowest of the `2 ** bits_stored` values that can be stored."""
    return -(1 << self.bits_stored - 1) if self.signed else 0

  def table_index(self, samples: np.ndarray) -> np.ndarray:
    """What to add to `lowest` to get the stored values of decompressed samples: intp[H, W]."""
    index = samples.astype(np.intp) - self.lowest
    if self.signed and samples.dtype.kind == 'u':  # two's complement, which not all codecs know
      index &= (1 << self.bits_stored) - 1
    return index


def _samples(dataset: pydicom.Dataset, layout: _Layout, name: str) -> np.ndarray:
  """The decompressed pixels, u or i[H, W], their highest bit the highest that is stored."""
  if not dataset['PixelData'].is_undefined_length:
    pixels = dataset.PixelData
    if not dataset.original_encoding[1] and dataset['PixelData'].VR == 'OW':  # big endian words
      pixels = np.frombuffer(pixels, '>u2').astype('<u2').tobytes()
    return _native_samples(pixels, layout, name)
  with pydicom_silenced():
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
  syntax = dataset.file_meta.get('TransferSyntaxUID')
  # The stream tells better than the transfer syntax what it is: some archives confuse them.
  if frame.startswith(jpeg.SIGNATURE):
    header = jpeg.frame_header(frame, name)
    shape = header.shape
    decode = imagecodecs.jpegls_decode if header.is_jpeg_ls else imagecodecs.jpeg8_decode
  elif frame.startswith((_JPEG_2000_CODESTREAM, _JPEG_2000_FILE)):
    shape = _jpeg_2000_shape(frame)
    decode = imagecodecs.jpeg2k_decode
  elif syntax == RLELossless:
    pixels = imagecodecs.dicomrle_decode(frame, f'<u{layout.bits_allocated // 8}')
    return _native_samples(pixels, layout, name)
  else:
    raise _unsupported(getattr(syntax, 'name', 'an unknown transfer syntax'), name)
  # The decoders take memory for the size in the stream, so that is looked at first.
  samples = decode(frame) if shape == layout.shape else None
  if samples is None or samples.shape != layout.shape:
    raise RadiographError(
      f'{name}: the compressed image is not of the size that the header states; export it again'
    )
  return samples


def _native_samples(data: bytes | bytearray, layout: _Layout, name: str) -> np.ndarray:
  """Little-endian pixels, u[H, W], without the bits above and below the stored ones."""
  count = layout.shape[0] * layout.shape[1]
  size = layout.bits_allocated // 8
  if len(data) < count * size:
    raise RadiographError(
      f'{name}: {len(data)} bytes of pixels, where the header promises {count * size}; the file '
      'is truncated, export it again'
    )
  samples = np.frombuffer(data, f'<u{size}', count).reshape(layout.shape)
  above = layout.bits_allocated - 1 - layout.high_bit
  below = layout.high_bit + 1 - layout.bits_stored
  return samples << above >> above + below


def _jpeg_2000_shape(stream: bytes) -> tuple[int, int]:
  """(height, width) from the SIZ segment (ITU-T T.800 A.5.1)."""
  start = stream.index(_JPEG_2000_CODESTREAM) + len(_JPEG_2000_CODESTREAM)
  x_end, y_end, x_start, y_start = struct.unpack_from('>IIII', stream, start + 4)
  return y_end - y_start, x_end - x_start


def _spacing_mm(dataset: pydicom.Dataset) -> tuple[float, float] | None:
  for keyword in ('PixelSpacing', 'ImagerPixelSpacing'):
    spacing = dataset.get(keyword)
    if spacing and len(spacing) == 2 and all(1e-3 <= float(step) <= 1e3 for step in spacing):
      between_rows, between_columns = map(float, spacing)
      return between_columns, between_rows
  return None


def _age(dataset: pydicom.Dataset) -> float:
  """Years from an age string such as 062Y or 018M; NaN where there is none that anyone reaches."""
  match = re.fullmatch(r'(\d{1,3})([DWMY]?)', str(dataset.get('PatientAge')).strip())
  years = int(match[1]) * _YEARS[match[2]] if match else math.nan
  return years if years <= OLDEST else math.nan


def _orientation(dataset: pydicom.Dataset) -> str:
  """The first letters of Patient Orientation (C.7.6.1.1.1) where they suit a frontal view."""
  orientation = dataset.get('PatientOrientation') or ()
  letters = ''.join(str(direction)[:1] for direction in orientation)
  return letters if letters in ('LF', 'RF', 'LH', 'RH') else 'LF'


def _unsupported(syntax: str, name: str) -> RadiographError:
  return RadiographError(
    f'{name}: pixels compressed as {syntax} are not read; export the file uncompressed, or '
    'convert it with `gdcmconv --raw` (GDCM)'
  )
