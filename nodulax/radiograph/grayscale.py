"""Converts the stored values of a DICOM image to grey in which dense tissue is bright.

The steps of DICOM PS3.3 C.11.1 (modality) and C.11.2 (values of interest):

1. The first valid modality LUT, else rescale slope and intercept, give the modality value.
2. The first valid VOI LUT, else the first valid window (linear, linear exact or sigmoid), gives a
   grey value from 0 to 1. If the file has neither, the modality values of all storable values
   are mapped linearly to 0 to 1, so that nothing is clipped.
3. MONOCHROME1 is inverted. Presentation LUT Shape never inverts anything: it must be IDENTITY for
   MONOCHROME2 and INVERSE for MONOCHROME1 (C.8.11.3), and if it is not, experience shows that the
   shape is wrong.
4. Files of at most 8 bits without LUT, rescaling or window give `round(255 * grey)` in u8: for 8
   bits, the stored values themselves. All others give `round(65535 * grey)` in u16.

A stored value has at most 16 bits, so all steps are computed once, in float64, as a table.
"""

import numpy as np
import scipy.special

from nodulax.radiograph.dicom_header import Header, LookUpTable
from nodulax.radiograph.record import RadiographError

# A LUT whose entries end this close to a full number of bits is meant to fill it.
_NEARLY_WHITE = 0.99


def grey_table(header: Header, lowest: int, bits: int, name: str) -> np.ndarray:
  """The grey of every value that can be stored.

  Args:
    header: header of the file.
    lowest: the lowest value that can be stored, negative for signed pixels.
    bits: bits of a stored value, 1 to 16.
    name: name of the file, for messages.

  Returns:
    u8 or u16[2 ** bits]; entry i is the grey of the stored value lowest + i.

  Raises:
    RadiographError: the rescaling is invalid.
  """
  with np.errstate(all='ignore'):  # numbers such as 1e300 give infinities, which are checked below
    return _grey_table(header, lowest, bits, name)


def _grey_table(header: Header, lowest: int, bits: int, name: str) -> np.ndarray:
  stored = np.arange(lowest, lowest + (1 << bits))
  modality = _modality_values(header, stored.astype(np.float64))
  if not np.all(np.isfinite(modality)) or modality.min() == modality.max():
    raise RadiographError(
      f'{name}: the rescaling or modality LUT in the header is invalid or makes all pixels equal; '
      'export the file again, or delete these attributes from it'
    )
  grey = _values_of_interest(header, modality)
  unchanged = grey is None and np.array_equal(modality, stored)
  if grey is None:
    bottom, top = modality.min(), modality.max()
    grey = (modality - bottom) / (top - bottom)
  if not np.all(np.isfinite(grey)):
    raise RadiographError(f'{name}: the window in the header is invalid; delete it from the file')
  if header.text('PhotometricInterpretation') == 'MONOCHROME1':
    grey = 1 - grey
  if unchanged and bits <= 8:
    return np.rint(grey * 255).astype(np.uint8)
  return np.rint(grey * 65535).astype(np.uint16)


def padding(header: Header, signed: bool, bits: int) -> tuple[int, int] | None:
  """The lowest and highest stored value that pad the image where there was no detector.

  A value that no pixel can have matches none (C.7.5.1.1.2).

  Args:
    header: header of the file.
    signed: whether the pixels are signed.
    bits: bits of a stored value, as stated in the header.
  """
  value = header.number('PixelPaddingValue', np.nan)
  if not np.isfinite(value):
    return None
  limit = header.number('PixelPaddingRangeLimit', value)
  ends = [int(value), int(limit if np.isfinite(limit) else value)]
  # The values are 16 bits wide, and may have been written with the wrong sign.
  patterns = [_signed(end, bits) if signed else end & 0xFFFF for end in ends]
  # A limit that no pixel can have is ignored, and the other one is the only value.
  possible = [end for end in patterns if signed or end < 1 << bits] or patterns
  return min(possible), max(possible)


def polarity_doubt(header: Header) -> str | None:
  """The doubt if the header contradicts itself about the polarity."""
  photometric, shape = header.text('PhotometricInterpretation'), header.text('PresentationLUTShape')
  right = {'MONOCHROME1': 'INVERSE', 'MONOCHROME2': 'IDENTITY'}.get(photometric, shape)
  if shape == right or shape not in ('INVERSE', 'IDENTITY'):
    return None
  return (
    f'Presentation LUT Shape {shape} contradicts {photometric}, which was followed; check '
    'that bones are bright'
  )


def _signed(value: int, bits: int) -> int:
  """A number that was meant as a signed one of 16 bits, or of `bits`."""
  value &= 0xFFFF
  if value >= 1 << 15:
    return value - (1 << 16)
  return value - (1 << bits) if 1 << bits - 1 <= value < 1 << bits else value


def _modality_values(header: Header, stored: np.ndarray) -> np.ndarray:
  if luts := header.luts['ModalityLUTSequence']:
    return _look_up(luts[0], stored)
  return stored * header.number('RescaleSlope', 1) + header.number('RescaleIntercept', 0)


def _values_of_interest(header: Header, modality: np.ndarray) -> np.ndarray | None:
  """Grey in [0, 1], or None if the file has no valid LUT or window."""
  for lut in header.luts['VOILUTSequence']:
    if lut.entries.min() < lut.entries.max():
      return _look_up(lut, modality) / _white(lut)
  centers, widths = header.numbers('WindowCenter'), header.numbers('WindowWidth')
  for center, width in zip(centers, widths, strict=False):
    if np.isfinite(center) and width > 0:
      return _window(modality, center, width, header.text('VOILUTFunction'))
  return None


def _window(values: np.ndarray, center: float, width: float, function: str) -> np.ndarray:
  if function == 'SIGMOID':
    return scipy.special.expit(4 * (values - center) / width)
  # C.11.2.1.2.1: the ends of a linear window are the centres of grey levels, so a width below 1,
  # which the standard forbids, can only be meant as an exact window.
  if function != 'LINEAR_EXACT' and width >= 1:
    center, width = center - 0.5, width - 1
  if width == 0:
    return (values > center).astype(np.float64)
  return np.clip((values - center) / width + 0.5, 0, 1)


def _look_up(lut: LookUpTable, values: np.ndarray) -> np.ndarray:
  """The entries for `values`, f64; values outside the LUT get its first or last entry."""
  first = lut.first
  if values.min() < 0 and first >= 1 << 15:  # a negative number that was parsed as unsigned
    first -= 1 << 16
  last = len(lut.entries) - 1
  return lut.entries[np.rint(values - first).clip(0, last).astype(np.int64)]


def _white(lut: LookUpTable) -> float:
  """The value of white, from the bits that the file states, or more if the entries need them."""
  stated, largest = (1 << lut.bits) - 1, lut.entries.max()
  full = (1 << int(largest).bit_length()) - 1
  return max(stated, full if largest >= _NEARLY_WHITE * full else largest)
