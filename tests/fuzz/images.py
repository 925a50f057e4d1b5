"""Radiographs of every kind that is read, small, and what must hold of one that was read."""

import io
import math
import os
import pathlib
import zlib

import imagecodecs
import numpy as np
import pydicom
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate

from nodulax.radiograph.lungs import find_lung_box
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.radiograph.reading import decode_radiograph, passes_through
from nodulax.radiograph.record import MAX_PIXELS

PREPROCESSING = Preprocessing(
  image_size=64, lung_margin=0.1, window=(0.5, 99.5), clahe_clip_limit=2.0, clahe_tiles=8
)


def check_radiograph(data: bytes) -> None:
  """Reads a radiograph and does with it what every command does; refuses with RadiographError."""
  radiograph = decode_radiograph(data, 'the file')
  pixels = radiograph.pixels
  assert pixels.ndim == 2 and pixels.dtype in (np.uint8, np.uint16)
  assert 1 <= pixels.size <= MAX_PIXELS
  assert radiograph.sex in ('female', 'male', 'unknown')
  assert radiograph.view in ('PA', 'AP', 'unknown')
  assert radiograph.orientation in ('LF', '')
  assert math.isnan(radiograph.age) or 0 <= radiograph.age <= 120
  assert radiograph.spacing_mm is None or all(1e-3 <= step <= 1e3 for step in radiograph.spacing_mm)
  if passes_through(data):
    assert imagecodecs.png_decode(data).shape == pixels.shape
  x_min, y_min, x_max, y_max = lungs = find_lung_box(pixels).box
  assert 0 <= x_min < x_max <= pixels.shape[1] and 0 <= y_min < y_max <= pixels.shape[0]
  view = PREPROCESSING.image(pixels, lungs)
  assert view.shape == (64, 64) and view.dtype == np.uint8


