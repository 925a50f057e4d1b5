"""Inspects a radiograph, its mask and its boxes: everything that needs the pixels, in one pass."""

import dataclasses
import hashlib
import math

import numpy as np

from nodulax.radiograph import guard
from nodulax.radiograph.lungs import find_lung_box
from nodulax.radiograph.orientation import Turn
from nodulax.radiograph.reading import (
  Radiograph,
  RadiographError,
  decode_radiograph,
  passes_through,
)
from tfds_builders import appearance
from tfds_builders import truth as truths
from tfds_builders.records import Box, Fault, Record, read_file


@dataclasses.dataclass(frozen=True)
class Inspection:
  """What was found in one radiograph.

  Attributes:
    width, height: size of the upright image in pixels; 0 if it could not be read.
    depth: bits of its samples, 8 or 16.
    file_bytes: size of the file.
    file_digest, mask_digest: SHA-256 of the file, and of its mask's file if there is one.
    passes_through: whether the file itself goes into a shard unchanged.
    turn: the turn that made the image upright; it is applied to the boxes, not yet to the mask.
    boxes: one around each located nodule, from the table or else from the mask's regions.
    lung_box, lung_box_found: from `nodulax.radiograph.lungs`.
    sex, age, view, spacing_mm: from the table, or else from the file.
    digest: digest of the decoded pixels, equal for equal images.
    fingerprint: perceptual hash, see `appearance.fingerprint`.
    faults: why the image cannot be used.
    suspects: why someone should look at it.
  """

  width: int = 0
  height: int = 0
  depth: int = 0
  file_bytes: int = 0
  file_digest: bytes = b''
  mask_digest: bytes = b''
  passes_through: bool = False
  turn: Turn = Turn()
  boxes: tuple[Box, ...] = ()
  lung_box: Box = (0.0, 0.0, 0.0, 0.0)
  lung_box_found: bool = False
  sex: str = 'unknown'
  age: float = math.nan
  view: str = 'unknown'
  spacing_mm: tuple[float, float] = (math.nan, math.nan)
  digest: bytes = b''
  fingerprint: bytes = b''
  faults: tuple[Fault, ...] = ()
  suspects: tuple[Fault, ...] = ()


def inspect(record: Record) -> Inspection:
  """Reads everything about one radiograph; faults are returned, not raised."""
  if record.path is None:
    return Inspection()  # the cohort reports its absence, with what to do about it
  try:
    data = read_file(record.path, record.name)
    radiograph = decode_radiograph(data, record.name)
  except RadiographError as error:
    remedy = str(error).removeprefix(f'{record.name}: ')
    return Inspection(faults=(Fault('image unreadable', record.name, remedy),))
  pixels = radiograph.pixels
  height, width = pixels.shape
  turn = radiograph.turn
  file_digest = hashlib.sha256(data).digest()
  spacing = _spacing(record, radiograph)
  # Masks and boxes were drawn on the stored image.
  stored_shape = (width, height) if turn.transposed else (height, width)
  truth = truths.locate(record, stored_shape, file_digest, turn.swapped(spacing))
  boxes = tuple(turn.upright_box(box, pixels.shape) for box in truth.boxes)
  faults = list(truth.faults)
  if appearance.is_blank(pixels):
    faults.append(
      Fault(
        'image blank', record.name, 'nearly all pixels are equal; export it again or exclude it'
      )
    )
  if radiograph.objection:
    faults.append(Fault('not a frontal chest', record.name, f'{radiograph.objection}; exclude it'))
  lungs = find_lung_box(pixels)
  suspicions = dict(appearance.suspicions(pixels))
  if objection := guard.pixel_objection(pixels, lungs):
    suspicions['maybe no frontal chest'] = f'{objection}; look at it, and exclude it if so'
  suspects = [*truth.suspects]
  suspects += [Fault(kind, record.name, why) for kind, why in suspicions.items()]
  suspects += [Fault('doubtful header', record.name, doubt) for doubt in radiograph.doubts]
  return Inspection(
    width=width,
    height=height,
    depth=8 * pixels.itemsize,
    file_bytes=len(data),
    file_digest=file_digest,
    mask_digest=truth.mask_digest,
    passes_through=passes_through(data),
    boxes=boxes,
    turn=turn,
    lung_box=lungs.box,
    lung_box_found=lungs.found,
    sex=radiograph.sex if record.sex == 'unknown' else record.sex,
    age=radiograph.age if math.isnan(record.age) else record.age,
    view=radiograph.view if record.view == 'unknown' else record.view,
    spacing_mm=spacing,
    digest=hashlib.sha256(np.ascontiguousarray(pixels).data).digest()[:16],
    fingerprint=appearance.fingerprint(pixels),
    faults=tuple(faults),
    suspects=tuple(suspects),
  )


def _spacing(record: Record, radiograph: Radiograph) -> tuple[float, float]:
  if record.spacing_mm is None:
    return radiograph.spacing_mm or (math.nan, math.nan)
  turn = radiograph.turn
  # The table describes the stored image.
  height, width = radiograph.pixels.T.shape if turn.transposed else radiograph.pixels.shape
  # Images are distributed smaller than the detector made them, so their pixels are larger.
  original_width, original_height = record.spacing_size or (width, height)
  x, y = record.spacing_mm
  return turn.swapped((x * original_width / width, y * original_height / height))
