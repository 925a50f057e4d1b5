"""Reads radiographs with an exported network; needs only jax, numpy, opencv and flatbuffers.

  model = nodulax.exported.load('model.nodulax')
  prediction = model(cv2.imread('chest.png', cv2.IMREAD_UNCHANGED))

`python -m nodulax.export --loader=FOLDER` copies this file and what it needs, without the training
code, to a folder to put on the Python path.

The file is an uncompressed zip archive of MODEL_CARD.md, model.json (a `ModelFile`),
network.stablehlo (`jax.export`) and optionally network.onnx. Its comment is the SHA-256 of
model.json, which holds those of the other members. Nothing in it is unpickled, written to disk or
run before all that is verified. A checksum reveals damage, not malice: StableHLO is a program, so
load only files from people you trust. For research, not a medical device.
"""

import dataclasses
import hashlib
import io
import json
import os
import zipfile
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import export
from scipy import special

from nodulax.checkpoints import typed_json
from nodulax.checkpoints.description import Description
from nodulax.errors import NodulaxError
from nodulax.prediction import prediction
from nodulax.prediction.findings import Place
from nodulax.prediction.prediction import Prediction, Reading
from nodulax.radiograph.orientation import UPRIGHT, Turn
from nodulax.radiograph.record import Radiograph
from nodulax.statistics.findings import Finding

__all__ = ['ExportError', 'Finding', 'Model', 'Place', 'Prediction', 'Reading', 'load', 'unpack']

FORMAT = 'nodulax.model'
VERSION = 3  # no other can be read
MODEL, CARD, STABLEHLO, ONNX = 'model.json', 'MODEL_CARD.md', 'network.stablehlo', 'network.onnx'
# Largest size of each member, in bytes; our largest DenseNet takes 80 MB.
LIMITS = {MODEL: 2**20, CARD: 2**20, STABLEHLO: 2**29, ONNX: 2**29}
LARGEST = sum(LIMITS.values())  # bytes of a whole file
PLATFORMS = ('cpu', 'cuda', 'tpu')


class ExportError(NodulaxError):
  """A file is not an exported network, or is damaged; the message says what is wrong."""


@dataclasses.dataclass(frozen=True)
class ModelFile:
  """What model.json holds.

  Attributes:
    format: `FORMAT`.
    version: version of the format.
    notice: what the network is for.
    nodulax, jax: the versions that exported it.
    description: what the network needs beside its weights.
    sha256: SHA-256 of each other member of the archive, by name.

  Raises:
    ValueError: it is of another format or version, or names members that no export has.
  """

  format: str
  version: int
  notice: str
  nodulax: str
  jax: str
  description: Description
  sha256: dict[str, Any]

  def __post_init__(self) -> None:
    if (self.format, self.version) != (FORMAT, VERSION):
      raise ValueError(f'this loader reads only format {FORMAT} {VERSION}')
    if set(self.sha256) not in ({CARD, STABLEHLO}, {CARD, STABLEHLO, ONNX}):
      raise ValueError(f'{MODEL} names other members than an exported network has')
    if not 32 <= self.description.preprocessing.image_size <= 4096:
      raise ValueError('the size of its images is not one that an export has')


