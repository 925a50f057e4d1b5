"""Spoils valid files: byte by byte, or by the parts that their format is made of.

Every function takes the source of chance last, and gives the same for the same.
"""

import csv
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Rng = np.random.Generator

_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# What stands in cells and values that nobody meant to.
ODD_TEXTS = (
  '', ' ', '0', '-1', '1', 'nan', 'inf', '-inf', '1e999', '1e-999', '0x10', '1_000', '٣', '½',
  'null', 'None', 'True', '[]', '{}', '=1+1', '"', "'", ',', ';', '|', '\n', '\r', '\0', '\ufeff',
  '\ud7ff', '🫁', '../../etc/passwd', '/etc/passwd', 'C:\\con', '~', '.', '%s%n', '<script>',
  'A' * 5000, '9' * 5000, '-' * 300, '1 2 3', '0 0 0 0', '1 2 3 4; 5 6 7 8', '9 9 1 1',
)  # fmt: skip
_ODD_NUMBERS = (0, -1, 1, 2**31, 2**63, 2**70, -(2**63), 0.5, -0.0, 1e308, float('nan'), 1e-320)


def pick(choices: Sequence[Any], rng: Rng) -> Any:
  return choices[int(rng.integers(len(choices)))]


def spoil_bytes(data: bytes, rng: Rng, end: int | None = None) -> bytes:
  """One to eight changes of bytes, each before `end` where that is given."""
  changed = bytearray(data)
  for _ in range(1 + int(rng.integers(8)) * int(rng.integers(2))):
    limit = max(1, min(len(changed), end or len(changed)))
    at = int(rng.integers(limit))
    length = int(rng.integers(1, 1 + min(64, limit)))
    match int(rng.integers(9)):
      case 0 | 1:
        changed[at : at + 1] = [pick(range(256), rng)]
      case 2:
        changed[at : at + 1] = [(changed[at] if changed else 0) ^ 1 << int(rng.integers(8))]
      case 3 | 4:
        form = pick(('<H', '>H', '<I', '>I', '<Q'), rng)
        number = pick(_NUMBERS, rng) & ((1 << 8 * struct.calcsize(form)) - 1)
        changed[at : at + struct.calcsize(form)] = struct.pack(form, number)
      case 5:
        del changed[at : at + length]
      case 6:
        changed[at:at] = rng.bytes(length)
      case 7:
        other = int(rng.integers(limit))
        changed[at : at + length] = changed[other : other + length]
      case 8 if rng.random() < 0.3:
        del changed[at:]
  return bytes(changed)


def spoil_png(data: bytes, rng: Rng) -> bytes:
  """Changes within chunks, their checksums put right; chunks dropped, doubled and moved."""
  chunks, start = [], 8
  while start < len(data):
    (length,) = struct.unpack_from('>I', data, start)
    chunks.append((data[start + 4 : start + 8], data[start + 8 : start + 8 + length]))
    start += 12 + length
  index = int(rng.integers(len(chunks)))
  kind, content = chunks[index]
  match int(rng.integers(8)):
    case 0:
      del chunks[index]
    case 1:
      chunks.insert(int(rng.integers(len(chunks))), chunks[index])
    case 2:
      chunks[index] = (spoil_bytes(kind, rng)[:4].ljust(4, b'a'), content)
    case 3:
      names = (b'tEXt', b'zTXt', b'iCCP', b'PLTE', b'tRNS', b'sBIT', b'acTL', b'fdAT', b'eXIf')
      bomb = b'name\0\0' + zlib.compress(bytes(10**6))
      chunks.insert(1, (pick(names, rng), pick((rng.bytes(9), bomb), rng)))
    case 4 if kind == b'IDAT':
      pixels = spoil_bytes(zlib.decompress(content), rng)
      chunks[index] = (kind, zlib.compress(pixels * pick((1, 1, 50), rng)))
    case _:
      # The header is where most can go wrong.
      index = 0 if rng.random() < 0.5 else index
      chunks[index] = (chunks[index][0], spoil_bytes(chunks[index][1], rng))
  return data[:8] + b''.join(
    struct.pack('>I', len(content)) + kind + content
    + struct.pack('>I', zlib.crc32(kind + content))
    for kind, content in chunks
  )  # fmt: skip


