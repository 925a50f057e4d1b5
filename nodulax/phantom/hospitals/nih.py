"""The virtual NIH: ChestX-ray14 as its site distributes it, with the wrong labels of text mining.

How often mined labels are wrong: radiologists read 3,926 of the real images and discussed those on
which they differed (Majkowska et al., Radiology 2020;294:421). They contradict 55 of the 172 labels
of nodule or mass alone and 157 of the 1,889 labels of No Finding. These are shares of the given
labels; `label_errors` derives the shares of the truth for a cohort half of whose given labels are
positive, as in the study. That sample is not random and its readers had no CT, so the rates are
an order of magnitude, not a measurement. Labels are flipped independently of the image, so a rate
of 0.2 means that one label in five is wrong. The truth is in a separate file, phantom_truth.csv.
"""

import csv
import os
import pathlib
from dataclasses import dataclass
from typing import Any, NamedTuple

from nodulax.phantom.hospitals.profiles import NIH
from nodulax.phantom.hospitals.visits import Visit, planner, take_radiograph
from nodulax.phantom.hospitals.writing import TRUTH, write_folder, write_png

ENTRY_HEADER = (
  'Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,'
  'OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]'
)
_BOX_SIDE = 1024  # pixels of the published images, in which boxes are given whatever a copy's size
BOX_HEADER = 'Image Index,Finding Label,Bbox [x,y,w,h],,,'
TRUTH_HEADER = 'image,label,diameters_mm,zones,conspicuities,boxes'
NO_FINDING = 'No Finding'


class LabelErrors(NamedTuple):
  """How often labels are wrong, as shares of the truth.

  Attributes:
    prevalence: share of the images with a nodule.
    false_positives: share of the images without a nodule that are labelled with one.
    false_negatives: share of the images with a nodule that are labelled without one.
  """

  prevalence: float
  false_positives: float
  false_negatives: float


def label_errors(positive: float, wrong_positive: float, wrong_negative: float) -> LabelErrors:
  """Applies Bayes' rule to get shares of the truth from shares of the given labels.

  Args:
    positive: share of the given labels that are positive.
    wrong_positive, wrong_negative: share of the positive and of the negative ones that are wrong.
  """
  invented, missed = positive * wrong_positive, (1 - positive) * wrong_negative
  prevalence = positive - invented + missed
  return LabelErrors(prevalence, invented / (1 - prevalence), missed / prevalence)


# 38 % have a nodule; 26 % of the others are labelled with one, and 11 % of the nodules are missed.
MINED = label_errors(0.5, 55 / 172, 157 / 1889)
_KEPT = 0.86  # of the exposures of a patient with a lesion, those that show it
_LESIONS = (('Nodule',), ('Mass',), ('Mass', 'Nodule'))
_LESION_SHARES = (0.6, 0.3, 0.1)
_OTHERS = ('Infiltration', 'Atelectasis', 'Effusion', 'Pleural_Thickening', 'Fibrosis')
_OTHERS_SHARE = 0.18
_TEST_SHARE = 25_596 / 112_120
_BOXED_SHARE = 0.4


@dataclass(frozen=True)
class _Entry:
  """A visit and its entries in the tables."""

  visit: Visit
  test: bool
  labels: tuple[str, ...]
  boxed: bool

  @property
  def name(self) -> str:
    return f'{self.visit.number:08d}_{self.visit.follow_up:03d}.png'


def _plan(
  images: int,
  image_size: int,
  seed: int,
  false_positives: float,
  false_negatives: float,
  masses_only: bool,
) -> list[_Entry]:
  entries: list[_Entry] = []
  number = 0
  while len(entries) < images:
    number += 1
    rng = planner('nih', seed, number)
    test = bool(rng.random() < _TEST_SHARE)
    has_lesion = rng.random() < MINED.prevalence / _KEPT
    own = _LESIONS[int(rng.choice(len(_LESIONS), p=_LESION_SHARES))] if has_lesion else ()
    if own and masses_only:
      own = ('Mass',)
    for follow_up in range(min(int(rng.geometric(0.6)), 6)):
      # Some lesions appeared between two exposures, and some were removed.
      lesions = own if rng.random() < _KEPT else ()
      others = (str(rng.choice(_OTHERS)),) if rng.random() < _OTHERS_SHARE else ()
      flipped = rng.random() < (false_negatives if lesions else false_positives)
      invented = (str(rng.choice(['Nodule', 'Mass'], p=[0.6, 0.4])),)
      mined = (() if lesions else invented) if flipped else lesions
      boxed = bool(test and lesions and mined and not others and rng.random() < _BOXED_SHARE)
      visit = Visit('nih', seed, image_size, number, follow_up, lesions, others, square=True)
      entries.append(_Entry(visit, test, tuple(sorted(mined + others)), boxed))
  return entries[:images]


