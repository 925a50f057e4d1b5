"""Image files, good and bad; DICOM has its own tests."""

import gzip
import io
import struct
import zlib

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from nodulax.radiograph.reading import (
  RadiographError,
  beginning_of,
  begins_as_radiograph,
  decode_png,
  decode_radiograph,
  encode_png,
  passes_through,
  read_radiograph,
)
from tests.fuzz.images import mha

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
DEEP = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040


def file_of(image: Image.Image, kind: str = 'PNG', **options) -> bytes:
  file = io.BytesIO()
  image.save(file, kind, **options)
  return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
  checksum = zlib.crc32(kind + data)
  return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', checksum)


def png_header(width: int, height: int) -> bytes:
  header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0))
  return b'\x89PNG\r\n\x1a\n' + header


@pytest.mark.parametrize('pixels', [GREY, DEEP])
def test_a_png_is_read_exactly_and_nothing_else_is_known(tmp_path, pixels):
  path = tmp_path / 'told_by_content.dcm'
  path.write_bytes(cv2.imencode('.png', pixels)[1].tobytes())
  radiograph = read_radiograph(path)
  assert radiograph.pixels.dtype == pixels.dtype
  np.testing.assert_array_equal(radiograph.pixels, pixels)
  assert radiograph.spacing_mm is None and np.isnan(radiograph.age)
  assert (radiograph.sex, radiograph.view) == ('unknown', 'unknown')


@pytest.mark.parametrize('mode', ['LA', 'RGB', 'RGBA', 'P'])
def test_a_grey_png_in_another_form(mode):
  data = file_of(Image.fromarray(GREY).convert(mode))
  np.testing.assert_array_equal(decode_png(data, 'a.png'), GREY)


def test_a_16_bit_rgb_png():
  data = cv2.imencode('.png', np.repeat(DEEP[..., None], 3, axis=-1))[1].tobytes()
  np.testing.assert_array_equal(decode_png(data, 'a.png'), DEEP)


@pytest.mark.parametrize('pixels', [GREY, DEEP])
def test_encoding_is_lossless_deterministic_and_passes_through(pixels):
  data = encode_png(pixels)
  assert data == encode_png(pixels.copy()) and passes_through(data)
  np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), -1), pixels)


def test_a_grey_jpeg():
  smooth = cv2.resize(GREY, (64, 48), interpolation=cv2.INTER_LINEAR)
  for image in (Image.fromarray(smooth), Image.fromarray(smooth).convert('RGB')):
    pixels = decode_radiograph(file_of(image, 'JPEG', quality=95), 'a.jpg').pixels
    assert pixels.shape == (48, 64)
    assert np.abs(pixels.astype(int) - smooth).max() < 8


