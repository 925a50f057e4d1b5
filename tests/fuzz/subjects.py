"""What is fuzzed: each reader of files from outside, with valid files to spoil.

To add one, write a `Subject` and name it in `SUBJECTS`.
"""

import csv
import dataclasses
import functools
import io
import json
import math
import pathlib
import pickle
import shutil
import zipfile
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from nodulax.model.torch_file import LEGACY_MAGIC
from nodulax.radiograph.record import RadiographError
from tests.fuzz import images
from tests.fuzz.mutation import (
  ODD_TEXTS,
  Rng,
  pick,
  spoil_bytes,
  spoil_csv,
  spoil_json,
  spoil_png,
  spoil_safetensors,
  spoil_zip,
)

# The files of one input, by their paths within a folder.
Files = dict[str, bytes]


@dataclasses.dataclass(frozen=True)
class Subject:
  """One reader.

  Attributes:
    valid: gives sets of valid files; called once.
    spoil: changes one of these sets, which it must leave as it is.
    read: reads the spoilt files, which lie in the folder given, and checks what comes out of them
      with assertions.
    refusals: what `read` may raise: the exceptions that the reader's documentation names.
    seconds, megabytes: that one input may take at most.
  """

  valid: Callable[[], list[Files]]
  spoil: Callable[[Files, Rng], Files]
  read: Callable[[pathlib.Path], None]
  refusals: Callable[[], tuple[type[Exception], ...]]
  seconds: float = 10
  megabytes: int = 1024


def _one(name: str, contents: list[bytes]) -> list[Files]:
  return [{name: content} for content in contents]


def _spoil_one(*ways: Callable[[bytes, Rng], bytes]) -> Callable[[Files, Rng], Files]:
  """Spoils one of the files in one of the ways."""

  def spoil(files: Files, rng: Rng) -> Files:
    name = pick(sorted(files), rng)
    return {**files, name: pick(ways, rng)(files[name], rng)}

  return spoil


# Radiographs.


def _read_image(folder: pathlib.Path) -> None:
  images.check_radiograph((folder / 'image').read_bytes())


def _radiograph(make: Callable[[], list[bytes]], *ways: Callable[[bytes, Rng], bytes]) -> Subject:
  return Subject(
    valid=lambda: _one('image', make()),
    spoil=_spoil_one(*ways),
    read=_read_image,
    refusals=lambda: (RadiographError,),
  )


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


# Tables of the sources. Each folder holds its images, which are left as they are.


def _png(seed: int) -> bytes:
  pixels = np.random.default_rng(seed).integers(0, 255, (24, 24), np.uint8)
  return cv2.imencode('.png', cv2.resize(pixels, (96, 96)))[1].tobytes()


def _csv(rows: list[list]) -> bytes:
  text = io.StringIO()
  csv.writer(text).writerows(rows)
  return text.getvalue().encode()


def _nih() -> list[Files]:
  header = [
    'Image Index', 'Finding Labels', 'Follow-up #', 'Patient ID', 'Patient Age', 'Patient Gender',
    'View Position', 'OriginalImage[Width', 'Height]', 'OriginalImagePixelSpacing[x', 'y]',
  ]  # fmt: skip
  names = [f'{number:08d}_000.png' for number in range(1, 13)]
  labels = ['Nodule', 'No Finding', 'Mass|Nodule', 'No Finding', 'Mass|Edema', 'Hernia'] * 2
  rows = [
    [name, label, 0, number, 57, 'M', 'PA', 192, 288, 0.143, 0.143]
    for number, (name, label) in enumerate(zip(names, labels, strict=True))
  ]
  boxes = [
    ['Image Index', 'Finding Label', 'Bbox [x', 'y', 'w', 'h]', '', '', ''],
    [names[0], 'Nodule', 20.5, 30, 10, 16, '', '', ''],
    [names[2], 'Mass', 1, 2, 30, 40, '', '', ''],
  ]
  return [
    {
      'Data_Entry_2017_v2020.csv': _csv([header, *rows]),
      'BBox_List_2017.csv': _csv(boxes),
      'train_val_list.txt': '\n'.join(names[:8]).encode(),
      'test_list.txt': '\n'.join(names[8:]).encode(),
      **{f'images/{name}': _png(number) for number, name in enumerate(names)},
    }
  ]


def _gmc() -> list[Files]:
  header = [
    'image', 'patient_id', 'label', 'mask', 'boxes', 'sex', 'age', 'view', 'pixel_spacing_mm',
    'nodule_diameter_mm', 'zone', 'conspicuity',
  ]  # fmt: skip
  rows: list[list] = []
  for number in range(8):
    nodule = number % 2
    mask = 'mask.png' if number == 1 else ''
    boxes = '10 20 30 50; 1 2 3 4' if nodule and not mask else ''
    label = 'nodule' if nodule else 'normal'
    known = ['F', 61, 'PA', '0.2 0.3', 9, 'apex', '2']
    rows.append([f'{number}.png', number, label, mask, boxes, *known])
  drawn = np.zeros((96, 96), np.uint8)
  drawn[4:9, 5:20] = 255
  return [
    {
      'manifest.csv': _csv([header, *rows]),
      'mask.png': cv2.imencode('.png', drawn)[1].tobytes(),
      **{f'{number}.png': _png(number) for number in range(8)},
    }
  ]


