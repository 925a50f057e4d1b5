"""Reads the tensors of a PyTorch state dict without PyTorch and without running its pickle's code.

A .pth file names, in a pickle, tensors whose numbers lie beside it: in a zip archive, or, as in
the files that torchvision publishes, after the pickle. The pickle is read by an unpickler that
knows dictionaries and tensors and refuses every other name, so that no code in a file can run.
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from typing import Any, BinaryIO, NamedTuple

import numpy as np

# The first number of the older format, and the number of pickles between it and the state dict.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
MAX_PICKLE_BYTES = 1 << 24

STORAGES = {
  'DoubleStorage': np.dtype('<f8'),
  'FloatStorage': np.dtype('<f4'),
  'HalfStorage': np.dtype('<f2'),
  'LongStorage': np.dtype('<i8'),
  'IntStorage': np.dtype('<i4'),
}


class _Storage(NamedTuple):
  dtype: np.dtype
  key: str
  size: int


class _Tensor(NamedTuple):
  storage: _Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]

  def read(self, numbers: bytes) -> np.ndarray:
    values = np.frombuffer(numbers, self.storage.dtype)
    if len(self.strides) != len(self.shape) or min((self.offset, *self.shape, *self.strides)) < 0:
      raise ValueError('a tensor has an impossible shape')
    count = math.prod(self.shape)
    steps = zip(self.shape, self.strides, strict=True)
    last = self.offset + sum((n - 1) * step for n, step in steps)
    if count > len(values) or (count and last >= len(values)):
      raise ValueError('a tensor reaches past the end of its numbers')
    return np.lib.stride_tricks.as_strided(
      values[self.offset :], self.shape, [step * values.itemsize for step in self.strides]
    ).copy()


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
  return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _StateDictUnpickler(pickle.Unpickler):
  """Knows dictionaries and tensors. A tensor's numbers are read afterwards."""

  def find_class(self, module: str, name: str) -> Any:
    if (module, name) == ('collections', 'OrderedDict'):
      return OrderedDict
    if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
      return _tensor
    if (module, name) == ('torch._utils', '_rebuild_parameter'):
      return lambda tensor, *_: tensor
    if module == 'torch' and name in STORAGES:
      return STORAGES[name]
    raise ValueError(f'it holds {module}.{name}, which is not a tensor; save just the state_dict()')

  def persistent_load(self, pid: Any) -> _Storage:
    match pid:
      # The older format adds None, for a storage that is no view of another.
      case ('storage', np.dtype() as dtype, str(key), str(), int(size), *views) if not any(views):
        return _Storage(dtype, key, size)
    raise ValueError('it holds something that is neither a dictionary nor a tensor')


def _unpickle(file: BinaryIO) -> Any:
  start = file.tell()
  for opcode, argument, position in pickletools.genops(file):
    # A huge index here would make the unpickler allocate as much memory.
    if opcode.name in ('PUT', 'LONG_BINPUT') and int(argument or 0) > MAX_PICKLE_BYTES:
      raise ValueError('its pickle is malformed')
    if position is not None and position - start > MAX_PICKLE_BYTES:
      raise ValueError(f'its pickle is longer than {MAX_PICKLE_BYTES} bytes')
  file.seek(start)
  return _StateDictUnpickler(file).load()


def _read_zip(file: BinaryIO, max_bytes: int) -> tuple[Any, dict[str, bytes]]:
  with zipfile.ZipFile(file) as archive:
    members = {m.filename.partition('/')[2]: m for m in archive.infolist()}
    if sum(m.file_size for m in members.values()) > max_bytes:
      raise ValueError(f'it holds more than {max_bytes} bytes')
    if 'byteorder' in members and archive.read(members['byteorder']) != b'little':
      raise ValueError('its numbers are big-endian')
    if 'data.pkl' not in members:
      raise ValueError('it has no data.pkl')
    return _unpickle(io.BytesIO(archive.read(members['data.pkl']))), {
      name.removeprefix('data/'): archive.read(member)
      for name, member in members.items()
      if name.startswith('data/')
    }


def _read_legacy(file: BinaryIO, max_bytes: int) -> tuple[Any, dict[str, bytes]]:
  if _unpickle(file) != LEGACY_MAGIC:
    raise ValueError('it is not a PyTorch file')
  _unpickle(file), _unpickle(file)  # The protocol's version, and the machine that wrote the file.
  state = _unpickle(file)
  storages = {tensor.storage.key: tensor.storage for tensor in _tensors(state).values()}
  numbers = {}
  for key in _unpickle(file):
    size = int.from_bytes(file.read(8), 'little')
    # An unused storage would have an unknown width, and a state dict has none.
    if key not in storages or storages[key].size != size or size > max_bytes:
      raise ValueError('its numbers do not belong to its tensors')
    numbers[key] = file.read(size * storages[key].dtype.itemsize)
  return state, numbers


def _tensors(state: Any) -> dict[str, _Tensor]:
  """The tensors of a state dict, or of a checkpoint that holds one under 'state_dict'."""
  if isinstance(state, dict) and isinstance(state.get('state_dict'), dict):
    state = state['state_dict']
  if not isinstance(state, dict):
    raise ValueError('it is not a state dict')
  return {
    name: value
    for name, value in state.items()
    if isinstance(name, str) and isinstance(value, _Tensor)
  }


def read_torch(file: BinaryIO, max_bytes: int) -> dict[str, np.ndarray]:
  """The tensors of a .pth file by their names.

  Args:
    file: opened for reading; zip or the format before PyTorch 1.6.
    max_bytes: largest unpacked size that is read.

  Raises:
    ValueError: the file is damaged or holds more than tensors. The caller puts the file's name
      before the message.
  """
  is_zip = file.read(4) == b'PK\x03\x04'
  file.seek(0)
  try:
    state, numbers = _read_zip(file, max_bytes) if is_zip else _read_legacy(file, max_bytes)
    return {
      name: tensor.read(numbers[tensor.storage.key]) for name, tensor in _tensors(state).items()
    }
  except (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    EOFError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
  ) as error:
    raise ValueError(f'it is damaged ({error})') from error
