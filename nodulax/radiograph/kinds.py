"""Recognises a file by its first bytes, for messages about files with misleading names."""

import re

_KINDS = {
  rb'\x89PNG\r\n\x1a\n': 'a PNG',
  rb'\xff\xd8\xff': 'a JPEG',
  rb'.{128}DICM': 'a DICOM',
  rb'II\*\0|MM\0\*': 'a TIFF',
  rb'BM.{4}\0\0\0\0': 'a BMP',
  rb'RIFF.{4}WEBP': 'a WebP',
  rb'GIF8[79]a': 'a GIF',
  rb'\0\0\0\x0cjP  |\xff\x4f\xff\x51': 'a JPEG 2000',
  rb'.{4}ftyp(avif|heic|heix|mif1)': 'a HEIF or AVIF',
  rb'%PDF-': 'a PDF',
  rb'PK\x03\x04': 'a zip',
  rb'\s*<(!doctype html|html|\?xml)': 'an HTML or XML',  # of a download that failed, most often
}


def kind_of(data: bytes) -> str | None:
  """'a WebP' and so on; None if the beginning of the file is not known."""
  beginning = data[:512]
  found = (kind for begins, kind in _KINDS.items() if re.match(begins, beginning, re.S | re.I))
  return next(found, None)
