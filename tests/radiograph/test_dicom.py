"""DICOM as hospitals export it: small files of every kind, and real ones."""

import io
import logging
import struct

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag

from nodulax.radiograph import dicom_header
from nodulax.radiograph.reading import RadiographError, decode_radiograph, read_radiograph

SECRET = 'Doe^Jane'
RAMP = np.array([[0, 1, 2, 3], [100, 200, 300, 400], [1000, 2000, 3000, 4095]], np.uint16)


def dicom(
  pixels: np.ndarray = RAMP,
  bits: int = 12,
  syntax: str = uid.ExplicitVRLittleEndian,
  frame: bytes | None = None,
  **attributes,
) -> Dataset:
  """A DICOM image of `pixels`, or of the compressed `frame`; None takes an attribute away."""
  dataset = Dataset()
  dataset.file_meta = FileMetaDataset()
  dataset.file_meta.TransferSyntaxUID = syntax
  dataset.SOPClassUID = uid.ComputedRadiographyImageStorage
  dataset.SOPInstanceUID = '1.2.3'
  dataset.PatientName = SECRET
  dataset.PatientID = SECRET
  dataset.Rows, dataset.Columns = pixels.shape[:2]
  dataset.SamplesPerPixel = 1
  dataset.PhotometricInterpretation = 'MONOCHROME2'
  dataset.BitsAllocated = 8 * pixels.itemsize
  dataset.BitsStored = bits
  dataset.HighBit = bits - 1
  dataset.PixelRepresentation = int(pixels.dtype.kind == 'i')
  order = '<' if uid.UID(syntax).is_little_endian else '>'
  native = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
  dataset.PixelData = native if frame is None else encapsulate([frame])
  dataset['PixelData'].VR = 'OW' if pixels.itemsize == 2 else 'OB'
  dataset['PixelData'].is_undefined_length = frame is not None
  for keyword, value in attributes.items():
    if value is None:
      delattr(dataset, keyword)
    else:
      setattr(dataset, keyword, value)
  return dataset


def with_text(dataset: Dataset, **texts: str) -> Dataset:
  """Sets attributes to texts that pydicom, and the standard, would refuse."""
  for keyword, text in texts.items():
    tag = tag_for_keyword(keyword)
    vr = dictionary_VR(tag)
    data = text.encode()
    data += b' ' * (len(data) % 2)
    dataset[tag] = RawDataElement(Tag(tag), vr, len(data), data, 0, False, True)
  return dataset


