"""From the stored values of a DICOM image to grey in which dense tissue is bright.

The steps of DICOM PS3.3 C.11.1 (modality) and C.11.2 (values of interest):

1. The modality LUT, else rescale slope and intercept, give the modality value.
2. The first VOI LUT, else the first window (linear, linear exact or sigmoid), gives a grey value
   from 0 to 1. Where the file has neither, the modality values of all storable values are spread
   linearly over 0 to 1, so that nothing is clipped.
3. MONOCHROME1 is turned over. Pixel padding (C.7.5.1.1.2) becomes 0.
4. Files of at most 8 stored bits without LUT, rescaling or window give `round(255 * grey)` in u8:
   for 8 bits, the stored values themselves. All others give `round(65535 * grey)` in u16.

A stored value has at most 16 bits, so the whole is worked out once, in float64, as a table.
"""

import numpy as np
import pydicom
import scipy.special

from nodulax.radiograph.record import RadiographError


def grey_table(dataset: pydicom.Dataset, lowest: int, bits_stored: int, name: str) -> np.ndarray:
  """The grey of every value that can be stored.

  Args:
    dataset: the attributes of the image, PhotometricInterpretation among them.
    lowest: the lowest value that can be stored, negative for signed pixels.
    bits_stored: 1 to 16.
    name: of the file, for messages.

  Returns:
    u8 or u16[2 ** bits_stored]; entry i is the grey of the stored value lowest + i.

  Raises:
    RadiographError: a window or LUT is invalid.
  """
  stored = np.arange(lowest, lowest + (1 << bits_stored))
  modality = _modality_values(dataset, stored.astype(np.float64))
  grey = _values_of_interest(dataset, modality)
  unchanged = grey is None and np.array_equal(modality, stored)
  if grey is None:
    bottom, top = modality.min(), modality.max()
    grey = (modality - bottom) / (top - bottom) if top > bottom else np.full_like(modality, np.nan)
  if not np.all(np.isfinite(grey)):
    raise RadiographError(
      f'{name}: the rescaling, window or LUT in the header is invalid; export the file again, or '
      'delete these attributes from it'
    )
  if dataset.PhotometricInterpretation == 'MONOCHROME1':
    grey = 1 - grey
  grey[_is_padding(dataset, stored)] = 0
  if unchanged and bits_stored <= 8:
    return np.rint(grey * 255).astype(np.uint8)
  return np.rint(grey * 65535).astype(np.uint16)


def _modality_values(dataset: pydicom.Dataset, stored: np.ndarray) -> np.ndarray:
  if luts := dataset.get('ModalityLUTSequence'):
    return _look_up(dataset, luts[0], stored)[0]
  slope, intercept = dataset.get('RescaleSlope'), dataset.get('RescaleIntercept')
  return stored * float(1 if slope is None else slope) + float(intercept or 0)


def _values_of_interest(dataset: pydicom.Dataset, modality: np.ndarray) -> np.ndarray | None:
  """Grey in [0, 1], NaN where the window is invalid, or None where the file has no window."""
  if luts := dataset.get('VOILUTSequence'):
    values, bits = _look_up(dataset, luts[0], modality)
    return values / ((1 << bits) - 1)
  centers, widths = dataset.get('WindowCenter'), dataset.get('WindowWidth')
  if centers is None or widths is None:
    return None
  center, width = float(np.atleast_1d(centers)[0]), float(np.atleast_1d(widths)[0])
  function = dataset.get('VOILUTFunction') or 'LINEAR'
  if not width > 0:
    return np.full_like(modality, np.nan)
  if function == 'SIGMOID':
    return scipy.special.expit(4 * (modality - center) / width)
  if function == 'LINEAR':  # C.11.2.1.2.1: the window's ends are the centres of grey levels
    center, width = center - 0.5, width - 1
  if width == 0:
    return (modality > center).astype(np.float64)
  return np.clip((modality - center) / width + 0.5, 0, 1)


def _look_up(
  dataset: pydicom.Dataset, lut: pydicom.Dataset, values: np.ndarray
) -> tuple[np.ndarray, int]:
  """Applies a modality or VOI LUT (C.11.1.1.1); values beyond its ends take the end's entry.

  Returns:
    The entries for `values`, f64, and the bits of an entry.
  """
  entries, first, bits = (int(number) for number in lut.LUTDescriptor)
  entries = entries or 1 << 16
  if values.min() < 0 and first >= 1 << 15:  # a negative number that was parsed as unsigned
    first -= 1 << 16
  data = lut.LUTData
  if isinstance(data, bytes):
    size = 1 if len(data) < 2 * entries else 2
    data = np.frombuffer(data, f'{"<" if dataset.original_encoding[1] else ">"}u{size}')
  table = np.asarray(data, np.float64)[:entries]
  return table[np.rint(values - first).clip(0, entries - 1).astype(np.int64)], bits


def _is_padding(dataset: pydicom.Dataset, stored: np.ndarray) -> np.ndarray:
  """Which stored values fill the image where there was no detector, bool like `stored`."""
  padding = dataset.get('PixelPaddingValue')
  if padding is None:
    return np.zeros(stored.shape, bool)
  limit = dataset.get('PixelPaddingRangeLimit')
  ends = [int(padding), int(padding if limit is None else limit)]
  # Both may have been parsed with the wrong sign, and only the stored bits of them count.
  low, high = sorted((end - stored[0]) % stored.size + stored[0] for end in ends)
  return (low <= stored) & (stored <= high)
