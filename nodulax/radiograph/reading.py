"""Radiographs from files: PNG, JPEG and DICOM, told apart by what is in them."""

import os
import pathlib

from nodulax.radiograph import dicom, jpeg, png
from nodulax.radiograph.png import decode_png, encode_png, passes_through
from nodulax.radiograph.record import MAX_BYTES, Radiograph, RadiographError

__all__ = [
  'Radiograph',
  'RadiographError',
  'begins_as_radiograph',
  'decode_png',
  'decode_radiograph',
  'encode_png',
  'passes_through',
  'read_radiograph',
]


def read_radiograph(path: str | os.PathLike[str]) -> Radiograph:
  """Reads a radiograph from a PNG, JPEG or DICOM file, whatever its name ends with.

  Raises:
    RadiographError: the file is missing or empty, larger than `MAX_BYTES`, of another kind,
      damaged, or not a grey image of one frame. No other exception leaves this function.
  """
  file = pathlib.Path(path)
  try:
    if not file.is_file():
      raise RadiographError(f'{path}: there is no such file; correct the path or fetch the file')
    size = file.stat().st_size
    if size > MAX_BYTES:
      raise RadiographError(
        f'{path}: {size:,} bytes, where a radiograph has at most {MAX_BYTES:,}; exclude it'
      )
    data = file.read_bytes()
  except OSError as error:
    raise RadiographError(f'{path}: {error.strerror}; make the file readable') from error
  return decode_radiograph(data, str(path))


def begins_as_radiograph(path: str | os.PathLike[str]) -> bool:
  """Whether a file begins as PNG, JPEG or DICOM does; the rest of it is not read.

  Raises:
    OSError: it cannot be read.
  """
  with open(path, 'rb') as file:
    data = file.read(132)
  return data.startswith((png.SIGNATURE, jpeg.SIGNATURE)) or dicom.is_dicom(data)


def decode_radiograph(data: bytes, name: str) -> Radiograph:
  """Like `read_radiograph`, from the bytes of a file; `name` is for messages.

  PNG and JPEG files give their pixels alone and are taken to show dense tissue bright.
  """
  if data.startswith(png.SIGNATURE):
    return Radiograph(decode_png(data, name))
  if data.startswith(jpeg.SIGNATURE):
    return Radiograph(jpeg.decode_jpeg(data, name))
  if dicom.is_dicom(data):
    return dicom.decode_dicom(data, name)
  if not data:
    raise RadiographError(f'{name}: the file is empty; copy it again from its source')
  raise RadiographError(f'{name}: not a PNG, JPEG or DICOM file; convert it to one of these')
