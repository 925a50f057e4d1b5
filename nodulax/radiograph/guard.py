"""Checks that an image is a frontal chest radiograph: nothing else may get a probability.

There are two checks. The header, if there is one, may state that the image is something else:
another kind of object, another part of the body, a lateral view. And the pixels must look like an
upright frontal chest: not blank, with more than a few greys, and with two lungs in the usual
arrangement, which is the mean of simulated radiographs
(`python -m nodulax.phantom.frontal_template`).
"""

from __future__ import annotations

import functools
import pathlib
import re
from typing import TYPE_CHECKING

import cv2
import numpy as np

from nodulax.radiograph.lungs import LungBox, find_lung_box

if TYPE_CHECKING:  # the exported network uses this module without pydicom
  from nodulax.radiograph.dicom_header import Header

TEMPLATE = pathlib.Path(__file__).with_name('frontal_template.npz')
# The grids on which the arrangement is compared: cells along a side, samples along each cell.
_CELLS, _SAMPLES = 16, 4
# Margin around the lung box, as a share of its sides, to include shoulders, heart and diaphragm.
_MARGIN = 0.1
# Beyond this the lung network's logits only mean that it is certain.
_SURE = 6.0
# tests/radiograph/guard_figures.py measures how many radiographs and other images these refuse.
LEAST_LIKENESS = 0.44
# Below this a picture may lie on its side or upside down; it does if turning it raises the likeness
# by at least the second number.
_DOUBTFUL_LIKENESS, _LEAD = 0.65, 0.1
_TURNS = {1: 'by 90 degrees clockwise', 2: 'by 180 degrees', 3: 'by 90 degrees anticlockwise'}
_TURNED_SIDE = 256  # pixels of the small copy that is turned
# The poorest of 1,727 real 8-bit radiographs had 115 greys; a mask or a chart has few.
_FEWEST_GREYS = 16
# Largest share of pixels of the darkest or the brightest grey; in those 1,727 it was up to half.
_MOST_EXTREME = 0.8
# The storage classes that can hold a chest radiograph, or a picture of one (PS3.4 B.5): Computed
# Radiography, Digital X-Ray, X-Ray Angiography and Radiofluoroscopy, Secondary Capture.
_RADIOGRAPH_CLASSES = re.compile(
  r'1\.2\.840\.10008\.5\.1\.4\.1\.1\.(1|1\.1|1\.1\.1|7|7\.[1-4]|12\.1|12\.2|12\.1\.1|12\.2\.1)'
)
_STORAGE = '1.2.840.10008.5.1.4.1.1.'
_MODALITIES = ('', 'CR', 'DX', 'DR', 'RG', 'RF', 'XA', 'OT', 'SC')
# Words in Body Part Examined that rule out a chest (PS3.16 annex L, and what devices write), unless
# another word says that it is one. Other words, such as PORTABLE, do not rule it out.
_OTHER_PARTS = {
  'ABDOMEN', 'ABDOMENPELVIS', 'ANKLE', 'ARM', 'BREAST', 'CALCANEUS', 'CSPINE', 'ELBOW', 'EXM',
  'EXTREMITY', 'FACIALBONES', 'FEMUR', 'FINGER', 'FOOT', 'FOREARM', 'HAND', 'HEAD', 'HIP',
  'HUMERUS', 'JAW', 'KNEE', 'KUB', 'LEG', 'LIMB', 'LSPINE', 'LOWLEG', 'MANDIBLE', 'NECK', 'PATELLA',
  'PELVIS', 'SHOULDER', 'SINUS', 'SKULL', 'SPINE', 'THUMB', 'TIBIA', 'TIBIAFIBULA', 'TOE', 'UPARM',
  'WRIST', 'ZYGOMA',
}  # fmt: skip
_CHEST = {'CHEST', 'THORAX', 'LUNG', 'LUNGS', 'RIB', 'RIBS', 'CHESTABDOMEN'}
# Beginnings of the standard's terms for other views (LL, RL, LLD, RLD, LLO, RLO), and LATERAL,
# OBLIQUE.
_OTHER_VIEWS = ('L', 'R', 'OBL')
# The same as words in what devices write, such as CHEST LAT, and in the meaning of a view's code.
_OTHER_VIEW_WORDS = {
  'LAT', 'LATERAL', 'LL', 'RL', 'LLD', 'RLD', 'LLO', 'RLO', 'LAO', 'RAO', 'LPO', 'RPO', 'OBL',
  'OBLIQUE', 'AX', 'AXIAL', 'DECUBITUS',
}  # fmt: skip
# With fewer pixels no lung is visible; the smallest real radiographs in use are 224 on a side.
_FEWEST_PIXELS = 64


