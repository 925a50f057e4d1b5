"""The pixels of a DICOM file: how they are stored, and their values."""

import dataclasses
import struct
from typing import Self

import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.encaps import generate_frames

from nodulax.radiograph import grayscale, jpeg
from nodulax.radiograph.dicom_header import Header, pydicom_silenced
from nodulax.radiograph.record import RadiographError, as_grey, check_size

_JPEG_2000_CODESTREAM = b'\xff\x4f\xff\x51'
_JPEG_2000_FILE = b'\x00\x00\x00\x0cjP  '
_ITEM = b'\xfe\xff\x00\xe0'
_GREY = ('MONOCHROME1', 'MONOCHROME2')
_COLOUR = ('RGB', 'YBR_FULL', 'YBR_FULL_422', 'YBR_ICT', 'YBR_RCT')
_LOSSLESS = (
  *(uid.RLELossless, uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless),
  *(uid.JPEG2000Lossless, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL),
)
_UNCOMPRESSED = (
  *(uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian),
  *(uid.DeflatedExplicitVRLittleEndian, None),
)
# A lossy decoder may exceed the stored range by this share of it.
_OVERSHOOT = 1 / 8
# If more than this share of the pixels exceed it, they may do so only by the second share;
# otherwise their values need more bits.
_OVERSHOT_SHARE, _OVERSHOOT_OF_MANY = 0.02, 0.01


@dataclasses.dataclass(frozen=True)
class Layout:
  """How the pixels are stored (PS3.3 C.7.6.3.1)."""

  shape: tuple[int, int]
  channels: int
  bits_allocated: int
  bits_stored: int
  high_bit: int
  signed: bool

  @classmethod
  def of(cls, header: Header, name: str) -> Self:
    """Reads the layout.

    Raises:
      RadiographError: it is not the layout of a single image that may be grey.
      ValueError: an attribute that is needed to read the pixels is absent or invalid.
    """
    if header.pixel_data is None:
      raise RadiographError(
        f'{name}: the DICOM object holds no pixels (it is a report, a presentation state or '
        'truncated); export the image itself, or exclude the file'
      )
    frames = header.number('NumberOfFrames', 1)
    if frames > 1:
      raise RadiographError(
        f'{name}: {frames:.0f} frames, but a radiograph has one; export one frame, or exclude it'
      )
    photometric, channels = header.text('PhotometricInterpretation'), 1
    if photometric in _COLOUR:
      channels = 3
    if photometric not in (*_GREY, *_COLOUR) or header.whole('SamplesPerPixel', 1) != channels:
      raise RadiographError(
        f'{name}: a colour image, or its polarity is not stated; export it as MONOCHROME1 or '
        'MONOCHROME2, or exclude it'
      )
    allocated, stored = header.whole('BitsAllocated'), header.whole('BitsStored')
    high_bit = header.whole('HighBit', stored - 1)
    if allocated not in (8, 16) or not 1 <= stored <= high_bit + 1 <= allocated:
      raise RadiographError(
        f'{name}: {stored} bits stored, up to bit {high_bit}, of {allocated} allocated; export '
        'the image with 8 to 16 bits per pixel'
      )
    shape = header.whole('Rows'), header.whole('Columns')
    check_size(*shape, name)
    signed = bool(header.number('PixelRepresentation', 0) == 1)
    return cls(shape, channels, allocated, stored, high_bit, signed)


@dataclasses.dataclass(frozen=True)
class Stored:
  """The values of the pixels.

  Attributes:
    values: i32[H, W].
    padded: bool[H, W], True where there was no detector.
    lowest: the lowest of the `2 ** bits` values that can be stored.
    bits: bits per value, as stated in the header, or more if the values need more.
    doubt: the message in that case, else None.
  """

  values: np.ndarray
  padded: np.ndarray
  lowest: int
  bits: int
  doubt: str | None


