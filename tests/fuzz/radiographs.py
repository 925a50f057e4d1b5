"""Radiographs as subjects of fuzzing: read, checked, and brought to the network's input."""

import pathlib
from collections.abc import Callable

from nodulax.radiograph.record import RadiographError
from tests.fuzz import images
from tests.fuzz.mutation import Rng, pick, spoil_bytes, spoil_png
from tests.fuzz.subject import Subject, one_each, spoil_one


def _read_image(folder: pathlib.Path) -> None:
  images.check_radiograph((folder / 'image').read_bytes())


def _radiograph(make: Callable[[], list[bytes]], *ways: Callable[[bytes, Rng], bytes]) -> Subject:
  return Subject(
    valid=lambda: one_each('image', make()),
    spoil=spoil_one(*ways),
    read=_read_image,
    refusals=lambda: (RadiographError,),
  )


def _spoil_head(data: bytes, rng: Rng) -> bytes:
  """The first bytes, which say most."""
  return spoil_bytes(data, rng, 250)


def _spoil_dicom_header(data: bytes, rng: Rng) -> bytes:
  return spoil_bytes(data, rng, data.rfind(b'\xe0\x7f\x10\x00') + 16)


def _spoil_pixels(data: bytes, rng: Rng) -> bytes:
  """The compressed stream, the head of which says most."""
  start = data.rfind(b'\xe0\x7f\x10\x00')
  end = pick((200, len(data)), rng)
  return data[:start] + spoil_bytes(data[start:], rng, end)


def _dicoms() -> list[bytes]:
  small = images.dicoms()
  real = images.real('dicom/CR-MONO1*', 'dicom/*.dcm')
  return small * max(1, len(real)) + real  # the real ones are large: one in a dozen


SUBJECTS = {
  'PNG': _radiograph(images.pngs, spoil_bytes, spoil_png, spoil_png),
  'JPEG': _radiograph(images.jpegs, spoil_bytes, lambda data, rng: spoil_bytes(data, rng, 700)),
  'TIFF': _radiograph(images.tiffs, spoil_bytes, _spoil_head),
  'BMP': _radiograph(images.bmps, spoil_bytes, _spoil_head),
  'MetaImage': _radiograph(images.metaimages, spoil_bytes, _spoil_head),
  'DICOM': _radiograph(_dicoms, spoil_bytes, _spoil_dicom_header, _spoil_pixels),
}
