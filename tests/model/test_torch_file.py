"""PyTorch's files without PyTorch.

references/zip.pth and legacy.pth were written by PyTorch 2.13 with

    torch.save(state, 'zip.pth')
    torch.save(state, 'legacy.pth', _use_new_zipfile_serialization=False)

where state = OrderedDict(a=arange(6.).reshape(2, 3), b=arange(6.).reshape(2, 3).t(),
c=tensor([1.5, -2]).half(), d=tensor(7), e=Parameter(arange(8, dtype=float64)[3:5])).
"""

import io
import pathlib
import pickle
import struct
import zipfile

import numpy as np
import pytest

from nodulax.model.torch_file import read_torch

REFERENCES = pathlib.Path(__file__).parent / 'references'
MAX_BYTES = 1 << 20


class Script:
  """Pickles as a call of os.system, as an attacker's file would."""

  def __reduce__(self):
    import os

    return os.system, ('touch nodulax-was-here',)


def archive(pickled: bytes, **members: bytes) -> io.BytesIO:
  file = io.BytesIO()
  with zipfile.ZipFile(file, 'w') as writer:
    writer.writestr('weights/data.pkl', pickled)
    for name, data in members.items():
      writer.writestr(f'weights/{name}', data)
  file.seek(0)
  return file


def tensor_pickle(offset: int, shape: tuple, strides: tuple) -> bytes:
  """{'a': a tensor over storage '0' of four floats}, written opcode by opcode."""

  def numbers(values):
    return b'(' + b''.join(b'J' + struct.pack('<i', v) for v in values) + b't'

  text = b''.join(b'X' + struct.pack('<I', len(t)) + t for t in (b'storage',))
  storage = b'(' + text + b'ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ'
  return (
    b'\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n('
    + storage
    + b'J'
    + struct.pack('<i', offset)
    + numbers(shape)
    + numbers(strides)
    + b'\x89}tRs.'
  )


FOUR = np.arange(4, dtype='<f4').tobytes()


@pytest.mark.parametrize('name', ['zip.pth', 'legacy.pth'])
def test_reads_what_pytorch_wrote(name):
  with (REFERENCES / name).open('rb') as file:
    arrays = read_torch(file, MAX_BYTES)
  assert list(arrays) == ['a', 'b', 'c', 'd', 'e']
  np.testing.assert_array_equal(arrays['a'], [[0, 1, 2], [3, 4, 5]])
  np.testing.assert_array_equal(arrays['b'], [[0, 3], [1, 4], [2, 5]])
  np.testing.assert_array_equal(arrays['c'], np.array([1.5, -2], np.float16))
  assert arrays['d'] == 7
  np.testing.assert_array_equal(arrays['e'], [3, 4])


def test_reads_a_handmade_tensor():
  file = archive(tensor_pickle(1, (3,), (1,)), **{'data/0': FOUR})
  np.testing.assert_array_equal(read_torch(file, MAX_BYTES)['a'], [1, 2, 3])


@pytest.mark.parametrize(
  ('offset', 'shape', 'strides'),
  [
    (0, (5,), (1,)),
    (2, (3,), (1,)),
    (0, (2,), (9,)),
    (-1, (2,), (1,)),
    (0, (2,), (-1,)),
    (0, (1 << 20, 1 << 20), (0, 0)),
    (0, (2, 2), (1,)),
  ],
)
def test_a_tensor_that_reaches_out_of_its_numbers_is_refused(offset, shape, strides):
  file = archive(tensor_pickle(offset, shape, strides), **{'data/0': FOUR})
  with pytest.raises(ValueError, match='tensor'):
    read_torch(file, MAX_BYTES)


def test_code_in_a_file_does_not_run(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  pickled = pickle.dumps({'a': Script()}, protocol=2)
  legacy = (
    b''.join(pickle.dumps(part, protocol=2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))
    + pickled
  )
  for file in (archive(pickled), io.BytesIO(legacy), io.BytesIO(pickled)):
    with pytest.raises(ValueError, match='system, which is not a tensor'):
      read_torch(file, MAX_BYTES)
  assert not list(tmp_path.iterdir())


def test_a_huge_index_takes_no_memory():
  # LONG_BINPUT 0xfffffff0: the unpickler would make room for as many objects.
  with pytest.raises(ValueError, match='malformed'):
    read_torch(archive(b'\x80\x02}r\xf0\xff\xff\xff.'), MAX_BYTES)


def test_an_archive_that_unpacks_too_large_is_refused():
  with pytest.raises(ValueError, match='more than 1048576 bytes'):
    read_torch(archive(tensor_pickle(0, (4,), (1,)), **{'data/0': bytes(MAX_BYTES)}), MAX_BYTES)


def test_damaged_files_are_errors():
  for name in ('zip.pth', 'legacy.pth'):
    whole = (REFERENCES / name).read_bytes()
    for length in range(0, len(whole) - 1, 7):
      with pytest.raises(ValueError, match='.'):
        read_torch(io.BytesIO(whole[:length]), MAX_BYTES)
