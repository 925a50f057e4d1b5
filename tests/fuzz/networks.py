"""Networks as subjects of fuzzing: published weights, checkpoints of a run, exported files."""

import functools
import hashlib
import io
import pathlib
import pickle
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from nodulax.model.torch_file import LEGACY_MAGIC
from tests.fuzz import images
from tests.fuzz.mutation import Rng, pick, spoil_bytes, spoil_json, spoil_safetensors, spoil_zip
from tests.fuzz.subject import Files, Subject, one_each, spoil_one

# Published weights.


@functools.cache
def _variables() -> Any:
  import jax
  import jax.numpy as jnp

  from nodulax.model import SIZES, DenseNetSE, Network

  backbone = DenseNetSE(**{**SIZES['tiny'], 'block_sizes': (1,) * 4})  # few arrays to read
  network = Network('image', backbone, mean=0.5, std=0.25)
  shapes = jax.eval_shape(
    lambda x: network.init(jax.random.key(0), x, False), jnp.zeros((1, 32, 32, 1))
  )
  rng = np.random.default_rng(0)  # values that differ, so that a damaged one shows
  return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)


def _torch_arrays() -> dict[str, np.ndarray]:
  """A tiny torchvision DenseNet's state dict."""
  from flax.traverse_util import flatten_dict

  names = {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias'}
  names |= {'mean': 'running_mean', 'var': 'running_var'}
  arrays = {}
  for path, value in flatten_dict(_variables(), sep='/').items():
    _, *module, array = path.split('/')
    if module[0] != 'backbone' or '_excitation' in path:
      continue
    name = '.'.join(module[1:]).replace('block', 'denseblock').replace('_layer', '.denselayer')
    for ours, theirs in (('stem_', ''), ('final_', '')):
      name = name.replace(ours, theirs)
    name = name.replace('_conv', '.conv').replace('_norm', '.norm')
    if 'stem' in path:
      name += '0'
    if 'final' in path:
      name += '5'
    if value.ndim == 2:
      value = value[None, None]
    if value.ndim == 4:
      value = value.transpose(3, 2, 0, 1)
    arrays[f'features.{name}.{names[array]}'] = np.full_like(value, 0.5, order='C')
  return arrays


def _keras_file() -> bytes:
  import h5py
  from flax.traverse_util import flatten_dict

  names = {'kernel': 'kernel', 'scale': 'gamma', 'bias': 'beta', 'mean': 'moving_mean'}
  names['var'] = 'moving_variance'
  file = io.BytesIO()
  with h5py.File(file, 'w') as h5:
    for path, value in flatten_dict(_variables(), sep='/').items():
      _, first, *module, array = path.split('/')
      if first != 'backbone' or '_excitation' in path:
        continue
      name = '/'.join(module)
      if name.startswith('block'):
        block, _, rest = name.removeprefix('block').partition('_layer')
        layer, _, kind = rest.partition('/')
        number = {'norm1': '0_bn', 'conv1': '1_conv', 'norm2': '1_bn', 'conv2': '2_conv'}[kind]
        keras = f'conv{int(block) + 1}_block{layer}_{number}'
      elif name.startswith('transition'):
        number, _, kind = name.removeprefix('transition').partition('_')
        keras = f'pool{int(number) + 1}_{kind.replace("norm", "bn")}'
      else:
        keras = {'stem_conv': 'conv1/conv', 'stem_norm': 'conv1/bn', 'final_norm': 'bn'}[name]
      if value.ndim == 2:
        value = value[None, None]
      h5[f'{keras}/{keras}/{names[array]}:0'] = np.full_like(value, 0.5)
  return file.getvalue()


def _torch_pickle(storage_end: bytes) -> bytes:
  """The state dict of `_torch_arrays` as PyTorch pickles it: tensors that name their numbers."""

  def text(value: str) -> bytes:
    return b'X' + len(value.encode()).to_bytes(4, 'little') + value.encode()

  def integers(values: tuple[int, ...]) -> bytes:
    return b'(' + b''.join(b'J' + value.to_bytes(4, 'little') for value in values) + b't'

  pickled = b'\x80\x02ccollections\nOrderedDict\n)R('
  for number, (name, array) in enumerate(_torch_arrays().items()):
    storage = b'(' + text('storage') + b'ctorch\nFloatStorage\n' + text(str(number))
    storage += text('cpu') + b'J' + array.size.to_bytes(4, 'little') + storage_end + b'tQ'
    strides = tuple(step // array.itemsize for step in array.strides)
    pickled += text(name) + b'ctorch._utils\n_rebuild_tensor_v2\n(' + storage
    pickled += b'J\0\0\0\0' + integers(array.shape) + integers(strides) + b'\x89}tR'
  return pickled + b'u.'


def _torch_files() -> list[bytes]:
  """The zip archive of today's torch.save, and the chain of pickles from before PyTorch 1.6."""
  arrays = list(_torch_arrays().values())
  archive = io.BytesIO()
  with zipfile.ZipFile(archive, 'w') as writer:
    writer.writestr('weights/data.pkl', _torch_pickle(b''))
    writer.writestr('weights/byteorder', b'little')
    for number, array in enumerate(arrays):
      writer.writestr(f'weights/data/{number}', array.tobytes())
  keys = [str(number) for number in range(len(arrays))]
  legacy = [pickle.dumps(value, 2) for value in (LEGACY_MAGIC, 1001, {'little_endian': True})]
  legacy += [_torch_pickle(b'N'), pickle.dumps(keys, 2)]
  legacy += [array.size.to_bytes(8, 'little') + array.tobytes() for array in arrays]
  return [archive.getvalue(), b''.join(legacy)]


def _spoil_torch(data: bytes, rng: Rng) -> bytes:
  """The pickle, which lies at the front, rather than the numbers."""
  if data.startswith(b'PK'):
    return spoil_zip(data, rng)
  return spoil_bytes(data, rng, data.rfind(b'u.'))


def _weights(
  name: str, make: Callable[[], list[bytes]], *ways: Callable[[bytes, Rng], bytes]
) -> Subject:
  def read(folder: pathlib.Path) -> None:
    from flax.traverse_util import flatten_dict

    from nodulax.model.pretrained import load_published

    loaded, report = load_published(folder / name, _variables())
    before, after = (flatten_dict(tree, sep='/') for tree in (_variables(), loaded))
    assert before.keys() == after.keys() and report.taken
    for path, value in after.items():
      assert value.shape == before[path].shape and value.dtype == np.float32
      assert np.isfinite(value).all(), f'{path} is not finite'

  def refusals() -> tuple[type[Exception], ...]:
    from nodulax.model.pretrained import WeightsError

    return (WeightsError,)

  return Subject(lambda: one_each(name, make()), spoil_one(*ways), read, refusals)


def _safetensors() -> list[bytes]:
  from safetensors.numpy import save

  return [save(_torch_arrays())]


def _keras_archive() -> bytes:
  file = io.BytesIO()
  with zipfile.ZipFile(file, 'w') as archive:
    archive.writestr('metadata.json', '{}')
    archive.writestr('model.weights.h5', _keras_file())
  return file.getvalue()


# Checkpoints.


def _description() -> Any:
  from nodulax.checkpoints import description
  from nodulax.statistics.overlap import OverlapThreshold

  return description.Description(
    name='fuzzed',
    model={
      'head': 'pixel', 'size': 'tiny', 'squeeze_excitation': True, 'reduction': 16,
      'batch_norm_momentum': 0.9, 'mean': 0.5, 'std': 0.25, 'precision': 'float32',
      'recompute': False, 'cell_prior': 0.02, 'pooling': 'logsumexp', 'skip': False,
    },
    preprocessing=images.PREPROCESSING,
    thresholds=description.Thresholds(0.4, OverlapThreshold(0.5, True, 8), 20, 0.7),
    step=70,
  )  # fmt: skip


@functools.cache
def _checkpoint() -> Files:
  """The best checkpoint of a run of network 2, tiny, as training leaves it."""
  import tempfile

  from nodulax.checkpoints import checkpoint

  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    with checkpoint.Checkpoints(folder) as checkpoints:
      checkpoints.save_best(_variables(), _description())
      checkpoints.wait()
    return {
      str(path.relative_to(folder)): path.read_bytes()
      for path in folder.rglob('*')
      if path.is_file() and 'latest' not in path.parts
    }


def _spoil_checkpoint(kinds: str) -> Callable[[Files, Rng], Files]:
  """Spoils one file of a checkpoint's part; `kinds` is that part's name."""

  def spoil(files: Files, rng: Rng) -> Files:
    name = pick(sorted(name for name in files if f'/{kinds}' in name), rng)
    if rng.random() < 0.05:
      return {other: content for other, content in files.items() if other != name}
    is_json = files[name].startswith((b'{', b'['))
    return {**files, name: (spoil_json if is_json else spoil_bytes)(files[name], rng)}

  return spoil


def _checkpoint_refusals() -> tuple[type[Exception], ...]:
  from nodulax.checkpoints.checkpoint import CheckpointError

  return (CheckpointError,)


def _read_description(folder: pathlib.Path) -> None:
  from nodulax.checkpoints import checkpoint, typed_json
  from nodulax.model.build import build_network

  description = checkpoint.describe(folder)
  try:  # as `networks.load_network` does, which takes long
    typed_json.construct(build_network, description.model)
  except ValueError as error:
    raise checkpoint.CheckpointError('of another network') from error
  assert isinstance(description.step, int) and isinstance(description.name, str)
  assert 0 <= description.thresholds.probability <= 1
  assert 1 <= description.preprocessing.image_size <= 8192
  pixels = images.picture(12)
  size = description.preprocessing.image_size
  assert description.preprocessing.image(pixels, (0, 0, 48, 40)).shape == (size, size)


def _read_variables(folder: pathlib.Path) -> None:
  import jax

  from nodulax.checkpoints import checkpoint

  loaded = checkpoint.load(folder, _variables())
  for ours, theirs in zip(jax.tree.leaves(_variables()), jax.tree.leaves(loaded), strict=True):
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


# Exported networks.


def _exported() -> list[Files]:
  import tempfile

  from nodulax import export, exported

  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'model.nodulax'
    members = {exported.CARD: b'# card\n', exported.STABLEHLO: bytes(range(256))}
    export.write(path, _description(), members)
    return one_each('model.nodulax', [path.read_bytes()])


def _spoil_model_json(data: bytes, rng: Rng) -> bytes:
  """What the file says of the network, all its checksums put right."""
  with zipfile.ZipFile(io.BytesIO(data)) as archive:
    files = {name: archive.read(name) for name in archive.namelist()}
  files['model.json'] = spoil_json(files['model.json'], rng)
  spoilt = io.BytesIO()
  with zipfile.ZipFile(spoilt, 'w', zipfile.ZIP_STORED) as archive:
    for name, content in files.items():
      archive.writestr(zipfile.ZipInfo(name), content)
    archive.comment = hashlib.sha256(files['model.json']).hexdigest().encode()
  return spoilt.getvalue()


def _read_exported(folder: pathlib.Path) -> None:
  from nodulax import exported

  description = exported.unpack(folder / 'model.nodulax').model.description
  preprocessing = description.preprocessing
  size = preprocessing.image_size
  assert preprocessing.image(images.picture(12), (0, 0, 48, 40)).shape == (size, size)
  assert 0 <= description.thresholds.probability <= 1


def _export_refusals() -> tuple[type[Exception], ...]:
  from nodulax.exported import ExportError

  return (ExportError,)


SUBJECTS = {
  'weights .h5': _weights('weights.h5', lambda: [_keras_file()], spoil_bytes),
  'weights .keras': _weights('weights.keras', lambda: [_keras_archive()], spoil_bytes, spoil_zip),
  'weights .pth': _weights(
    'weights.pth', _torch_files, spoil_bytes, _spoil_torch, _spoil_torch
  ),
  'weights .safetensors': _weights('weights.safetensors', _safetensors, spoil_safetensors),
  'checkpoint, description': Subject(
    lambda: [_checkpoint()], _spoil_checkpoint('description/'), _read_description,
    _checkpoint_refusals,
  ),
  'checkpoint, weights': Subject(
    lambda: [_checkpoint()], _spoil_checkpoint('variables/'), _read_variables, _checkpoint_refusals
  ),
  'exported network': Subject(
    _exported, spoil_one(spoil_bytes, _spoil_model_json), _read_exported, _export_refusals
  ),
}  # fmt: skip
