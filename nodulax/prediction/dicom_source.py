"""A radiograph's header for objects that copy parts of it: in Unicode, with invalid values empty.

Hospitals' headers come in the character sets of their country, often under a wrong name, and hold
dates, times and names that the standard forbids; an object that carries those is refused by
archives, or cannot be made at all.
"""

import contextlib
import datetime
import io
import re
from typing import Any

import pydicom
from pydicom import config
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.valuerep import validate_value

from nodulax.radiograph.dicom_header import inflated

UNICODE = 'ISO_IR 192'
_TEXTS = ('LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT')
_WITHOUT_SEVERAL = ('LT', 'ST', 'UT')  # in which a backslash is a character
# After these, text continues in the first character set (PS3.5 6.1.2.5.3).
_DELIMITERS = {*b'\\\t\r\n\f'}
_NAME_DELIMITERS = {*b'\\^='}
_CODED = ('AS', 'CS', 'DA', 'DS', 'DT', 'IS', 'TM', 'UI')
_SEXES = ('M', 'F', 'O')
# What Korean systems call their character set (KS X 1001).
_KOREAN = re.compile(r'(ISO.?IR.?149|K[S_ ]*[CX][_ ]*(5601|1001).*|EUC.?KR|CP949)')
# How text of a character set that the header does not name announces itself (PS3.3 C.12.1.1.2).
_ESCAPES = {
  b'\x1b$)C': 'ISO 2022 IR 149',
  b'\x1b$B': 'ISO 2022 IR 87',
  b'\x1b$(D': 'ISO 2022 IR 159',
  b'\x1b(J': 'ISO 2022 IR 13',
  b'\x1b)I': 'ISO 2022 IR 13',
}


def read_source(data: bytes, name: str) -> pydicom.Dataset:
  """The header of a DICOM file without its pixels and its private attributes.

  Text is decoded from the character set of the file, and Specific Character Set is ISO_IR 192. An
  attribute with a value that the standard forbids, or with too many, is empty.

  Args:
    data: the bytes of the file.
    name: name of the file, for messages.

  Raises:
    RadiographError: the file is deflated, and is damaged or too large.
    Exception: almost anything from pydicom, if the file is broken.
  """
  file = io.BytesIO(inflated(data, name))
  dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True)
  clean = _clean(dataset, [])
  clean.SpecificCharacterSet = UNICODE
  return clean


def _clean(dataset: pydicom.Dataset, inherited: list[str]) -> pydicom.Dataset:
  character_sets = _character_sets(dataset) or inherited
  clean = pydicom.Dataset()
  for tag in sorted(dataset.keys()):
    if tag.is_private or tag.group % 2 or tag.element == 0:
      continue
    with contextlib.suppress(Exception):  # what cannot be read at all is left out
      vr, value = _value(dataset, tag, character_sets)
      if vr == 'SQ':
        value = [_clean(item, character_sets) for item in value]
      clean.add_new(tag, vr, value)
  clean.pop('SpecificCharacterSet', None)
  if clean.get('PatientSex') not in (None, '', *_SEXES):
    clean.PatientSex = None
  return clean


def _value(dataset: pydicom.Dataset, tag: Any, character_sets: list[str]) -> tuple[str, Any]:
  """The VR and the value of an attribute; None if it is invalid."""
  element = dataset.get_item(tag)
  vr = element.VR
  if not isinstance(element, RawDataElement):
    return str(vr), element.value
  if vr in (None, 'UN'):
    vr = dictionary_VR(tag)
  if vr not in (*_TEXTS, *_CODED):
    return str(dataset[tag].VR), dataset[tag].value
  data = element.value or b''
  text = decoded(data, character_sets, vr == 'PN') if vr in _TEXTS else data.decode('ascii')
  values = [text] if vr in _WITHOUT_SEVERAL else text.split('\\')
  values = [value.strip(' \0') for value in values]
  if not _fits(len(values), dictionary_VM(tag)) or not all(_is_valid(vr, it) for it in values):
    return vr, None
  return vr, values[0] if len(values) == 1 else values


def _is_valid(vr: str, value: str) -> bool:
  if vr in ('DA', 'TM') and '-' in value:  # a range, allowed only in queries
    return False
  # Text may be too long for its kind: it must stay as it is in the archive.
  if vr in _TEXTS:
    return not any(ord(character) < 32 and character not in '\t\r\n\f' for character in value)
  try:
    validate_value(vr, value, config.RAISE)
    if vr == 'DA' and value:  # the form may be right without being a date
      datetime.date(int(value[:4]), int(value[4:6]), int(value[6:8]))
  except ValueError:
    return False
  return True


def _fits(count: int, multiplicity: str) -> bool:
  """Whether an attribute of a multiplicity such as '1', '2-2n' or '1-n' may have so many values."""
  least, _, most = multiplicity.partition('-')
  if not most:
    return count == int(least)
  if most.endswith('n'):
    return count >= int(least) and count % int(most[:-1] or 1) == 0
  return int(least) <= count <= int(most)


def _character_sets(dataset: pydicom.Dataset) -> list[str]:
  """The names in Specific Character Set, with non-standard ones corrected."""
  stated = dataset.get('SpecificCharacterSet') or []
  names = [stated] if isinstance(stated, str) else list(stated)
  return ['ISO 2022 IR 149' if _KOREAN.fullmatch(name.upper()) else name for name in names]


def decoded(data: bytes, character_sets: list[str], is_name: bool) -> str:
  """The text of an attribute.

  Text beyond ASCII of a file that names no character set for it is tried as UTF-8 and as Korean;
  else it is taken as Latin.

  Args:
    data: the bytes in the file.
    character_sets: the character sets that the file names, in order.
    is_name: whether it is a person's name, each part of which begins in the first one.
  """
  if data.isascii() and b'\x1b' not in data:
    return data.decode('ascii')
  escaped = [name for escape, name in _ESCAPES.items() if escape in data]
  if escaped:
    named = [*(character_sets or ['']), *escaped]
  else:  # the first one that has more than ASCII
    named = [name for name in character_sets if name not in ('', 'ISO_IR 6', 'ISO 2022 IR 6')]
  with contextlib.suppress(LookupError):  # an unknown character set
    encodings = convert_encodings(list(dict.fromkeys(named)))
    text = decode_bytes(data, encodings, _NAME_DELIMITERS if is_name else _DELIMITERS)
    if named and '\ufffd' not in text:
      return text
  return _guessed(data)


def _guessed(data: bytes) -> str:
  with contextlib.suppress(UnicodeDecodeError):
    return data.decode('utf-8')
  with contextlib.suppress(UnicodeDecodeError):
    text = data.decode('euc_kr')
    # Accented Latin letters rarely happen to be Korean syllables.
    beyond = [character for character in text if not character.isascii()]
    hangul = [character for character in beyond if '가' <= character <= '힣']
    hanja = [character for character in beyond if '一' <= character <= '鿿']
    if hangul and len(hangul) + len(hanja) == len(beyond):
      return text
  return data.decode('latin-1')