def _vindr() -> list[Files]:
  header = ['image_id', 'class_name', 'class_id', 'rad_id', 'x_min', 'y_min', 'x_max', 'y_max']
  rows: list[list] = []
  for number in range(6):
    for reader in ('R8', 'R9', 'R10'):
      if number % 2:
        rows.append([f'{number:032x}', 'Nodule/Mass', 8, reader, 10, 20 + number, 50.5, 60])
      else:
        rows.append([f'{number:032x}', 'No finding', 14, reader, '', '', '', ''])
  pixels = images.picture(12)
  file = images.dicom(pixels, '1.2.840.10008.1.2.1')
  return [
    {'train.csv': _csv([header, *rows])}
    | {f'train/{number:032x}.dicom': file for number in range(4)}
  ]


def _aihub() -> list[Files]:
  files: Files = {}
  for number in range(6):
    annotation = {
      'image': f'{number}.png', 'patient_id': f'P{number}',
      'label': 'nodule' if number % 2 else 'normal', 'sex': 'F', 'age': 61, 'view': 'PA',
      'pixel_spacing_mm': [0.2, 0.3],
      'boxes': [[10, 20, 30, 40], [50, 50, 70, 60.5]] if number % 2 else [],
    }  # fmt: skip
    files[f'annotations/{number}.json'] = json.dumps(annotation).encode()
    files[f'images/{number}.png'] = _png(number)
  mapping = {'fields': {'image': 'image', 'boxes': 'boxes'}, 'labels': {'nodule': 'nodule'}}
  mapping['labels']['normal'] = 'normal'
  files['mapping.json'] = json.dumps(mapping).encode()
  return [files]


def _spoil_named(*endings: str) -> Callable[[Files, Rng], Files]:
  """Spoils one of the files with these endings, in the way of their kind."""
  ways = {'.csv': spoil_csv, '.json': spoil_json, '.txt': _spoil_lines, '.png': spoil_bytes}

  def spoil(files: Files, rng: Rng) -> Files:
    name = pick(sorted(name for name in files if name.endswith(endings)), rng)
    if rng.random() < 0.02:
      return {other: content for other, content in files.items() if other != name}
    return {**files, name: ways[pathlib.Path(name).suffix](files[name], rng)}

  return spoil


def _spoil_lines(data: bytes, rng: Rng) -> bytes:
  lines = data.decode().split('\n')
  lines[int(rng.integers(len(lines)))] = pick((*ODD_TEXTS, *lines), rng)
  return pick((spoil_bytes(data, rng), '\n'.join(lines).encode()), rng)


def _table(source: str, valid: Callable[[], list[Files]], endings: tuple[str, ...], **options):
  """The tables of a source, read as the commands `cohort` and `validate` do."""

  def read(folder: pathlib.Path) -> None:
    from tfds_builders.commands import builder_of
    from tfds_builders.inspection import inspect

    builder = builder_of(source)
    named = {name: str(folder / value) for name, value in options.items() if value.endswith('json')}
    cohort = builder.cohort(
      folder, dataclasses.replace(builder.BUILDER_CONFIGS[0], **{**options, **named})
    )
    split_of: dict[str, str] = {}
    for split, records in cohort.splits.items():
      for record in records:
        if not any(fault.kind == 'patient under two splits' for fault in cohort.faults):
          assert split_of.setdefault(record.patient, split) == split
        assert record.label in ('nodule', 'normal')
        assert math.isnan(record.age) or 0 <= record.age <= 120
        if record.path is not None:
          assert pathlib.Path(record.path).resolve().is_relative_to(folder.resolve())
    for fault in cohort.faults:
      assert fault.kind and fault.where and fault.remedy
    for record in cohort.records[:3]:
      look = inspect(record)
      if record.path is not None and not look.faults:
        for x_min, y_min, x_max, y_max in look.boxes:
          assert 0 <= x_min < x_max <= look.width and 0 <= y_min < y_max <= look.height
        assert all(math.isnan(step) or 0 < step < math.inf for step in look.spacing_mm)

  def refusals() -> tuple[type[Exception], ...]:
    from tfds_builders.records import SourceError

    return (SourceError,)

  return Subject(valid, _spoil_named(*endings), read, refusals)


# Another tool's predictions, which the report sets beside the runs.