def _write_image(folder: pathlib.Path, entry: _Entry) -> dict[str, Any]:
  radiograph, _ = take_radiograph(NIH, entry.visit)
  write_png(folder / 'images' / entry.name, radiograph.pixels)
  patient, nodules = radiograph.patient, radiograph.nodules
  boxes = [nodule.box for nodule in nodules]
  # The table gives the size and spacing of the original, before it was made square.
  side = entry.visit.image_size
  original_mm = [side * spacing for spacing in radiograph.spacing_mm]
  spacing = 0.143 if radiograph.pose.view == 'PA' else 0.168
  return {
    'entry': entry,
    'line': [
      entry.name, '|'.join(entry.labels) or NO_FINDING, entry.visit.follow_up, entry.visit.number,
      int(patient.age), 'F' if patient.sex == 'female' else 'M', radiograph.pose.view,
      round(original_mm[0] / spacing), round(original_mm[1] / spacing), spacing, spacing,
    ],
    'boxes': [
      [entry.name, 'Mass' if nodule.diameter_mm > 30 else 'Nodule',
       *(edge * _BOX_SIDE / side for edge in (x0, y0, x1 - x0, y1 - y0))]
      for nodule, (x0, y0, x1, y1) in zip(nodules, boxes, strict=True)
    ],
    'truth': [
      entry.name, 'nodule' if boxes else 'normal',
      ' '.join(f'{nodule.diameter_mm:.1f}' for nodule in nodules),
      ' '.join(nodule.zone for nodule in nodules),
      ' '.join(nodule.conspicuity for nodule in nodules),
      '; '.join(' '.join(f'{edge:g}' for edge in box) for box in boxes),
    ],
  }  # fmt: skip


def _write_tables(folder: pathlib.Path, rows: list[dict[str, Any]]) -> None:
  def table(name: str, header: str, lines: list[list[Any]]) -> None:
    with open(folder / name, 'w', newline='') as file:
      # The original headers name fewer columns than there are, so they are written verbatim.
      file.write(header + '\n')
      csv.writer(file, lineterminator='\n').writerows(lines)

  table('Data_Entry_2017_v2020.csv', ENTRY_HEADER, [row['line'] for row in rows])
  boxed = [box for row in rows if row['entry'].boxed for box in row['boxes']]
  table('BBox_List_2017.csv', BOX_HEADER, boxed)
  table(TRUTH, TRUTH_HEADER, [row['truth'] for row in rows])
  for name, test in (('train_val_list.txt', False), ('test_list.txt', True)):
    names = [row['entry'].name for row in rows if row['entry'].test == test]
    (folder / name).write_text('\n'.join(names))


def write_nih(
  output: str | os.PathLike,
  images: int,
  image_size: int = 1024,
  seed: int = 0,
  *,
  false_positives: float = MINED.false_positives,
  false_negatives: float = MINED.false_negatives,
  masses_only: bool = False,
  processes: int | None = None,
) -> pathlib.Path:
  """Writes a virtual NIH: tables, lists, images/*.png; returns the folder.

  Args:
    images: number of images; a patient may have several.
    image_size: pixels per side (the real ones have 1024); boxes are in these pixels.
    false_positives: share of the images without a nodule that are labelled with one.
    false_negatives: share of the images with a nodule that are labelled without one.
    masses_only: make every nodule a mass (over 30 mm), which is easy to find, for demonstrations.
    processes: number of processes; None for one per core. The bytes do not depend on it.
  """
  recipe = {
    'hospital': 'nih', 'images': images, 'image_size': image_size, 'seed': seed,
    'false_positives': false_positives, 'false_negatives': false_negatives,
    'masses_only': masses_only,
  }  # fmt: skip
  entries = _plan(images, image_size, seed, false_positives, false_negatives, masses_only)
  return write_folder(output, recipe, entries, _write_image, _write_tables, processes)