def stored_values(header: Header, layout: Layout, name: str) -> Stored:
  """Decodes the pixels.

  Raises:
    RadiographError: they are truncated, damaged, in colour, or have an unsupported compression.
    Exception: almost anything from a decoder, if they are damaged.
  """
  values = _signed(_samples(header, layout, name), layout)
  ends = grayscale.padding(header, layout.signed, layout.bits_stored)
  padded = np.zeros(values.shape, bool)
  if ends is not None:
    padded = (ends[0] <= values) & (values <= ends[1])
  bits = _needed_bits(values[~padded] if padded.any() else values, layout.signed)
  doubt = None
  if bits <= layout.bits_stored or _is_overshoot(values, header, layout):
    bits = layout.bits_stored
  else:
    doubt = (
      f'Bits Stored is {layout.bits_stored}, but the pixels hold values of {bits} bits, and '
      'were read as such; look at the picture'
    )
  return Stored(values, padded, -(1 << bits - 1) if layout.signed else 0, bits, doubt)


def _needed_bits(values: np.ndarray, signed: bool) -> int:
  if not values.size:
    return 1
  low, high = int(values.min()), int(values.max())
  if signed:
    return 1 + max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0)
  return max(high, 0).bit_length()


def _is_overshoot(values: np.ndarray, header: Header, layout: Layout) -> bool:
  native = header.syntax is None and not header.undefined_length
  if native or header.syntax in (*_UNCOMPRESSED[:-1], *_LOSSLESS):
    return False
  low = -(1 << layout.bits_stored - 1) if layout.signed else 0
  high = low + (1 << layout.bits_stored) - 1
  beyond = max(low - int(values.min()), int(values.max()) - high)
  share = float(np.mean((values < low) | (values > high)))
  allowed = _OVERSHOOT if share <= _OVERSHOT_SHARE else _OVERSHOOT_OF_MANY
  return beyond <= allowed * (1 << layout.bits_stored)


def _signed(samples: np.ndarray, layout: Layout) -> np.ndarray:
  """The values of the samples, i32[H, W]."""
  values = samples.astype(np.int32)
  if not layout.signed or samples.dtype.kind == 'i':
    return values
  # Two's complement, which not all codecs support, of the stored bits alone or of all bits.
  bits = layout.bits_stored
  if samples.max() >= 1 << bits:
    bits = 8 * samples.itemsize
  return np.where(values >= 1 << bits - 1, values - (1 << bits), values)


def _samples(header: Header, layout: Layout, name: str) -> np.ndarray:
  """The decompressed grey pixels, u or i[H, W]; bit 0 is the lowest stored bit."""
  pixels = header.pixel_data
  assert pixels is not None  # otherwise there is no layout
  compressed = header.undefined_length or (
    header.syntax not in _UNCOMPRESSED and pixels.startswith(_ITEM)
  )
  if compressed:
    return _compressed_samples(pixels, header, layout, name)
  if not header.little_endian and header.words:
    pixels = np.frombuffer(pixels, '>u2').astype('<u2').tobytes()
  planar = header.number('PlanarConfiguration', 0) == 1
  return _native_samples(pixels, header, layout, planar, name)