def picture(bits: int, height: int = 40, width: int = 48) -> np.ndarray:
  """A smooth image with noise, u8 or u16[height, width] of so many bits."""
  rows, columns = np.mgrid[:height, :width]
  noise = np.random.default_rng(0).uniform(0, 0.2, (height, width))
  grey = 0.4 + 0.2 * np.sin(rows / 9) + 0.2 * np.cos(columns / 7) + noise
  return (grey / grey.max() * ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


def pngs() -> list[bytes]:
  grey, deep = picture(8), picture(16)
  alpha = np.full_like(grey, 255)
  return [
    bytes(imagecodecs.png_encode(pixels))
    for pixels in (grey, deep, np.dstack([grey, grey, grey, alpha]), np.dstack([grey] * 3))
  ]


def tiffs() -> list[bytes]:
  grey, deep = picture(8), picture(16)
  options: list[dict] = [
    {'compression': 'none'},
    {'compression': 'lzw'},
    {'compression': 'deflate', 'byteorder': '>'},
    {'compression': 'packbits', 'bigtiff': True},
    {'compression': 'jpeg'},
    {'tile': (16, 16)},
    {'photometric': 'miniswhite'},
  ]
  made = [bytes(imagecodecs.tiff_encode(grey.copy(), **option)) for option in options]
  return [*made, bytes(imagecodecs.tiff_encode(deep, compression='lzw'))]


def bmps() -> list[bytes]:
  grey = picture(8)
  made = []
  for mode in ('L', 'RGB', 'RGBA'):
    file = io.BytesIO()
    Image.fromarray(grey).convert(mode).save(file, 'BMP')
    made.append(file.getvalue())
  return made


def metaimages() -> list[bytes]:
  grey, deep = picture(8), picture(12)
  return [
    mha(grey, 'UCHAR'),
    mha(deep, 'USHORT', compressed=True),
    mha(deep[np.newaxis], 'USHORT'),
    mha(deep.astype('>u2'), 'USHORT', BinaryDataByteOrderMSB='True'),
    mha(deep.astype(np.float32), 'FLOAT'),
    mha(deep.astype(np.int16) - 1000, 'SHORT', compressed=True),
  ]


def jpegs() -> list[bytes]:
  grey = picture(8)
  return [
    bytes(imagecodecs.jpeg8_encode(grey, level=90)),
    bytes(imagecodecs.jpeg8_encode(np.dstack([grey] * 3), level=90)),
    bytes(imagecodecs.jpeg8_encode(grey, lossless=True, bitspersample=8)),
    bytes(imagecodecs.jpeg8_encode(picture(12), lossless=True, bitspersample=12)),
  ]


def mha(elements: np.ndarray, kind: str, compressed: bool = False, **keys: str) -> bytes:
  """A MetaImage (.mha) of `elements`, with these keys."""
  data = elements.tobytes()
  lines = {
    'ObjectType': 'Image',
    'NDims': str(elements.ndim),
    'BinaryData': 'True',
    'BinaryDataByteOrderMSB': 'False',
    'CompressedData': str(compressed),
    'TransformMatrix': '1 0 0 1',
    'Offset': '0 0',
    'ElementSpacing': '0.139 0.15',
    'DimSize': ' '.join(map(str, elements.shape[::-1])),
    'ElementType': f'MET_{kind}',
    **keys,
  }
  lines['ElementDataFile'] = lines.pop('ElementDataFile', 'LOCAL')
  header = ''.join(f'{key} = {value}\n' for key, value in lines.items())
  return header.encode() + (zlib.compress(data) if compressed else data)


def dicom(pixels: np.ndarray, syntax: str, frame: bytes | None = None, **attributes) -> bytes:
  """A DICOM file of `pixels`, or of the compressed `frame`."""
  dataset = pydicom.Dataset()
  dataset.file_meta = pydicom.dataset.FileMetaDataset()
  dataset.file_meta.TransferSyntaxUID = syntax
  dataset.SOPClassUID, dataset.SOPInstanceUID = uid.ComputedRadiographyImageStorage, '1.2.3'
  dataset.PatientName, dataset.PatientSex, dataset.PatientAge = 'Doe^Jane', 'F', '062Y'
  dataset.ViewPosition, dataset.ImagerPixelSpacing = 'PA', ['0.14', '0.15']
  dataset.Rows, dataset.Columns = pixels.shape
  dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
  dataset.PhotometricInterpretation = 'MONOCHROME1'
  dataset.BitsAllocated = 8 * pixels.itemsize
  dataset.BitsStored = 8 if pixels.itemsize == 1 else 12
  dataset.HighBit = dataset.BitsStored - 1
  dataset.PixelData = encapsulate([frame]) if frame else pixels.tobytes()
  dataset['PixelData'].VR = 'OW' if pixels.itemsize == 2 else 'OB'
  dataset['PixelData'].is_undefined_length = frame is not None
  for keyword, value in attributes.items():
    setattr(dataset, keyword, value)
  file = io.BytesIO()
  dataset.save_as(file, enforce_file_format=True)
  return file.getvalue()


def _lut(entries: int) -> pydicom.Dataset:
  item = pydicom.Dataset()
  item.add_new('LUTDescriptor', 'US', [entries, 0, 16])
  item.add_new('LUTData', 'US', list(range(0, 65_536, 65_536 // entries))[:entries])
  return item


def dicoms() -> list[bytes]:
  grey, deep = picture(8), picture(12)
  window = {'WindowCenter': ['2000', '100'], 'WindowWidth': ['3000', '50']}
  rescaling = {'RescaleSlope': '2', 'RescaleIntercept': '-100', 'PixelPaddingValue': 7}
  made = [
    dicom(grey, uid.ExplicitVRLittleEndian),
    dicom(deep, uid.ExplicitVRLittleEndian, **window, **rescaling),
    dicom(deep, uid.ImplicitVRLittleEndian, **window, VOILUTFunction='SIGMOID'),
    dicom(deep, uid.ExplicitVRLittleEndian, VOILUTSequence=[_lut(4096)]),
    dicom(deep, uid.ExplicitVRLittleEndian, ModalityLUTSequence=[_lut(256)]),
    dicom(grey, uid.JPEGBaseline8Bit, bytes(imagecodecs.jpeg8_encode(grey, level=90))),
    dicom(
      deep, uid.JPEGExtended12Bit, bytes(imagecodecs.jpeg8_encode(deep, level=90, bitspersample=12))
    ),
    dicom(
      deep,
      uid.JPEGLosslessSV1,
      bytes(imagecodecs.jpeg8_encode(deep, lossless=True, bitspersample=12)),
    ),
    dicom(deep, uid.JPEGLSLossless, bytes(imagecodecs.jpegls_encode(deep))),
    *(
      dicom(
        deep,
        uid.JPEG2000Lossless,
        bytes(
          imagecodecs.jpeg2k_encode(
            deep, level=0, reversible=True, codecformat=form, bitspersample=12
          )
        ),
      )
      for form in ('j2k', 'jp2')
    ),
  ]
  packed = pydicom.dcmread(io.BytesIO(made[1]))
  packed.compress(uid.RLELossless, generate_instance_uid=False)
  file = io.BytesIO()
  packed.save_as(file)
  made.append(file.getvalue())
  made.append(made[1][132:])  # without preamble
  return made


def real(*patterns: str) -> list[bytes]:
  """Real files of `$NODULAX_TEST_DATA`, else of ../shared/data; none where they are absent."""
  beside = pathlib.Path(__file__).parents[3] / 'shared' / 'data'
  folder = pathlib.Path(os.environ.get('NODULAX_TEST_DATA', beside))
  return [path.read_bytes() for pattern in patterns for path in sorted(folder.glob(pattern))[:2]]
