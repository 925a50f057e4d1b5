"""Reads radiographs from files of every supported kind, which are recognised by their content."""

import os
import pathlib

from nodulax.radiograph import bmp, dicom, jpeg, metaimage, png, tiff
from nodulax.radiograph.kinds import kind_of
from nodulax.radiograph.png import decode_png, encode_png, passes_through
from nodulax.radiograph.record import MAX_BYTES, Radiograph, RadiographError

__all__ = [
  'FORMATS',
  'Radiograph',
  'RadiographError',
  'beginning_of',
  'begins_as_radiograph',
  'decode_png',
  'decode_radiograph',
  'encode_png',
  'passes_through',
  'read_radiograph',
]

FORMATS = 'DICOM, PNG, JPEG, TIFF, BMP or MetaImage (.mha)'
# How many bytes are needed to recognise a file.
_BEGINNING = 512
_GZIP = b'\x1f\x8b'
# The size of a NIfTI header, version 1 or 2, in either byte order.
_NIFTI = (b'\x5c\x01\0\0', b'\0\0\x01\x5c', b'\x1c\x02\0\0', b'\0\0\x02\x1c')

_NIFTI_MAGIC = {b'n+1', b'ni1', b'n+2', b'ni2'}


def read_radiograph(path: str | os.PathLike[str]) -> Radiograph:
  """Reads a radiograph from a file in one of `FORMATS`, whatever its suffix.

  Raises:
    RadiographError: the file is missing or empty, larger than `MAX_BYTES`, of another kind,
      damaged, or not a grey image of one frame. No other exception leaves this function.
  """
  file = pathlib.Path(path)
  try:
    if file.is_dir():
      raise RadiographError(f'{path}: a folder without radiographs, or one that cannot be read')
    if not file.is_file():
      raise RadiographError(f'{path}: there is no such file; correct the path or fetch the file')
    size = file.stat().st_size
    if size > MAX_BYTES:
      raise RadiographError(
        f'{path}: {size:,} bytes, but a radiograph has at most {MAX_BYTES:,}; exclude it'
      )
    data = file.read_bytes()
  except OSError as error:
    raise RadiographError(f'{path}: {error.strerror}; make the file readable') from error
  return decode_radiograph(data, str(path))


def beginning_of(path: str | os.PathLike[str]) -> bytes:
  """The first bytes of a file, by which it is recognised.

  Raises:
    OSError: it cannot be read.
  """
  with open(path, 'rb') as file:
    return file.read(_BEGINNING)


def begins_as_radiograph(beginning: bytes) -> bool:
  """Whether a file that begins like this is in one of `FORMATS`."""
  signatures = (png.SIGNATURE, jpeg.SIGNATURE, *tiff.SIGNATURES)
  others = (dicom.is_dicom, bmp.is_bmp, metaimage.is_metaimage)
  return beginning.startswith(signatures) or any(begins(beginning) for begins in others)


def decode_radiograph(data: bytes, name: str) -> Radiograph:
  """Like `read_radiograph`, from the bytes of a file; `name` is for messages.

  Files other than DICOM give only their pixels (MetaImage also the spacing), and are assumed to
  show dense tissue bright.
  """
  if data.startswith(png.SIGNATURE):
    return Radiograph(decode_png(data, name))
  if data.startswith(jpeg.SIGNATURE):
    return Radiograph(jpeg.decode_jpeg(data, name))
  if dicom.is_dicom(data):
    return dicom.decode_dicom(data, name)
  if data.startswith(tiff.SIGNATURES):
    return Radiograph(tiff.decode_tiff(data, name))
  if bmp.is_bmp(data):
    return Radiograph(bmp.decode_bmp(data, name))
  if metaimage.is_metaimage(data):
    return metaimage.decode_metaimage(data, name)
  raise RadiographError(f'{name}: {_why_unknown(data)}')


def _why_unknown(data: bytes) -> str:
  """What another kind of file is, and what to do with it."""
  if not data:
    return 'the file is empty; copy it again from its source'
  if data.startswith(_NIFTI) and {data[344:347], data[4:7]} & _NIFTI_MAGIC:
    return (
      'a NIfTI file, in which it is not certain which way a radiograph lies; convert it to .mha '
      'or to a PNG of 16 bits, upright, or take the original DICOM'
    )
  if data.startswith(_GZIP):
    return (
      f'a file compressed with gzip, such as NIfTI (.nii.gz), which is not read; give {FORMATS}'
    )
  if kind := kind_of(data):
    return f'{kind} file, whatever its name ends with; convert it to {FORMATS}'
  return f'not a {FORMATS} file; convert it to one of these'
