"""Reads the arrays of a file of weights: Keras, PyTorch or safetensors.

Files come from anywhere, so none is trusted: nothing is unpickled, no link out of a file is
followed, and sizes are known before memory is taken.
"""

import io
import pathlib
import zipfile
from typing import BinaryIO

import h5py
import numpy as np
from safetensors.numpy import load_file

from nodulax.model.torch_file import read_torch

# Ten times DenseNet-201 with its optimizer.
MAX_BYTES = 1 << 30


def read_arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
  """All arrays of a file by the names they have in it.

  Args:
    path: .h5, .weights.h5 or .keras of Keras, .pth or .pt of PyTorch, or .safetensors.

  Returns:
    For Keras `layer/weight` with the names that layers give their weights (kernel, gamma, ...)
    and possibly more folders before; for the others the names of the state dict.

  Raises:
    ValueError: the file is of another kind, damaged, or larger than `MAX_BYTES`.
  """
  if path.stat().st_size > MAX_BYTES:
    raise ValueError(f'{path} is larger than {MAX_BYTES >> 20} MiB: not the weights of a DenseNet')
  try:
    match path.suffix:
      case '.h5' | '.hdf5':
        with path.open('rb') as file:
          return _read_keras(file)
      case '.keras':
        with zipfile.ZipFile(path) as archive:
          member = archive.getinfo('model.weights.h5')
          if member.file_size > MAX_BYTES:
            raise ValueError(f'it unpacks to more than {MAX_BYTES >> 20} MiB')
          return _read_keras(io.BytesIO(archive.read(member)))
      case '.pth' | '.pt':
        with path.open('rb') as file:
          return read_torch(file, MAX_BYTES)
      case '.safetensors':
        return load_file(path)
  except Exception as error:  # a damaged file makes these libraries raise almost anything
    raise ValueError(f'{path} cannot be read as weights: {error}') from error
  raise ValueError(
    f'{path} is not a file of weights that nodulax reads: .h5, .weights.h5, .keras, .pth, '
    '.pt, .safetensors'
  )


def _read_keras(file: BinaryIO) -> dict[str, np.ndarray]:
  arrays: dict[str, np.ndarray] = {}

  def visit(path: str, item: h5py.Group | h5py.Dataset) -> None:
    if not isinstance(item, h5py.Dataset) or item.dtype.kind != 'f':
      return
    if item.external or item.is_virtual:
      raise ValueError(f'{path} lies in another file')
    size = sum(array.nbytes for array in arrays.values()) + item.size * item.dtype.itemsize
    if size > MAX_BYTES:
      raise ValueError(f'it unpacks to more than {MAX_BYTES >> 20} MiB')
    arrays[_keras_name(path, item)] = item[()]

  # visititems follows no link that leaves the file.
  with h5py.File(file, 'r') as h5:
    h5.visititems(visit)
  return arrays


def _keras_name(path: str, dataset: h5py.Dataset) -> str:
  """`layer/weight`; Keras 3 files number a layer's weights and keep its name as an attribute."""
  layer = dataset.parent.attrs.get('name')
  if not path.split('/')[-1].isdecimal() or not isinstance(layer, str):
    return path.removesuffix(':0')
  is_norm = len(dataset.parent) == 4
  weights = ('gamma', 'beta', 'moving_mean', 'moving_variance') if is_norm else ('kernel', 'bias')
  index = int(path.split('/')[-1])
  return f'{layer}/{weights[index]}' if index < len(weights) else path