def bmp_by_hand(bits: int, height: int, rows: list[bytes], palette: bytes = b'') -> bytes:
  """A bitmap three pixels wide."""
  header = struct.pack('<IiiHHIIiiII', 40, 3, height, 1, bits, 0, 0, 0, 0, len(palette) // 4, 0)
  body = header + palette
  return b'BM' + struct.pack('<IHHI', 0, 0, 0, 14 + len(body)) + body + b''.join(rows)


@pytest.mark.parametrize('mode', ['L', 'RGB', 'RGBA', 'P'])
def test_a_grey_bmp(mode):
  data = file_of(Image.fromarray(GREY).convert(mode), 'BMP')
  pixels = decode_radiograph(data, 'a.bmp').pixels
  np.testing.assert_array_equal(pixels, GREY)
  np.testing.assert_array_equal(pixels, cv2.imdecode(np.frombuffer(data, np.uint8), 0))


def test_the_rows_and_the_palette_of_a_bmp():
  expected = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
  rows = [b'\x04\x05\x06\0', b'\x01\x02\x03\0']  # from the bottom up, of four bytes each
  grey = bytes(value for index in range(7) for value in (index, index, index, 0))
  for height, order in ((2, rows), (-2, rows[::-1])):
    data = bmp_by_hand(8, height, order, grey)
    np.testing.assert_array_equal(decode_radiograph(data, 'a.bmp').pixels, expected)
  inverted = bytes(value for index in range(7) for value in (255 - index,) * 3 + (0,))
  data = bmp_by_hand(8, 2, rows, inverted)
  np.testing.assert_array_equal(decode_radiograph(data, 'a.bmp').pixels, 255 - expected)


@pytest.mark.parametrize('pixels', [GREY, DEEP])
@pytest.mark.parametrize('compression', ['none', 'lzw', 'deflate', 'packbits'])
@pytest.mark.parametrize('options', [{}, {'bigtiff': True}, {'byteorder': '>'}, {'tile': (16, 16)}])
def test_a_grey_tiff(pixels, compression, options):
  data = bytes(imagecodecs.tiff_encode(pixels.copy(), compression=compression, **options))
  decoded = decode_radiograph(data, 'a.tif').pixels
  assert decoded.dtype == pixels.dtype
  np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize('mode', ['LA', 'RGB', 'RGBA'])
def test_a_grey_tiff_in_another_form(mode):
  data = file_of(Image.fromarray(GREY).convert(mode), 'TIFF')
  np.testing.assert_array_equal(decode_radiograph(data, 'a.tif').pixels, GREY)


@pytest.mark.parametrize('pixels', [GREY, DEEP])
def test_a_tiff_in_which_0_is_white(pixels):
  data = bytes(imagecodecs.tiff_encode(pixels, photometric='miniswhite'))
  expected = np.iinfo(pixels.dtype).max - pixels
  np.testing.assert_array_equal(decode_radiograph(data, 'a.tif').pixels, expected)


def test_a_tiff_with_a_smaller_copy_of_its_page():
  image, small = Image.fromarray(GREY), Image.fromarray(GREY[::2, ::2])
  small.encoderinfo = {'tiffinfo': {254: 1}}
  data = file_of(image, 'TIFF', save_all=True, append_images=[small])
  np.testing.assert_array_equal(decode_radiograph(data, 'a.tif').pixels, GREY)


@pytest.mark.parametrize('compressed', [False, True])
@pytest.mark.parametrize(
  ('elements', 'kind', 'expected'),
  [
    (GREY[:, :5], 'UCHAR', GREY[:, :5]),
    (DEEP[:, :5], 'USHORT', DEEP[:, :5]),
    (DEEP[None, :, :5], 'USHORT', DEEP[:, :5]),
    (DEEP.astype(np.int32), 'INT', DEEP),
    (DEEP.astype(np.float32), 'FLOAT', DEEP),
    (np.array([[-1000, 0], [1000, 3000]], np.int16), 'SHORT', [[0, 16384], [32768, 65535]]),
    (np.array([[0.25, 0.5, 1.25]]), 'DOUBLE', [[0, 16384, 65535]]),
    (np.array([[-1.5e308, 1.5e308]]), 'DOUBLE', [[0, 65535]]),
    (np.full((2, 2), -7, np.int8), 'CHAR', [[0, 0], [0, 0]]),
  ],
)
def test_a_metaimage(compressed, elements, kind, expected):
  radiograph = decode_radiograph(mha(elements, kind, compressed), 'a.mha')
  np.testing.assert_array_equal(radiograph.pixels, expected)
  assert radiograph.pixels.dtype == (np.uint8 if kind == 'UCHAR' else np.uint16)
  assert radiograph.spacing_mm == (0.139, 0.15)


def test_the_keys_of_a_metaimage():
  big_endian = mha(DEEP.astype('>u2'), 'USHORT', BinaryDataByteOrderMSB='True')
  np.testing.assert_array_equal(decode_radiograph(big_endian, 'a').pixels, DEEP)
  windows = mha(GREY, 'UCHAR').replace(b'\n', b'\r\n', 11)
  np.testing.assert_array_equal(decode_radiograph(windows, 'a').pixels, GREY)
  for spacing in ('1 1', '', '0.1', 'a b', '0 0', 'nan 1'):
    assert decode_radiograph(mha(GREY, 'UCHAR', ElementSpacing=spacing), 'a').spacing_mm is None


def test_files_are_told_by_how_they_begin(tmp_path):
  files = {
    'a.bmp': file_of(Image.fromarray(GREY), 'BMP'),
    'a.tif': file_of(Image.fromarray(GREY), 'TIFF'),
    'a.mha': mha(GREY, 'UCHAR'),
    'a.png': encode_png(GREY),
  }
  for name, data in files.items():
    (tmp_path / name).write_bytes(data)
    assert begins_as_radiograph(beginning_of(tmp_path / name))
  for number, other in enumerate((b'BMI,age\n1,2\n', b'ObjectType of all', b'', b'Comments, many')):
    (tmp_path / str(number)).write_bytes(other)
    assert not begins_as_radiograph(beginning_of(tmp_path / str(number)))


COLOURED = Image.fromarray(np.dstack([GREY, GREY, np.full_like(GREY, 99)]))
TRANSPARENT = Image.fromarray(np.dstack([GREY, GREY, GREY, GREY]))
PNG, JPEG = encode_png(GREY), file_of(Image.fromarray(GREY).resize((64, 64)), 'JPEG')
FLIPPED = PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:]
REFUSED = {
  'coloured PNG': (file_of(COLOURED), 'colours.*greyscale'),
  'coloured JPEG': (file_of(COLOURED.resize((64, 64)), 'JPEG'), 'colours.*greyscale'),
  'transparent PNG': (file_of(TRANSPARENT), 'transparent.*greyscale'),
  'empty file': (b'', 'empty.*copy'),
  'text': (b'image,patient_id,label\n', 'not a DICOM, PNG, JPEG, TIFF, BMP or MetaImage.*convert'),
  'WebP': (file_of(Image.fromarray(GREY), 'WEBP'), 'a WebP file, whatever its name.*to DICOM, PNG'),
  'GIF': (file_of(Image.fromarray(GREY), 'GIF'), 'a GIF file.*convert'),
  'JPEG 2000': (file_of(Image.fromarray(GREY), 'JPEG2000'), 'a JPEG 2000 file.*convert'),
  'page of an error': (b'\n<!DOCTYPE html><title>403', 'an HTML or XML file.*convert'),
  'JPEG of inks': (
    file_of(Image.fromarray(GREY).resize((64, 64)).convert('CMYK'), 'JPEG'),
    'ink colours .CMYK.*greyscale',
  ),
  'NIfTI': (b'\x5c\x01\0\0' + bytes(340) + b'n+1\0' + bytes(99), 'NIfTI.*convert it to .mha'),
  'NIfTI 2': (b'\x1c\x02\0\0n+2\0\r\n\x1a\n' + bytes(600), 'NIfTI.*convert it to .mha'),
  'gzip': (gzip.compress(b'\x5c\x01\0\0'), 'gzip, such as NIfTI.*give DICOM'),
  'coloured BMP': (file_of(COLOURED, 'BMP'), 'colours.*greyscale'),
  'BMP of one bit': (file_of(Image.fromarray(GREY).convert('1'), 'BMP'), '1 bits.*export'),
  'BMP without its end': (file_of(Image.fromarray(GREY), 'BMP')[:-1], 'damaged.*copy'),
  'BMP beyond its palette': (bmp_by_hand(8, 1, [b'\x01\x02\x03\0'], bytes(8)), 'damaged.*copy'),
  'BigTIFF whose page lies beyond any file': (
    b'II+\0\x08\0\0\0' + b'\xff' * 8,
    'damaged.*copy',
  ),
  'enormous BMP': (bmp_by_hand(8, 64_000_000, []), '3 x 64000000 pixels.*export'),
  'coloured TIFF': (file_of(COLOURED, 'TIFF'), 'colours.*greyscale'),
  'transparent TIFF': (file_of(TRANSPARENT, 'TIFF'), 'transparent.*greyscale'),
  'TIFF of a palette': (file_of(Image.fromarray(GREY).convert('P'), 'TIFF'), 'palette.*greyscale'),
  'TIFF of inks': (file_of(COLOURED.convert('CMYK'), 'TIFF'), 'CMYK.*greyscale'),
  'TIFF of one bit': (file_of(Image.fromarray(GREY).convert('1'), 'TIFF'), '1 bits.*export'),
  'TIFF of fractions': (
    file_of(Image.fromarray(GREY.astype(np.float32)), 'TIFF'),
    '32 bits, sample format 3.*export',
  ),
  'TIFF of pages': (
    file_of(Image.fromarray(GREY), 'TIFF', save_all=True, append_images=[Image.fromarray(GREY)]),
    '2 pages.*export',
  ),
  'TIFF without its end': (file_of(Image.fromarray(DEEP), 'TIFF')[:-1], 'damaged.*copy'),
  'enormous TIFF': (
    bytes(imagecodecs.tiff_encode(GREY, byteorder='<'))
    .replace(struct.pack('<HHII', 256, 4, 1, 8), struct.pack('<HHII', 256, 4, 1, 60_000_000))
    .replace(struct.pack('<HHIHH', 256, 3, 1, 8, 0), struct.pack('<HHII', 256, 4, 1, 60_000_000)),
    '60000000 x 8 pixels.*export',
  ),
  'MetaImage of colours': (mha(GREY, 'UCHAR', ElementNumberOfChannels='3'), 'one channel'),
  'MetaImage of odd type': (mha(GREY, 'STRING'), 'type .MET_STRING.*write it again'),
  'MetaImage of a volume': (mha(np.zeros((2, 8, 8), np.uint8), 'UCHAR'), '2 images.*export'),
  'MetaImage in two files': (mha(GREY, 'UCHAR', ElementDataFile='a.raw'), 'another file.*one .mha'),
  'MetaImage as text': (mha(GREY, 'UCHAR', BinaryData='False'), 'text.*binary'),
  'MetaImage without its end': (mha(GREY, 'UCHAR')[:-1], 'damaged.*copy'),
  'MetaImage of bad pixels': (mha(GREY, 'UCHAR', True)[:-1], 'damaged.*copy'),
  'MetaImage without sides': (mha(GREY, 'UCHAR', DimSize='8'), 'damaged.*copy'),
  'MetaImage of no numbers': (mha(np.full((2, 2), np.nan), 'DOUBLE'), 'not finite.*write'),
  'enormous MetaImage': (mha(GREY, 'UCHAR', DimSize='60000 60000'), '60000 x 60000 pixels.*export'),
  'MetaImage that inflates': (
    mha(GREY, 'DOUBLE', True, DimSize='8000 8000'),
    '512,000,000 bytes.*exclude',
  ),
  'PNG with a flipped bit': (FLIPPED, 'damaged.*copy'),
  'PNG of no pixels': (png_header(0, 5), '0 x 5 pixels.*export'),
  'enormous PNG': (png_header(60000, 60000), '60000 x 60000 pixels.*export'),
  'PNG without pixels': (png_header(5, 5) + chunk(b'IEND', b''), 'damaged.*copy'),
  'PNG of bad pixels': (
    png_header(5, 5) + chunk(b'IDAT', zlib.compress(b'few')) + chunk(b'IEND', b''),
    'damaged.*copy',
  ),
  'JPEG without its end': (JPEG[:-2], 'truncated.*copy'),
  'enormous JPEG': (
    JPEG.replace(struct.pack('>HH', 64, 64), struct.pack('>HH', 60000, 60000)),
    '60000 x 60000 pixels.*export',
  ),
  # Decoders step over such a marker, and would see another size than who takes it for a segment.
  'JPEG with a marker that hides its size': (JPEG[:2] + b'\xff\x01' + JPEG[2:], 'damaged.*copy'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_bad_files_are_refused_by_name_with_a_remedy(tmp_path, case):
  data, message = REFUSED[case]
  path = tmp_path / 'bad'
  path.write_bytes(data)
  with pytest.raises(RadiographError, match=f'^{path}: .*{message}'):
    read_radiograph(path)


@pytest.mark.parametrize(
  'data',
  [
    PNG,
    JPEG,
    file_of(Image.fromarray(GREY), 'BMP'),
    mha(GREY, 'UCHAR'),
    mha(GREY, 'UCHAR', True),
  ],
)
def test_a_file_cut_anywhere_is_refused(data):
  for length in range(len(data)):
    with pytest.raises(RadiographError, match='^a: '):
      decode_radiograph(data[:length], 'a')


@pytest.mark.parametrize('compression', ['none', 'lzw', 'deflate'])
def test_a_tiff_cut_anywhere_is_refused_or_whole(compression):
  data = bytes(imagecodecs.tiff_encode(DEEP, compression=compression))
  whole = 0
  for length in range(len(data)):
    try:
      pixels = decode_radiograph(data[:length], 'a').pixels
    except RadiographError as error:
      assert str(error).startswith('a: ')
    else:
      np.testing.assert_array_equal(pixels, DEEP)
      whole += 1
  assert whole <= 16  # the two resolutions, which nothing needs, stand at its end


@pytest.mark.parametrize('ending', ['.png', '.jpg', '.dcm', '.tif', ''])
def test_the_content_tells_the_kind_and_not_the_name(tmp_path, ending):
  pixels = np.tile(np.arange(64, dtype=np.uint8) * 3, (64, 1))
  for kind in ('PNG', 'JPEG', 'TIFF', 'BMP'):
    path = tmp_path / f'image{ending}'
    path.write_bytes(file_of(Image.fromarray(pixels), kind))
    read = read_radiograph(path).pixels.astype(int)
    np.testing.assert_allclose(read, pixels, atol=4 if kind == 'JPEG' else 0)


def test_a_missing_file_a_folder_and_a_large_file_are_refused(tmp_path):
  with pytest.raises(RadiographError, match='no such file.*correct the path'):
    read_radiograph(tmp_path / 'missing.png')
  with pytest.raises(RadiographError, match='a folder without radiographs'):
    read_radiograph(tmp_path)
  large = tmp_path / 'large.png'
  with large.open('wb') as file:
    file.truncate(2**29)  # sparse
  with pytest.raises(RadiographError, match='536,870,912 bytes.*exclude'):
    read_radiograph(large)


def test_only_plain_grey_png_passes_through():
  text = PngImagePlugin.PngInfo()
  text.add_text('Patient', 'Doe^Jane')
  grey = Image.fromarray(GREY)
  assert passes_through(file_of(grey))
  assert not passes_through(file_of(grey, pnginfo=text))
  profile = b'Doe^Jane\0\0' + zlib.compress(b'Doe^Jane, born 1960')
  described = PNG[:33] + chunk(b'iCCP', profile) + PNG[33:]
  np.testing.assert_array_equal(decode_png(described, 'a.png'), GREY)
  assert not passes_through(described)
  assert not passes_through(PNG + b'Doe^Jane')
  assert not passes_through(file_of(grey.convert('RGB')))
  assert not passes_through(file_of(grey.convert('1')))
  assert not passes_through(file_of(grey, transparency=0))
  assert not passes_through(PNG[:-1])
  assert not passes_through(FLIPPED)
  assert not passes_through(JPEG)


def test_real_pngs_pass_through_but_for_those_stored_as_rgba(real_data):
  files = sorted((real_data / 'nih' / 'images').glob('*.png'))
  encoded_again = [file for file in files if not passes_through(file.read_bytes())]
  assert len(files) == 319 and len(encoded_again) == 4
  for file in [*encoded_again, *files[:4]]:
    assert read_radiograph(file).pixels.shape == (1024, 1024)