@functools.cache
def _runs() -> Any:
  import tempfile

  from nodulax.report.reading import read_results
  from nodulax.report.results import collect
  from tests.report.fake_runs import write_runs

  with tempfile.TemporaryDirectory() as folder:
    write_runs(pathlib.Path(folder), {'gmc': 20}, {'pixel': 1.5}, pictures=0)
    return collect(read_results(folder))


def _predictions() -> list[Files]:
  cases = _runs().cases('gmc')
  plain = [['image_id', 'probability'], *([name, 0.5] for name in cases.index)]
  full = [
    ['image_id', 'probability', 'set', 'threshold', 'label', 'patient_id', 'sex', 'age', 'dice'],
    *([f'new{n}', n / 20, 'elsewhere', 0.4, n % 2, f'p{n}', 'female', 60, 0.5] for n in range(20)),
  ]
  return _one('other.csv', [_csv(plain), _csv(full)])


def _read_predictions(folder: pathlib.Path) -> None:
  from nodulax.report.other_tools import read_predictions

  for evaluation in read_predictions(folder / 'other.csv', _runs()):
    assert evaluation.cases['probability'].between(0, 1).all()
    assert set(evaluation.cases['label']) <= {0, 1}
    assert evaluation.cases.index.is_unique


def _report_refusals() -> tuple[type[Exception], ...]:
  from nodulax.report.csv_files import ReportError

  return (ReportError,)


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
  return jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)


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

    from nodulax.model.pretrained import load_imagenet

    loaded, report = load_imagenet(folder / name, _variables())
    before, after = (flatten_dict(tree, sep='/') for tree in (_variables(), loaded))
    assert before.keys() == after.keys() and report.taken
    for path, value in after.items():
      assert value.shape == before[path].shape and value.dtype == np.float32
      assert np.isfinite(value).all(), f'{path} is not finite'

  def refusals() -> tuple[type[Exception], ...]:
    from nodulax.model.pretrained import WeightsError

    return (WeightsError,)

  return Subject(lambda: _one(name, make()), _spoil_one(*ways), read, refusals)


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


@functools.cache
def _checkpoint() -> Files:
  """The best checkpoint of a run of network 2, tiny, as training leaves it."""
  import tempfile

  from nodulax import checkpoint
  from nodulax.statistics.overlap import OverlapThreshold

  description = checkpoint.Description(
    name='fuzzed',
    model={
      'head': 'pixel', 'size': 'tiny', 'squeeze_excitation': True, 'reduction': 16,
      'batch_norm_momentum': 0.9, 'mean': 0.5, 'std': 0.25, 'precision': 'float32',
      'recompute': False,
    },
    preprocessing=images.PREPROCESSING,
    thresholds=checkpoint.Thresholds(0.4, OverlapThreshold(0.5, True, 8), 20, 0.7),
    step=70,
  )  # fmt: skip
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    checkpoints = checkpoint.Checkpoints(folder)
    checkpoints.save_best(_variables(), description)
    checkpoints.wait()
    checkpoints.close()
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
  from nodulax.checkpoint import CheckpointError

  return (CheckpointError,)


def _read_description(folder: pathlib.Path) -> None:
  from nodulax import checkpoint, typed_json
  from nodulax.model.build import build_network

  description = checkpoint.describe(folder)
  try:  # as `inference.load_network` does, which takes long
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

  from nodulax import checkpoint

  loaded = checkpoint.load(folder, _variables())
  for ours, theirs in zip(jax.tree.leaves(_variables()), jax.tree.leaves(loaded), strict=True):
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype


SUBJECTS: dict[str, Subject] = {
  'PNG': _radiograph(lambda: images.pngs() + images.real(), spoil_bytes, spoil_png, spoil_png),
  'JPEG': _radiograph(images.jpegs, spoil_bytes, lambda data, rng: spoil_bytes(data, rng, 700)),
  'DICOM': _radiograph(_dicoms, spoil_bytes, _spoil_dicom_header, _spoil_pixels),
  'tables of nih_chestxray14': _table(
    'nih_chestxray14', _nih, ('.csv', '.txt'), split='official'
  ),
  'manifest and mask of gmc_nodule': _table('gmc_nodule', _gmc, ('.csv', 'mask.png')),
  'table of vindr_cxr': _table('vindr_cxr', _vindr, ('.csv',)),
  'annotations of aihub_nodule': _table('aihub_nodule', _aihub, ('.json',), mapping='mapping.json'),
  "another tool's predictions": Subject(
    _predictions, _spoil_one(spoil_csv), _read_predictions, _report_refusals
  ),
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
}  # fmt: skip


def spoilt(subject: Subject, valid: list[Files], rng: Rng) -> Files:
  """One input."""
  return subject.spoil(pick(valid, rng), rng)


def write(files: Files, folder: pathlib.Path) -> None:
  """Writes an input into a folder, which is emptied first."""
  shutil.rmtree(folder, ignore_errors=True)
  folder.mkdir(parents=True)
  for name, content in files.items():
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