def header_objection(header: Header) -> str:
  """Why a DICOM header rules out a frontal chest radiograph; '' if it does not.

  All words come from the standard or a closed list, never from free text in the file.
  """
  sop_class = header.text('SOPClassUID')
  if sop_class.startswith(_STORAGE) and not _RADIOGRAPH_CLASSES.fullmatch(sop_class):
    return 'its SOP class is not that of a radiograph'
  modality = header.text('Modality')
  if modality not in _MODALITIES:
    shown = modality if re.fullmatch('[A-Z]{2,8}', modality) else 'another one'
    return f'its modality is {shown}, not that of a radiograph'
  for words in (header.words_of('BodyPartExamined'), header.words_of('AnatomicRegionSequence')):
    if (other := words & _OTHER_PARTS) and not words & _CHEST:
      return f'its header states another part of the body ({min(other).lower()})'
  # Rows or columns that run towards the front or the back of the patient.
  directions = header.texts('PatientOrientation')
  words = header.words_of('ViewPosition') | header.words_of('ViewCodeSequence')
  if (
    any(view.startswith(_OTHER_VIEWS) for view in header.texts('ViewPosition'))
    or any(direction.startswith(('A', 'P')) for direction in directions)
    or words & _OTHER_VIEW_WORDS
  ):
    return 'its header states a lateral, oblique or axial view'
  return ''


def pixel_objection(pixels: np.ndarray, lungs: LungBox) -> str:
  """Why pixels do not look like an upright frontal chest radiograph; '' if they do.

  Args:
    pixels: u8 or u16[H, W], bright where tissue is dense.
    lungs: from `lungs.find_lung_box(pixels)`.
  """
  if min(pixels.shape) < _FEWEST_PIXELS:
    return f'it has only {pixels.shape[1]} x {pixels.shape[0]} pixels'
  step = max(1, min(pixels.shape) // 512)
  count = np.bincount(pixels[::step, ::step].ravel())
  count = count[count > 0]
  greys = len(count)
  if greys == 1:
    return 'it is blank'
  if greys <= _FEWEST_GREYS:
    return f'it has only {greys} grey levels, like a mask or a chart'
  if count[0] + count[-1] > _MOST_EXTREME * count.sum():
    return 'nearly all of it is black or white, like a mask'
  like = likeness(pixels, lungs)
  if like < _DOUBTFUL_LIKENESS and (turn := _needed_turn(pixels, like)):
    return f'it is not upright; turn it {_TURNS[turn]}'
  if not lungs.found:
    return 'no pair of lungs was found in it'
  if like < LEAST_LIKENESS:
    return 'it does not look like a frontal chest radiograph'
  return ''


def likeness(pixels: np.ndarray, lungs: LungBox) -> float:
  """How similar the area around the lungs is to the mean frontal radiograph, from -1 to 1.

  This is the correlation of the two arrangements over all cells of both maps; -1 if the lungs were
  not found.
  """
  if not lungs.found:
    return -1.0
  return float(np.mean(arrangement(pixels.shape, lungs) * _template()))


def arrangement(shape: tuple[int, ...], lungs: LungBox) -> np.ndarray:
  """The lung network's logits and the grey around the lungs, f32[2, 16, 16].

  Each map has a mean of 0 and a mean square of 1.

  Args:
    shape: (height, width) of the radiograph.
    lungs: as `lungs.find_lung_box` found them in it.
  """
  assert lungs.seen is not None and lungs.logits is not None  # where lungs were found, they are
  maps = (np.clip(lungs.logits, -_SURE, _SURE), lungs.seen[..., 0])
  return np.stack([_standardized(_around(a_map, shape, lungs)) for a_map in maps])


def _needed_turn(pixels: np.ndarray, like: float) -> int:
  """How many clockwise quarter turns make a picture of this likeness upright; 0 for none."""
  size = (_TURNED_SIDE, _TURNED_SIDE)
  small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
  turned = {turn: np.ascontiguousarray(np.rot90(small, -turn)) for turn in _TURNS}
  alike = {turn: likeness(picture, find_lung_box(picture)) for turn, picture in turned.items()}
  best = max(alike, key=alike.__getitem__)
  return best if alike[best] >= max(like + _LEAD, LEAST_LIKENESS) else 0


def _around(a_map: np.ndarray, shape: tuple[int, ...], lungs: LungBox) -> np.ndarray:
  """Averages a map of the whole image in 16 x 16 cells over the lung box and its margin."""
  x_min, y_min, x_max, y_max = lungs.box
  across, down = _MARGIN * (x_max - x_min), _MARGIN * (y_max - y_min)
  count = _CELLS * _SAMPLES

  def places(low: float, high: float, image_side: int, map_side: int) -> np.ndarray:
    # The edge of the image is repeated beyond it.
    middles = low + (np.arange(count) + 0.5) / count * (high - low)
    return np.clip(middles / image_side * map_side, 0, map_side - 1).astype(int)

  rows = places(y_min - down, y_max + down, shape[0], a_map.shape[0])
  columns = places(x_min - across, x_max + across, shape[1], a_map.shape[1])
  return cv2.resize(a_map[np.ix_(rows, columns)], (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)


def _standardized(a_map: np.ndarray) -> np.ndarray:
  centred = a_map - a_map.mean()
  return centred / max(float(np.sqrt(np.mean(centred**2))), 1e-6)


@functools.cache
def _template() -> np.ndarray:
  with np.load(TEMPLATE, allow_pickle=False) as file:
    return file['arrangement'].astype(np.float32)