def _compressed_samples(pixels: bytes, header: Header, layout: Layout, name: str) -> np.ndarray:
  with pydicom_silenced():
    frame = next(generate_frames(pixels, number_of_frames=1))
  # Identified from the stream and not from the transfer syntax, which some archives get wrong.
  if frame.startswith(jpeg.SIGNATURE):
    frame_header = jpeg.frame_header(frame, name)
    shape = frame_header.shape
    decode = imagecodecs.jpegls_decode if frame_header.is_jpeg_ls else imagecodecs.jpeg8_decode
  elif frame.startswith((_JPEG_2000_CODESTREAM, _JPEG_2000_FILE)):
    shape = _jpeg_2000_shape(frame)
    decode = imagecodecs.jpeg2k_decode
  elif header.syntax == uid.RLELossless:
    _check_rle(frame, layout, name)
    planes = imagecodecs.dicomrle_decode(frame, f'<u{layout.bits_allocated // 8}')
    return _native_samples(planes, header, layout, True, name)
  else:
    raise unsupported(getattr(header.syntax, 'name', 'an unknown transfer syntax'), name)
  # Decoders allocate memory for the size in the stream, so it is checked first.
  samples = decode(frame) if shape == layout.shape else None
  expected = layout.shape if layout.channels == 1 else (*layout.shape, layout.channels)
  if samples is None or samples.shape != expected:
    raise RadiographError(
      f'{name}: the compressed image is not of the size that the header states; export it again'
    )
  return as_grey(samples, name, tolerance=jpeg.GREY_TOLERANCE)


def _check_rle(frame: bytes, layout: Layout, name: str) -> None:
  """Refuses a header (PS3.5 G.5) with segments outside the frame, which crash the decoder."""
  count, *offsets = struct.unpack_from('<16I', frame)
  segments = layout.channels * layout.bits_allocated // 8
  starts = [*offsets[:segments], len(frame)]
  if count != segments or starts[0] < 64 or starts != sorted(starts):
    raise RadiographError(
      f'{name}: the run lengths of the compressed image are damaged; export it again'
    )


def _native_samples(
  data: bytes | bytearray, header: Header, layout: Layout, planar: bool, name: str
) -> np.ndarray:
  """Little-endian pixels, u[H, W], without overlays and without the bits below the stored ones."""
  count = layout.shape[0] * layout.shape[1] * layout.channels
  size = layout.bits_allocated // 8
  if len(data) < count * size:
    raise RadiographError(
      f'{name}: {len(data)} bytes of pixels, but the header promises {count * size}; the file '
      'is truncated, export it again'
    )
  samples = np.frombuffer(data, f'<u{size}', count)
  below = layout.high_bit + 1 - layout.bits_stored
  stored = ((1 << layout.bits_stored) - 1) << below
  overlays = header.overlay_bits & ~stored & ((1 << layout.bits_allocated) - 1)
  samples = (samples & (~overlays & (1 << layout.bits_allocated) - 1)) >> below
  if layout.channels == 1:
    return samples.reshape(layout.shape)
  if planar:
    samples = samples.reshape(layout.channels, *layout.shape).transpose(1, 2, 0)
  else:
    samples = samples.reshape(*layout.shape, layout.channels)
  return _without_chroma(samples, header, name)


def _without_chroma(samples: np.ndarray, header: Header, name: str) -> np.ndarray:
  """The grey of native colour pixels [H, W, 3], u[H, W]."""
  photometric = header.text('PhotometricInterpretation')
  if photometric == 'RGB':
    return as_grey(samples, name)
  if photometric != 'YBR_FULL' or samples.dtype != np.uint8:
    raise unsupported(photometric, name)
  # A chroma of 128 means no colour (PS3.3 C.7.6.3.1.2).
  if np.any(np.abs(samples[..., 1:].astype(np.int16) - 128) > 1):
    raise RadiographError(
      f'{name}: the image has colours, but a radiograph is grey; export it again as MONOCHROME2'
    )
  return samples[..., 0]


def _jpeg_2000_shape(stream: bytes) -> tuple[int, int]:
  """(height, width) from the SIZ segment (ITU-T T.800 A.5.1)."""
  start = stream.index(_JPEG_2000_CODESTREAM) + len(_JPEG_2000_CODESTREAM)
  x_end, y_end, x_start, y_start = struct.unpack_from('>IIII', stream, start + 4)
  return y_end - y_start, x_end - x_start


def unsupported(syntax: str, name: str) -> RadiographError:
  return RadiographError(
    f'{name}: pixels stored as {syntax} are not read; export the file uncompressed, or '
    'convert it with `gdcmconv --raw` (GDCM)'
  )