def spoil_zip(data: bytes, rng: Rng, member: Callable[[bytes, Rng], bytes] = spoil_bytes) -> bytes:
  """One file of an archive changed, dropped or renamed; its checksum is right."""
  with zipfile.ZipFile(io.BytesIO(data)) as archive:
    files = {name: archive.read(name) for name in archive.namelist()}
  name = pick(sorted(files), rng)
  match int(rng.integers(6)):
    case 0:
      del files[name]
    case 1:
      files[pick(('../x', 'a/../../x', '/x', 'x', name + '0'), rng)] = files.pop(name)
    case 2:
      files[name] = bytes(10**7)  # small where it lies, large where it is read
    case _:
      files[name] = member(files[name], rng)
  spoilt = io.BytesIO()
  with zipfile.ZipFile(spoilt, 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, content in files.items():
      archive.writestr(name, content)
  return spoilt.getvalue()


def spoil_csv(data: bytes, rng: Rng) -> bytes:
  """Cells, lines and columns changed, lost or doubled; sometimes bytes."""
  if rng.random() < 0.3:
    return spoil_bytes(data, rng)
  rows = list(csv.reader(io.StringIO(data.decode())))
  for _ in range(int(rng.integers(1, 4))):
    line = int(rng.integers(len(rows)))
    row = rows[line]
    column = int(rng.integers(len(row))) if row else 0
    match int(rng.integers(10)):
      case 0:
        rows.insert(int(rng.integers(len(rows))), list(row))
      case 1 if len(rows) > 1:
        del rows[line]
      case 2:
        row.append(pick(ODD_TEXTS, rng))
      case 3 if row:
        del row[column]
      case 4 if row:
        for other in rows:
          del other[column : column + 1]
      case 5 if row:
        other = pick(rows, rng)
        row[column] = pick(other or [''], rng)
      case _ if row:
        row[column] = pick(ODD_TEXTS, rng)
  text = io.StringIO()
  csv.writer(text).writerows(rows)
  return text.getvalue().encode()


def spoil_json(data: bytes, rng: Rng) -> bytes:
  """A value of a JSON document changed, lost, doubled or put deeper; sometimes bytes."""
  if rng.random() < 0.2:
    return spoil_bytes(data, rng)
  document = [json.loads(data)]
  for _ in range(int(rng.integers(1, 4))):
    places = list(_places(document))
    holder, key = pick(places, rng)
    match int(rng.integers(6)):
      case 0 if holder is not document:
        del holder[key]
      case 1 if isinstance(holder, dict):
        holder[pick(ODD_TEXTS, rng)] = holder.pop(key)
      case 2:
        other, name = pick(places, rng)
        holder[key] = json.loads(json.dumps(other[name]))
      case 3:
        depth = pick((1, 2, 50), rng)
        for _ in range(depth):
          holder[key] = pick(([holder[key]], {'a': holder[key]}), rng)
      case 4:
        holder[key] = pick(ODD_TEXTS, rng)
      case _:
        holder[key] = pick((None, True, False, [], {}, *_ODD_NUMBERS), rng)
  return json.dumps(document[0] if document else None, ensure_ascii=False).encode()


def _places(value: Any):
  """Every (container, key) of a JSON document, from the top down."""
  pairs = value.items() if isinstance(value, dict) else enumerate(value)
  for key, inner in list(pairs):
    yield value, key
    if isinstance(inner, dict | list):
      yield from _places(inner)


def spoil_safetensors(data: bytes, rng: Rng) -> bytes:
  """The header of a safetensors file changed, its length right; or bytes of the whole."""
  (length,) = struct.unpack_from('<Q', data)
  if rng.random() < 0.3:
    return spoil_bytes(data, rng, 8 + length)
  header = spoil_json(data[8 : 8 + length], rng)
  return struct.pack('<Q', len(header)) + header + data[8 + length :]
