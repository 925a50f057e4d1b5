"""PNG and JPEG files, good and bad; DICOM has its own tests."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from nodulax.radiograph.reading import (
  RadiographError,
  decode_png,
  decode_radiograph,
  encode_png,
  passes_through,
  read_radiograph,
)

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


COLOURED = Image.fromarray(np.dstack([GREY, GREY, np.full_like(GREY, 99)]))
TRANSPARENT = Image.fromarray(np.dstack([GREY, GREY, GREY, GREY]))
PNG, JPEG = encode_png(GREY), file_of(Image.fromarray(GREY).resize((64, 64)), 'JPEG')
FLIPPED = PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:]
REFUSED = {
  'coloured PNG': (file_of(COLOURED), 'colours.*greyscale'),
  'coloured JPEG': (file_of(COLOURED.resize((64, 64)), 'JPEG'), 'colours.*greyscale'),
  'transparent PNG': (file_of(TRANSPARENT), 'transparent.*greyscale'),
  'empty file': (b'', 'empty.*copy'),
  'text': (b'image,patient_id,label\n', 'not a PNG, JPEG or DICOM.*convert'),
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


@pytest.mark.parametrize('data', [PNG, JPEG])
def test_a_file_cut_anywhere_is_refused(data):
  for length in range(len(data)):
    with pytest.raises(RadiographError, match='^a: '):
      decode_radiograph(data[:length], 'a')


def test_a_missing_file_a_folder_and_a_large_file_are_refused(tmp_path):
  with pytest.raises(RadiographError, match='no such file.*correct the path'):
    read_radiograph(tmp_path / 'missing.png')
  with pytest.raises(RadiographError, match='no such file'):
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
