"""Chest radiographs from DICOM files, as hospitals export them."""

import dataclasses
import math
import re

import numpy as np

from nodulax.radiograph import grayscale, guard, orientation
from nodulax.radiograph.dicom_header import Header, read_header
from nodulax.radiograph.dicom_pixels import Layout, Stored, stored_values
from nodulax.radiograph.lungs import find_lung_box
from nodulax.radiograph.orientation import Turn
from nodulax.radiograph.record import OLDEST, Radiograph, RadiographError, Sex, View

_SEXES: dict[str, Sex] = {'F': 'female', 'M': 'male'}
_VIEWS: dict[str, View] = {'PA': 'PA', 'AP': 'AP'}
# A colour picture has none of these, whatever its file says.
_NO_GREY_SCALE: dict = dict.fromkeys(('RescaleSlope', 'RescaleIntercept', 'WindowCenter'), [])
_YEARS = {'D': 1 / 365.25, 'W': 7 / 365.25, 'M': 1 / 12, 'Y': 1.0, '': 1.0}


def is_dicom(data: bytes) -> bool:
  """Whether these bytes begin like a DICOM file, with or without preamble and file meta."""
  return data[128:132] == b'DICM' or data[:2] in (b'\x02\x00', b'\x08\x00', b'\x00\x08')


def decode_dicom(data: bytes, name: str) -> Radiograph:
  """Decodes a DICOM file.

  Uncompressed, deflated, RLE, JPEG (baseline, extended, lossless), JPEG-LS, JPEG 2000 and
  high-throughput JPEG 2000 pixels are read, and RGB if every pixel is grey. `grayscale` describes
  how stored values become grey. An invalid attribute is treated as absent, unless the pixels cannot
  be read without it.

  Args:
    data: the bytes of the file.
    name: name of the file, for messages.

  Returns:
    The radiograph, upright. Its spacing is Pixel Spacing, else Imager Pixel Spacing.

  Raises:
    RadiographError: the file does not hold exactly one grey image, is too large, truncated,
      damaged or invalid, or has an unsupported compression.
  """
  try:
    header = read_header(data, name)
    layout = Layout.of(header, name)
    stored = stored_values(header, layout, name)
    return _radiograph(header, layout, stored, name)
  except RadiographError:
    raise
  except Exception:
    # On broken files pydicom raises almost anything, with values from the file in the message.
    raise RadiographError(
      f'{name}: the DICOM file is truncated, damaged or invalid; export it again'
    ) from None


def _radiograph(header: Header, layout: Layout, stored: Stored, name: str) -> Radiograph:
  if layout.channels == 3:  # a picture that is displayed unchanged
    header = dataclasses.replace(
      header, values=header.values | _NO_GREY_SCALE, luts=dict.fromkeys(header.luts, [])
    )
  grey = grayscale.grey_table(header, stored.lowest, stored.bits, name)
  # A lossy decoder may exceed the stored range.
  pixels = grey.take(stored.values - stored.lowest, mode='clip')
  pixels[stored.padded] = 0
  letters, orientation_doubt = _orientation(header, pixels)
  turn = Turn.of(letters)
  spacing = _spacing_mm(header)
  doubts = (stored.doubt, grayscale.polarity_doubt(header), orientation_doubt)
  return Radiograph(
    pixels=turn.upright(pixels),
    spacing_mm=None if spacing is None else turn.swapped(spacing),
    sex=_SEXES.get(header.text('PatientSex'), 'unknown'),
    age=_age(header),
    view=_VIEWS.get(header.text('ViewPosition'), 'unknown'),
    objection=guard.header_objection(header),
    orientation=letters and orientation.UPRIGHT,
    turn=turn,
    doubts=tuple(doubt for doubt in doubts if doubt),
  )


def _spacing_mm(header: Header) -> tuple[float, float] | None:
  for keyword in ('PixelSpacing', 'ImagerPixelSpacing'):
    spacing = header.numbers(keyword)
    if len(spacing) == 2 and all(1e-3 <= step <= 1e3 for step in spacing):
      between_rows, between_columns = spacing
      return between_columns, between_rows
  return None


def _age(header: Header) -> float:
  """Years from an age string such as 062Y or 018M; NaN if it is missing or implausible."""
  match = re.fullmatch(r'(\d{1,3})([DWMY]?)', header.text('PatientAge'), re.ASCII)
  years = int(match[1]) * _YEARS[match[2]] if match else math.nan
  return years if years <= OLDEST else math.nan


def _orientation(header: Header, pixels: np.ndarray) -> tuple[str, str | None]:
  """The first letters of Patient Orientation, and doubts about them.

  A radiograph without it is assumed to be stored as if one faced the patient, as all viewers do.
  If it says that the image is turned, but the stored `pixels` show an upright chest, the image is
  not turned.
  """
  directions = [direction for direction in header.texts('PatientOrientation') if direction]
  if not directions:
    return orientation.UPRIGHT, None
  letters = orientation.frontal_letters(directions)
  if letters == orientation.UPRIGHT:
    return letters, None
  if letters == orientation.UNKNOWN:
    return letters, (
      'Patient Orientation is not that of a frontal view, so left and right are unknown'
    )
  upright = Turn.of(letters).upright(pixels)
  if _is_refused(upright) and not _is_refused(pixels):
    return orientation.UNKNOWN, (
      f'Patient Orientation is {letters[0]}\\{letters[1]}, but the picture is stored '
      'upright, so left and right are unknown'
    )
  return letters, (
    f'Patient Orientation is {letters[0]}\\{letters[1]}, so the picture was turned upright'
  )


def _is_refused(pixels: np.ndarray) -> bool:
  return bool(guard.pixel_objection(pixels, find_lung_box(pixels)))