class Contents(NamedTuple):
  """The verified members of a file, by name, and what model.json holds."""

  members: dict[str, bytes]
  model: ModelFile


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
  """An exported network, ready to read.

  Attributes:
    description: what the network needs beside its weights: preprocessing and thresholds.
    notice: what it is for.
    card: the model card, Markdown.
    network: image u8[B, S, S, 1] to the logit f32[B] of a nodule or mass and its heat map
      f32[B, h, h] in [0, 1].
  """

  description: Description
  notice: str
  card: str
  network: Any

  def __call__(
    self, pixels: np.ndarray, orientation: str = 'LF', *, force: bool = False
  ) -> Prediction:
    """Reads one radiograph.

    Args:
      pixels: u8 or u16[H, W] in either byte order, bright where tissue is dense.
      orientation: the patient's side, L or R, to which rows run, and H or F, to which columns run;
        '' if unknown. Findings are in the coordinates of `pixels`.
      force: also read what does not look like an upright frontal chest radiograph.

    Raises:
      ValueError: `pixels` are not such an image, there is no such orientation, or without `force`
        they do not look like an upright frontal chest radiograph.
    """
    if (
      not isinstance(pixels, np.ndarray)
      or pixels.ndim != 2
      or pixels.dtype.name not in ('uint8', 'uint16')
    ):
      raise ValueError('pixels must be u8 or u16[H, W], one grey channel')
    native = pixels.astype(pixels.dtype.newbyteorder('='), copy=False)
    turn = Turn.of(orientation)  # refuses invalid ones
    radiograph = Radiograph(turn.upright(native), orientation=orientation and UPRIGHT, turn=turn)
    reading = prediction.prepare(radiograph, self.description.preprocessing)
    if reading.objection and not force:
      raise ValueError(f'not an upright frontal chest radiograph: {reading.objection}')
    return prediction.as_stored(reading, self.read(reading))[1]

  def read(self, reading: Reading) -> Prediction:
    """The network's prediction for a radiograph that `prediction.prepare` prepared."""
    logit, heat_map = self.network(reading.view[np.newaxis, :, :, np.newaxis])
    return prediction.predict(
      reading,
      # In float32 every logit past 17 would become the same probability, 1.
      float(special.expit(float(logit[0]))),
      np.asarray(heat_map[0]),
      self.description.thresholds,
    )


def load(path: str | os.PathLike) -> Model:
  """Loads an exported network for this machine's accelerator, or its CPU.

  Raises:
    ExportError: the file is missing, damaged, larger than an export, or of another version.
  """
  members, model = unpack(path)
  try:
    exported = export.deserialize(bytearray(members[STABLEHLO]))
  except Exception as error:
    raise ExportError(
      f'{path}: this jax {jax.__version__} cannot read the network: {_line(error)}; it was '
      f'exported by jax {model.jax}'
    ) from None
  return Model(
    description=model.description,
    notice=model.notice,
    card=members[CARD].decode(),
    network=jax.jit(exported.call),
  )


def unpack(path: str | os.PathLike) -> Contents:
  """The members of an exported file, all verified and none used yet.

  Raises:
    ExportError: as `load` does.
  """
  try:
    with open(path, 'rb') as file:
      size = os.fstat(file.fileno()).st_size
      if size > LARGEST:
        raise ExportError(f'{path}: {size:,} bytes, too large for an exported network')
      data = file.read(size)
  except OSError as error:
    raise ExportError(f'{path}: {error.strerror}') from error
  try:
    members, comment = _members(data, str(path))
    if MODEL not in members or hashlib.sha256(members[MODEL]).hexdigest().encode() != comment:
      raise ExportError(f'{path}: damaged: {MODEL} is not what was exported; copy it again')
    model = typed_json.construct(ModelFile, json.loads(members[MODEL]))
    model.description.check_inputs()
  except ExportError:
    raise
  except Exception as error:  # zipfile and json raise almost anything on a broken file
    raise ExportError(f'{path}: not an exported network, or damaged: {_line(error)}') from None
  for name, digest in model.sha256.items():
    if name not in members or hashlib.sha256(members[name]).hexdigest() != digest:
      raise ExportError(f'{path}: damaged: {name} is not what was exported; copy it again')
  if set(members) != {MODEL, *model.sha256}:
    raise ExportError(f'{path}: holds members that {MODEL} does not name')
  return Contents(members, model)


def _members(data: bytes, name: str) -> tuple[dict[str, bytes], bytes]:
  """The members of the archive, within their limits, and its comment."""
  members: dict[str, bytes] = {}
  with zipfile.ZipFile(io.BytesIO(data)) as archive:
    for entry in archive.infolist():
      if entry.filename not in LIMITS or entry.filename in members:
        raise ExportError(f'{name}: not an exported network: it holds {entry.filename[:80]!r}')
      if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise ExportError(f'{name}: {entry.filename} is compressed or encrypted')
      limit = min(LIMITS[entry.filename], len(data))
      if not entry.file_size == entry.compress_size <= limit:
        raise ExportError(f'{name}: {entry.filename} claims {entry.file_size:,} bytes')
      with archive.open(entry) as file:
        members[entry.filename] = file.read()  # which verifies the CRC-32
    return members, archive.comment


def _line(error: Exception) -> str:
  """The first line of an error's message, of bounded length."""
  return (str(error).split('\n')[0] or type(error).__name__)[:200]