def as_bytes(dataset: Dataset, preamble: bool = True) -> bytes:
  file = io.BytesIO()
  if preamble:
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()
  syntax = dataset.file_meta.TransferSyntaxUID
  del dataset.file_meta
  dataset.save_as(file, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
  return file.getvalue()


def read(dataset: Dataset):
  return decode_radiograph(as_bytes(dataset), 'chest.dcm')


def greys(dataset: Dataset) -> list[int]:
  return read(dataset).pixels.ravel().tolist()


def of_65535(*greys: float) -> list[int]:
  return [round(65535 * grey) for grey in greys]


def lut(first: int, bits: int, data, vr: str = 'US') -> Dataset:
  item = Dataset()
  count = len(data) if vr == 'US' else len(data) // (1 if bits == 8 else 2)
  item.add_new('LUTDescriptor', 'SS' if first < 0 else 'US', [count, first, bits])
  item.add_new('LUTData', vr, data)
  return item


def test_without_window_every_storable_value_is_spread_over_16_bits():
  radiograph = read(dicom())
  assert radiograph.pixels.dtype == np.uint16
  np.testing.assert_array_equal(radiograph.pixels, np.rint(RAMP * (65535 / 4095)))


def test_eight_bits_stay_as_they_are():
  pixels = np.array([[0, 1], [127, 255]], np.uint8)
  radiograph = read(dicom(pixels, bits=8, RescaleSlope='1', RescaleIntercept='0'))
  assert radiograph.pixels.dtype == np.uint8
  np.testing.assert_array_equal(radiograph.pixels, pixels)


def test_monochrome1_is_turned_over():
  pixels = np.array([[0, 1], [127, 255]], np.uint8)
  dataset = dicom(pixels, bits=8, PhotometricInterpretation='MONOCHROME1')
  np.testing.assert_array_equal(read(dataset).pixels, 255 - pixels)


def test_signed_pixels():
  pixels = np.array([[-2048, -1], [0, 2047]], np.int16)
  assert greys(dicom(pixels)) == of_65535(0, 2047 / 4095, 2048 / 4095, 1)


def test_rescaling_with_a_negative_slope_turns_the_image_over():
  pixels = np.array([[0, 1024, 4095]], np.uint16)
  dataset = dicom(pixels, RescaleSlope='-1', RescaleIntercept='4095')
  assert greys(dataset) == of_65535(1, 3071 / 4095, 0)


def test_linear_window_of_the_standard():
  # PS3.3 C.11.2.1.2.1 with centre 2048, width 1025: black up to 1535.5, white above 2559.5.
  pixels = np.array([[1535, 1536, 2048, 2559, 2560]], np.uint16)
  dataset = dicom(pixels, WindowCenter='2048', WindowWidth='1025')
  assert greys(dataset) == of_65535(0, 0.5 / 1024, 512.5 / 1024, 1023.5 / 1024, 1)


def test_linear_exact_window():
  pixels = np.array([[1536, 2048, 2304, 2560]], np.uint16)
  dataset = dicom(pixels, WindowCenter='2048', WindowWidth='1024', VOILUTFunction='LINEAR_EXACT')
  assert greys(dataset) == of_65535(0, 0.5, 0.75, 1)


def test_sigmoid_window():
  pixels = np.array([[0, 2048, 2304]], np.uint16)
  dataset = dicom(pixels, WindowCenter='2048', WindowWidth='1024', VOILUTFunction='SIGMOID')
  # 1 / (1 + exp(-4 (x - c) / w)): exp(8) = 2980.957987, exp(-1) = 0.367879441
  assert greys(dataset) == of_65535(1 / 2981.957987, 0.5, 1 / 1.367879441)


def test_the_window_is_in_rescaled_units_and_the_first_of_several():
  pixels = np.array([[0, 1024, 2048, 4095]], np.uint16)
  dataset = dicom(
    pixels,
    RescaleSlope='2',
    RescaleIntercept='-1000',
    WindowCenter=['1048', '5'],
    WindowWidth=['4096', '5'],
    VOILUTFunction='LINEAR_EXACT',
  )  # window from -1000 to 3096, that is stored values 0 to 2048
  assert greys(dataset) == of_65535(0, 0.5, 1, 1)


def test_a_window_as_wide_as_one_value_is_a_threshold():
  pixels = np.array([[99, 100, 101]], np.uint16)
  assert greys(dicom(pixels, WindowCenter='100', WindowWidth='1')) == of_65535(0, 1, 1)


@pytest.mark.parametrize(('center', 'width'), [('0.5', '0.8'), ('0.456532', '0.9130647131')])
@pytest.mark.parametrize('function', [None, 'LINEAR_EXACT'])
def test_a_window_narrower_than_1_is_an_exact_one(center, width, function):
  pixels = np.array([[0, 1024, 2048, 4095]], np.uint16)
  dataset = dicom(pixels, RescaleSlope='0.0002442', WindowCenter=center, WindowWidth=width)
  if function:
    dataset.VOILUTFunction = function
  values = pixels.ravel() * 0.0002442
  expected = ((values - float(center)) / float(width) + 0.5).clip(0, 1)
  np.testing.assert_allclose(greys(dataset), expected * 65535, atol=0.51)


@pytest.mark.parametrize('function', ['LINEAR', 'LINEAR_EXACT', 'SIGMOID'])
def test_windows_agree_with_pydicom(function):
  window = {'WindowCenter': '2000', 'WindowWidth': '1500', 'VOILUTFunction': function}
  pixels = gradient(12)
  dataset = dicom(pixels, RescaleSlope='1.5', RescaleIntercept='-300', **window)
  rescaled = pydicom.pixels.apply_modality_lut(pixels, dataset)
  windowed = pydicom.pixels.apply_windowing(rescaled, dataset)  # spread over the rescaled range
  low, high = -300, 1.5 * 4095 - 300
  expected = (windowed - low) / (high - low) * 65535
  np.testing.assert_allclose(read(dataset).pixels, expected, atol=0.51)


@pytest.mark.parametrize(
  ('centers', 'widths'),
  [('5', '0'), ('5', '-3'), ('', ''), ('5', 'wide'), ('nan', '10'), ('', '10'), ('5', '1e999')],
)
def test_windows_that_are_none(centers, widths):
  assert greys(with_text(dicom(), WindowCenter=centers, WindowWidth=widths)) == greys(dicom())


def test_the_first_valid_window():
  dataset = dicom(VOILUTFunction='LINEAR_EXACT')
  several = with_text(dataset, WindowCenter='0\\2048\\9', WindowWidth='0\\4096\\9')
  one = dicom(VOILUTFunction='LINEAR_EXACT', WindowCenter='2048', WindowWidth='4096')
  assert greys(several) == greys(one)


def test_a_decimal_comma():
  window = {'WindowCenter': '2048.5', 'WindowWidth': '100.25'}
  comma = {keyword: value.replace('.', ',') for keyword, value in window.items()}
  assert greys(with_text(dicom(), **comma)) == greys(dicom(**window))
  spacing = read(with_text(dicom(), PixelSpacing='0,2\\0,1')).spacing_mm
  assert spacing == (0.1, 0.2)


def test_the_first_of_several_slopes():
  several = with_text(dicom(), RescaleSlope='-1\\1', RescaleIntercept='4095\\0')
  assert greys(several) == greys(dicom(RescaleSlope='-1', RescaleIntercept='4095'))


@pytest.mark.parametrize('vr', ['US', 'OW'])
@pytest.mark.parametrize(
  'syntax', [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian]
)
def test_voi_lut_is_preferred_to_the_window(vr, syntax):
  entries = [0, 100, 1023]
  order = '>' if syntax == uid.ExplicitVRBigEndian else '<'
  data = entries if vr == 'US' else np.array(entries, f'{order}u2').tobytes()
  pixels = np.array([[9, 10, 11, 12, 4000]], np.uint16)
  dataset = dicom(pixels, syntax=syntax, WindowCenter='1', WindowWidth='2')
  dataset.VOILUTSequence = [lut(10, 10, data, vr)]
  assert greys(dataset) == of_65535(0, 0, 100 / 1023, 1, 1)


@pytest.mark.parametrize('syntax', [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
def test_voi_lut_that_begins_below_zero(syntax):
  pixels = np.array([[-2000, -5, -4, -3, 7]], np.int16)
  dataset = dicom(pixels, syntax=syntax)
  dataset.VOILUTSequence = [lut(-5, 8, bytes([0, 51, 255, 0])[:4], 'OW')]
  assert greys(dataset) == of_65535(0, 0, 0.2, 1, 0)


@pytest.mark.parametrize('declared', [12, 8])
@pytest.mark.parametrize('vr', ['US', 'OW'])
def test_voi_lut_with_entries_above_its_bits_is_that_of_16_bits(declared, vr):
  entries = np.arange(4096) * 16
  pictures = []
  for bits in (declared, 16):
    dataset = dicom()
    dataset.VOILUTSequence = [
      lut(0, bits, entries.tolist() if vr == 'US' else entries.astype('<u2').tobytes(), vr)
    ]
    dataset.VOILUTSequence[0].LUTDescriptor = [4096, 0, bits]
    pictures.append(greys(dataset))
  assert pictures[0] == pictures[1] == (RAMP.astype(int) * 16).ravel().tolist()


def test_voi_lut_that_steps_over_its_bits_a_little():
  dataset = dicom(np.array([[0, 1, 2]], np.uint16))
  dataset.VOILUTSequence = [lut(0, 8, [0, 150, 300])]
  assert greys(dataset) == of_65535(0, 0.5, 1)


@pytest.mark.parametrize('bits', [10, 16])
@pytest.mark.parametrize('vr', ['US', 'OW'])
def test_a_voi_lut_of_single_bytes_under_a_descriptor_of_more_bits(bits, vr):
  entries = (np.arange(4096) // 16).astype(np.uint8)
  pixels = gradient(12)
  expected = dicom(pixels, 12)
  expected.VOILUTSequence = [lut(0, 8, entries.tobytes(), 'OW')]
  expected.VOILUTSequence[0].LUTDescriptor = [4096, 0, 8]
  packed = entries.tobytes() if vr == 'OW' else np.frombuffer(entries.tobytes(), '<u2').tolist()
  dataset = dicom(pixels, 12)
  dataset.VOILUTSequence = [lut(0, bits, packed, vr)]
  dataset.VOILUTSequence[0].LUTDescriptor = [4096, 0, bits]
  np.testing.assert_array_equal(greys(dataset), greys(expected))


def test_voi_lut_with_fewer_entries_than_it_says_repeats_the_last():
  dataset = dicom(np.array([[0, 1, 2, 3, 4095]], np.uint16))
  dataset.VOILUTSequence = [lut(0, 10, [0, 341, 1023])]
  dataset.VOILUTSequence[0].LUTDescriptor = [4096, 0, 10]
  assert greys(dataset) == of_65535(0, 341 / 1023, 1, 1, 1)


def test_a_lut_without_entries_or_of_one_grey_is_ignored():
  window = {'WindowCenter': '2048', 'WindowWidth': '4096', 'VOILUTFunction': 'LINEAR_EXACT'}
  pixels = np.array([[0, 1024, 2048]], np.uint16)
  empty, without_data, flat = Dataset(), Dataset(), lut(0, 8, [7, 7])
  empty.add_new('LUTDescriptor', 'US', None)
  without_data.add_new('LUTDescriptor', 'US', [256, 0, 8])
  for items in ([], [empty], [without_data], [Dataset(), flat]):
    dataset = dicom(pixels, **window)
    dataset.VOILUTSequence = items
    dataset.ModalityLUTSequence = items[:1]
    assert greys(dataset) == of_65535(0, 0.25, 0.5)
  dataset.VOILUTSequence = [empty, lut(0, 10, [1023, 0])]
  assert greys(dataset) == of_65535(1, 0, 0)


def test_modality_lut():
  pixels = np.array([[0, 1, 2, 3, 4095]], np.uint16)
  dataset = dicom(pixels)
  dataset.ModalityLUTSequence = [lut(1, 16, [0, 1000, 4000])]
  assert greys(dataset) == of_65535(0, 0, 0.25, 1, 1)


@pytest.mark.parametrize('syntax', [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
@pytest.mark.parametrize('photometric', ['MONOCHROME1', 'MONOCHROME2'])
def test_pixel_padding_becomes_black(syntax, photometric):
  pixels = np.array([[-2000, -1999, -1998, 2047]], np.int16)
  dataset = dicom(pixels, syntax=syntax, PhotometricInterpretation=photometric)
  dataset.add_new('PixelPaddingValue', 'SS', -2000)
  dataset.add_new('PixelPaddingRangeLimit', 'SS', -1999)
  values = greys(dataset)
  assert values[:2] == [0, 0]
  assert values[2] == round(65535 * (50 if photometric == 'MONOCHROME2' else 4045) / 4095)


def test_overlays_in_the_pixels_and_bits_below_the_stored_ones_are_ignored():
  # Old files keep an overlay above the stored bits, or the stored bits in the upper part.
  with_overlays = dicom(np.array([[0x9005, 0x0FFF]], np.uint16))
  for group, bit in ((0x6000, 12), (0x6002, 15)):
    with_overlays.add_new((group, 0x0102), 'US', bit)
  radiograph = read(with_overlays)
  assert radiograph.pixels.ravel().tolist() == of_65535(5 / 4095, 1)
  assert radiograph.doubts == ()
  upper = dicom(np.array([[0x0050, 0xFFF7]], np.uint16), HighBit=15)
  assert greys(upper) == of_65535(5 / 4095, 1)


def test_values_beyond_the_stored_bits_are_read_with_the_bits_that_they_need():
  pixels = np.array([[0, 5, 4096, 16383]], np.uint16)  # 14 bits
  radiograph = read(dicom(pixels, bits=12))
  assert radiograph.pixels.ravel().tolist() == of_65535(0, 5 / 16383, 4096 / 16383, 1)
  (doubt,) = radiograph.doubts
  assert 'Bits Stored is 12' in doubt and '14 bits' in doubt
  # A window says itself what is white.
  window = {'WindowCenter': '8192', 'WindowWidth': '16384', 'VOILUTFunction': 'LINEAR_EXACT'}
  assert greys(dicom(pixels, bits=12, **window)) == of_65535(0, 5 / 16384, 0.25, 16383 / 16384)


def test_signed_values_beyond_the_stored_bits():
  pixels = np.array([[-3000, -1, 0, 5000]], np.int16)  # 14 bits
  radiograph = read(dicom(pixels, bits=12))
  assert radiograph.pixels.ravel().tolist() == of_65535(
    5192 / 16383, 8191 / 16383, 8192 / 16383, 13192 / 16383
  )
  assert '14 bits' in radiograph.doubts[0]


def test_signed_values_of_the_stored_bits_alone():
  # -3 as 12 bits, with nothing in the four bits above.
  pixels = np.array([[0xFFD, 0x003, 0x800, 0x7FF]], np.uint16)
  radiograph = read(dicom(pixels, PixelRepresentation=1))
  assert radiograph.pixels.ravel().tolist() == of_65535(2045 / 4095, 2051 / 4095, 0, 1)
  assert radiograph.doubts == ()


@pytest.mark.parametrize('syntax', [uid.JPEG2000Lossless, uid.JPEG2000, uid.JPEGLSLossless])
def test_a_compressed_stream_of_more_bits_than_the_header_states(syntax):
  pixels = gradient(16)
  if syntax == uid.JPEGLSLossless:
    frame = imagecodecs.jpegls_encode(pixels)
  else:
    frame = imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat='j2k')
  radiograph = read(dicom(pixels, 14, syntax, bytes(frame)))
  np.testing.assert_array_equal(radiograph.pixels, pixels)
  assert '16 bits' in radiograph.doubts[0]


@pytest.mark.parametrize('vr', ['US', 'SS'])
def test_padding_that_no_pixel_can_have_matches_none(vr):
  # 63536 is 2096 in 12 bits, which a pixel may have.
  pixels = np.array([[0, 2095, 2096, 4095]], np.uint16)
  dataset = dicom(pixels)
  dataset.add_new('PixelPaddingValue', vr, 63536 if vr == 'US' else -2000)
  assert greys(dataset) == of_65535(0, 2095 / 4095, 2096 / 4095, 1)


def test_padding_beyond_the_stored_bits_is_black_and_no_value():
  pixels = np.array([[63536, 0, 2048, 4095]], np.uint16)
  dataset = dicom(pixels, PhotometricInterpretation='MONOCHROME1')
  dataset.add_new('PixelPaddingValue', 'US', 63536)
  radiograph = read(dataset)
  assert radiograph.pixels.ravel().tolist() == of_65535(0, 1, 2047 / 4095, 0)
  assert radiograph.doubts == ()


@pytest.mark.parametrize('stated', [63536, 2096])
def test_padding_as_the_bit_pattern_of_a_signed_pixel(stated):
  pixels = np.array([[-2000, -1999, 2047]], np.int16)
  dataset = dicom(pixels)
  dataset.add_new('PixelPaddingValue', 'US', stated)
  assert greys(dataset) == of_65535(0, 49 / 4095, 1)


@pytest.mark.parametrize(
  'syntax', [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian]
)
@pytest.mark.parametrize('preamble', [True, False])
def test_encodings_with_and_without_preamble_and_file_meta(syntax, preamble):
  dataset = dicom(syntax=syntax, WindowCenter='2047.5', WindowWidth='4095')
  dataset.VOILUTFunction = 'LINEAR_EXACT'
  pixels = decode_radiograph(as_bytes(dataset, preamble), 'chest').pixels
  np.testing.assert_array_equal(pixels, np.rint(RAMP * (65535 / 4095)))


def test_eight_bits_in_big_endian_words():
  dataset = dicom(np.array([[1, 2], [3, 4]], np.uint8), bits=8, syntax=uid.ExplicitVRBigEndian)
  dataset.PixelData = bytes([2, 1, 4, 3])
  dataset['PixelData'].VR = 'OW'
  assert greys(dataset) == [1, 2, 3, 4]


def gradient(bits: int, kind: str = 'u') -> np.ndarray:
  """A smooth image with every bit in use, i or u16[40, 48], or u8."""
  rows, columns = np.mgrid[:40, :48]
  values = (rows * 48 + columns) * ((1 << bits) - 1) // (40 * 48 - 1)
  if kind == 'i':
    values -= 1 << bits - 1
  return values.astype(f'{kind}{1 if bits <= 8 else 2}')


LOSSLESS = {
  'JPEG lossless': (
    uid.JPEGLosslessSV1,
    lambda pixels, bits: imagecodecs.jpeg8_encode(pixels, lossless=True, bitspersample=bits),
  ),
  'JPEG-LS': (uid.JPEGLSLossless, lambda pixels, bits: imagecodecs.jpegls_encode(pixels)),
  'JPEG 2000': (
    uid.JPEG2000Lossless,
    lambda pixels, bits: imagecodecs.jpeg2k_encode(
      pixels, level=0, reversible=True, codecformat='j2k', bitspersample=bits
    ),
  ),
  'JPEG 2000 file': (
    uid.JPEG2000Lossless,
    lambda pixels, bits: imagecodecs.jpeg2k_encode(
      pixels, level=0, reversible=True, codecformat='jp2', bitspersample=bits
    ),
  ),
}


@pytest.mark.parametrize('codec', LOSSLESS)
@pytest.mark.parametrize('bits', [8, 12, 16])
@pytest.mark.parametrize('kind', ['u', 'i'])
def test_lossless_compression(codec, bits, kind):
  pixels = gradient(bits, kind)
  if kind == 'i' and codec.startswith('JPEG 2000'):
    samples = pixels  # it alone has signed samples
  else:
    samples = pixels.view(pixels.dtype.str.replace('i', 'u')) & ((1 << bits) - 1)
  syntax, encode = LOSSLESS[codec]
  compressed = dicom(pixels, bits, syntax, frame=bytes(encode(samples, bits)))
  np.testing.assert_array_equal(read(compressed).pixels, read(dicom(pixels, bits)).pixels)


@pytest.mark.parametrize('bits', [8, 12, 16])
def test_rle(bits):
  pixels = gradient(bits)
  compressed = dicom(pixels, bits)
  compressed.compress(uid.RLELossless)
  np.testing.assert_array_equal(read(compressed).pixels, read(dicom(pixels, bits)).pixels)


@pytest.mark.parametrize(
  ('bits', 'syntax'), [(8, uid.JPEGBaseline8Bit), (12, uid.JPEGExtended12Bit)]
)
def test_lossy_jpeg(bits, syntax):
  pixels = gradient(bits)
  frame = bytes(imagecodecs.jpeg8_encode(pixels, level=95, bitspersample=bits))
  decoded = read(dicom(pixels, bits, syntax, frame)).pixels.astype(float)
  exact = read(dicom(pixels, bits)).pixels.astype(float)
  assert np.abs(decoded - exact).max() < 0.02 * exact.max()


def test_a_lossy_decoder_that_steps_over_the_stored_range_does_not_wrap():
  # A 12-bit stream of 10-bit values: 1030 is white, not 1030 - 1024.
  pixels = np.full((16, 16), 1030, np.uint16)
  frame = bytes(imagecodecs.jpeg8_encode(pixels, level=100, bitspersample=12))
  assert set(greys(dicom(pixels, 10, uid.JPEGExtended12Bit, frame))) == {65535}


def test_a_frame_in_several_fragments():
  pixels = gradient(12)
  frame = bytes(imagecodecs.jpegls_encode(pixels))
  dataset = dicom(pixels, 12, uid.JPEGLSLossless, frame)
  dataset.PixelData = encapsulate([frame], fragments_per_frame=3)
  np.testing.assert_array_equal(read(dataset).pixels, read(dicom(pixels)).pixels)


@pytest.mark.parametrize(
  ('photometric', 'shape', 'doubtful'),
  [
    ('MONOCHROME2', 'IDENTITY', False),
    ('MONOCHROME1', 'INVERSE', False),
    ('MONOCHROME2', 'INVERSE', True),
    ('MONOCHROME1', 'IDENTITY', True),
    ('MONOCHROME2', 'UPSIDE DOWN', False),
  ],
)
def test_presentation_lut_shape_turns_nothing_over(photometric, shape, doubtful):
  without = dicom(PhotometricInterpretation=photometric)
  radiograph = read(dicom(PhotometricInterpretation=photometric, PresentationLUTShape=shape))
  np.testing.assert_array_equal(radiograph.pixels, read(without).pixels)
  assert (['Presentation LUT Shape' in doubt for doubt in radiograph.doubts] == [True]) == doubtful


def in_colour(samples: np.ndarray, planar: bool = False, **attributes) -> Dataset:
  """Pixels [H, W, 3] as native colour."""
  attributes = {'PhotometricInterpretation': 'RGB', **attributes}
  dataset = dicom(samples, bits=8 * samples.itemsize, SamplesPerPixel=3, **attributes)
  dataset.PlanarConfiguration = int(planar)
  if planar:
    dataset.PixelData = samples.transpose(2, 0, 1).tobytes()
  return dataset


@pytest.mark.parametrize('planar', [False, True])
@pytest.mark.parametrize('bits', [8, 16])
def test_grey_in_colours_is_read_as_it_is(planar, bits):
  grey = gradient(bits)
  window = {'WindowCenter': '3', 'WindowWidth': '2', 'RescaleSlope': '-1'}  # of grey alone
  dataset = in_colour(np.dstack([grey] * 3), planar, **window)
  np.testing.assert_array_equal(read(dataset).pixels, grey)
  red = np.dstack([grey, grey, grey + 1])
  with pytest.raises(RadiographError, match='colours.*greyscale'):
    read(in_colour(red, planar))


def test_grey_in_luminance_and_chroma():
  grey = gradient(8)
  none = np.full_like(grey, 128)
  dataset = in_colour(np.dstack([grey, none, none]), PhotometricInterpretation='YBR_FULL')
  np.testing.assert_array_equal(read(dataset).pixels, grey)
  dataset = in_colour(np.dstack([grey, none, none + 40]), PhotometricInterpretation='YBR_FULL')
  with pytest.raises(RadiographError, match='colours'):
    read(dataset)


def test_grey_in_compressed_colours():
  grey = gradient(8)
  colours = np.dstack([grey] * 3)
  packed = in_colour(colours)
  packed.compress(uid.RLELossless)
  np.testing.assert_array_equal(read(packed).pixels, grey)
  frames = {
    uid.JPEGBaseline8Bit: imagecodecs.jpeg8_encode(colours, level=98),
    uid.JPEG2000Lossless: imagecodecs.jpeg2k_encode(colours, level=0, reversible=True),
  }
  for syntax, frame in frames.items():
    dataset = in_colour(colours, syntax=syntax, frame=bytes(frame))
    assert np.abs(read(dataset).pixels.astype(int) - grey).max() <= 4


def test_a_frame_with_a_defined_length():
  pixels = gradient(12)
  dataset = dicom(pixels, 12, uid.JPEGLSLossless, bytes(imagecodecs.jpegls_encode(pixels)))
  data = as_bytes(dataset)
  # Its length in place of 0xFFFFFFFF, and without the delimiter at its end.
  start = data.rindex(b'\xe0\x7f\x10\x00OW\0\0\xff\xff\xff\xff') + 12
  assert data.endswith(b'\xfe\xff\xdd\xe0\0\0\0\0')
  defined = data[: start - 4] + struct.pack('<I', len(data) - 8 - start) + data[start:-8]
  np.testing.assert_array_equal(
    decode_radiograph(defined, 'chest.dcm').pixels, read(dicom(pixels)).pixels
  )


def deflated(dataset: Dataset) -> bytes:
  dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
  return as_bytes(dataset)


def test_deflated_files():
  attributes = {'WindowCenter': '2000', 'WindowWidth': '3000', 'PatientSex': 'M'}
  expected = read(dicom(gradient(12), **attributes))
  radiograph = decode_radiograph(deflated(dicom(gradient(12), **attributes)), 'chest.dcm')
  np.testing.assert_array_equal(radiograph.pixels, expected.pixels)
  assert radiograph.sex == 'male'


def test_deflated_files_that_are_cut_or_too_large(monkeypatch):
  data = deflated(dicom(gradient(12)))
  for length in range(200, len(data), 7):
    with pytest.raises(RadiographError, match='^chest.dcm: .*export'):
      decode_radiograph(data[:length], 'chest.dcm')
  monkeypatch.setattr(dicom_header, 'MAX_BYTES', 2000)
  with pytest.raises(RadiographError, match='more than 2,000 bytes when inflated.*exclude'):
    decode_radiograph(data, 'chest.dcm')


def damaged_jpeg() -> bytes:
  return bytes(imagecodecs.jpeg8_encode(gradient(8)))[:-100]


REFUSED = {
  'frames': (dict(NumberOfFrames=2), '2 frames.*one frame'),
  'colour': (dict(PhotometricInterpretation='RGB', SamplesPerPixel=1), 'colour.*MONOCHROME'),
  'palette': (dict(PhotometricInterpretation='PALETTE COLOR'), 'colour.*MONOCHROME'),
  'no polarity': (dict(PhotometricInterpretation=None), 'polarity.*MONOCHROME'),
  'no pixels': (dict(PixelData=None), 'no pixels.*export'),
  'oversized': (dict(Rows=60000, Columns=60000), '60000 x 60000.*export'),
  'empty': (dict(Rows=0), '4 x 0 pixels.*export'),
  'too few bytes': (dict(Rows=4), '24 bytes.*promises 32.*export'),
  'depth': (dict(BitsAllocated=32, BitsStored=32, HighBit=31), '32 bits.*8 to 16'),
  'no depth': (dict(BitsAllocated=None), 'invalid.*export'),
  'slope': (dict(RescaleSlope='0', RescaleIntercept='7'), 'rescaling.*export'),
  'other size': (
    dict(syntax=uid.JPEGLSLossless, frame=bytes(imagecodecs.jpegls_encode(gradient(12)))),
    'not of the size.*export',
  ),
  'other size, JPEG 2000': (
    dict(syntax=uid.JPEG2000Lossless, frame=bytes(imagecodecs.jpeg2k_encode(gradient(12)))),
    'not of the size.*export',
  ),
  'colour stream': (
    dict(
      pixels=np.zeros((8, 8), np.uint8),
      bits=8,
      syntax=uid.JPEGBaseline8Bit,
      frame=bytes(imagecodecs.jpeg8_encode(np.zeros((8, 8, 3), np.uint8))),
    ),
    'not of the size.*export',
  ),
  'truncated JPEG': (
    dict(pixels=gradient(8), bits=8, syntax=uid.JPEGBaseline8Bit, frame=damaged_jpeg()),
    'truncated.*copy',
  ),
  'video': (dict(syntax=uid.MPEG2MPML, frame=b'\x00\x00\x01\xb3' * 4), 'MPEG2.*gdcmconv'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_what_is_no_single_grey_image_is_refused(case):
  attributes, message = REFUSED[case]
  with pytest.raises(RadiographError, match=f'^chest.dcm: .*{message}'):
    read(dicom(**attributes))


@pytest.mark.parametrize('syntax', [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
def test_a_file_cut_anywhere_is_refused(syntax):
  data = as_bytes(dicom(syntax=syntax))
  for length in range(len(data) - 1):
    with pytest.raises(RadiographError, match='^chest.dcm: ') as caught:
      decode_radiograph(data[:length], 'chest.dcm')
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize('place', range(3))
def test_run_lengths_whose_segments_lie_elsewhere_are_refused(place):
  """Their number and the first two offsets; the decoder crashed on such a header."""
  packed = dicom(bits=12)
  packed.compress(uid.RLELossless)
  start = packed.PixelData.index(struct.pack('<II', 2, 64)) + 4 * place
  spoilt = bytearray(packed.PixelData)
  spoilt[start : start + 4] = struct.pack('<I', 5_704_704)
  packed.PixelData = bytes(spoilt)
  with pytest.raises(RadiographError, match='run lengths .* damaged'):
    read(packed)


@pytest.mark.parametrize('name', ['nonchest_RG3_RLE.dcm', 'RG3_J2KR.dcm', 'nonchest_RG3_JLSL.dcm'])
def test_damaged_compressed_files_never_raise_anything_else(real_data, name):
  data = (real_data / 'dicom' / 'nonchest' / name).read_bytes()
  for length in np.linspace(200, len(data) - 200, 15).astype(int):
    with pytest.raises(RadiographError, match='^chest.dcm: '):
      decode_radiograph(data[:length], 'chest.dcm')


def test_flipped_bytes_of_the_header_never_raise_anything_else(caplog):
  rng = np.random.default_rng(0)
  data = as_bytes(dicom(WindowCenter='2048', WindowWidth='4096', PatientAge='062Y'))
  with caplog.at_level(logging.WARNING):
    for _ in range(500):
      flipped = bytearray(data)
      flipped[rng.integers(132, len(data))] = rng.integers(256)
      try:
        decode_radiograph(bytes(flipped), 'chest.dcm')
      except RadiographError as error:
        assert SECRET not in str(error) and error.__cause__ is None
  assert SECRET not in caplog.text


def test_every_real_file_decodes(real_data):
  files = [file for file in (real_data / 'dicom').rglob('*') if file.is_file()]
  assert len(files) == 10
  for file in files:
    pixels = read_radiograph(file).pixels
    assert pixels.std() > 0.1 * np.iinfo(pixels.dtype).max


def test_a_real_file_with_and_without_its_header(real_data):
  whole = read_radiograph(real_data / 'dicom' / 'gdcm-CR-MONO1-10-chest.dcm')
  raw = read_radiograph(real_data / 'dicom' / 'CR-MONO1-10-chest_raw')
  np.testing.assert_array_equal(whole.pixels, raw.pixels)
  # The mediastinum is denser than the air around the patient.
  assert whole.pixels[200:240, 200:240].mean() > 1.5 * whole.pixels[:20, :20].mean()


def test_a_real_file_and_its_twin_that_says_monochrome1(real_data):
  as_it_is = read_radiograph(
    real_data / 'dicom' / '1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm'
  )
  twin = read_radiograph(real_data / 'dicom' / 'Fake_MONOHR1.dcm')
  np.testing.assert_array_equal(twin.pixels, 255 - as_it_is.pixels)
  assert as_it_is.spacing_mm == (0.168, 0.168)
  assert (as_it_is.sex, as_it_is.age, as_it_is.view) == ('male', 62, 'PA')


def test_one_real_image_in_every_compression(real_data):
  folder = real_data / 'dicom' / 'nonchest'
  reference = read_radiograph(folder / 'nonchest_RG3_RLE.dcm').pixels
  for name in ('RG3_J2KR.dcm', 'nonchest_RG3_JLSL.dcm', 'nonchest_RG3_JPLL.dcm'):
    np.testing.assert_array_equal(read_radiograph(folder / name).pixels, reference)
  for name in ('RG3_J2KI.dcm', 'nonchest_RG3_JPLY.dcm'):
    difference = read_radiograph(folder / name).pixels.astype(float) - reference
    assert np.abs(difference).mean() < 0.01 * 65535


def test_the_rle_file_agrees_with_pydicom(real_data):
  path = real_data / 'dicom' / 'nonchest' / 'nonchest_RG3_RLE.dcm'
  dataset = pydicom.dcmread(path)
  stored = dataset.pixel_array.astype(float)  # window 550 / 1024 in 10 bits, MONOCHROME1
  grey = 1 - np.clip((stored - 549.5) / 1023 + 0.5, 0, 1)
  # Its rows run to the patient's right.
  assert dataset.PatientOrientation == ['R', 'F']
  np.testing.assert_array_equal(read_radiograph(path).pixels, np.rint(grey * 65535)[:, ::-1])


def test_values_of_more_bits_are_told_in_lossy_files_and_in_those_without_meta_too():
  pixels = np.linspace(0, 4600, 256).reshape(16, 16).astype(np.uint16)
  dataset = dicom(pixels, bits=12)
  data = as_bytes(dataset)
  assert decode_radiograph(data, 'x').doubts
  dataset.file_meta = FileMetaDataset()
  file = io.BytesIO()
  dataset.save_as(file, implicit_vr=False, little_endian=True, enforce_file_format=False)
  assert decode_radiograph(file.getvalue(), 'x').doubts
  frame = imagecodecs.jpeg2k_encode(pixels, level=45, bitspersample=16)
  assert read(dicom(pixels, 12, uid.JPEG2000, bytes(frame))).doubts


@pytest.mark.parametrize(('value', 'limit'), [(0, 63536), (65535, 0)])
def test_a_padding_range_with_an_impossible_end_is_of_the_other_end_alone(value, limit):
  pixels = np.arange(256, dtype=np.uint16).reshape(16, 16) * 16
  dataset = dicom(pixels, bits=12)
  dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit = value, limit
  assert len(np.unique(read(dataset).pixels)) > 200
