"""Labels, and predictions by a network that never saw them."""

import dataclasses
import math
import os
import pathlib

import numpy as np

from nodulax.csv_files import CsvFile
from nodulax.errors import NodulaxError
from nodulax.statistics import roc


class LabelsError(NodulaxError):
  """Labels, predictions or readings that cannot be used together; says why, and what to do."""


@dataclasses.dataclass(frozen=True)
class Predictions:
  """Labels and predictions of n radiographs.

  Attributes:
    source: the file.
    image_ids: id of each.
    patients: patient of each; the radiograph's own id if the file has none.
    labels: int[n], 0 or 1.
    probability: f64[n].
    heat_on_nodule, heat_elsewhere: f64[n], heat of the hottest finding on a located nodule and of
      the hottest elsewhere, 0 if there is none; both NaN if the radiograph has no located nodule or
      the file came without its locations.csv.
  """

  source: pathlib.Path
  image_ids: list[str]
  patients: list[str]
  labels: np.ndarray
  probability: np.ndarray
  heat_on_nodule: np.ndarray
  heat_elsewhere: np.ndarray

  def __len__(self) -> int:
    return len(self.image_ids)

  @property
  def logits(self) -> np.ndarray:
    """f64[n], logits of the probabilities, kept finite."""
    probability = np.clip(self.probability, 1e-6, 1 - 1e-6)
    return np.log(probability / (1 - probability))


def read_predictions(source: str | os.PathLike) -> Predictions:
  """Reads predictions.

  Args:
    source: the folder of an evaluation; or a CSV file with the columns image_id, label (0 or 1) and
      probability, and optionally patient_id.

  Raises:
    LabelsError: the file does not exist or is invalid.
  """
  path = pathlib.Path(source)
  locations = path / 'locations.csv'
  if path.is_dir():
    path = path / 'predictions.csv'
  file = CsvFile(path, ('image_id', 'label', 'probability'), error=LabelsError)
  image_ids = file.text('image_id')
  if len(set(image_ids)) < len(image_ids):
    raise LabelsError(f'{path}: a radiograph appears twice; each needs one line')
  labels = np.array([int(label) for label in file.choice('label', ('0', '1'))])
  if len(set(labels.tolist())) < 2:
    raise LabelsError(f'{path}: all labels are equal, so nothing can be estimated from them')
  patients = file.text('patient_id', empty='')
  on_nodule, elsewhere = np.full((2, len(image_ids)), np.nan)
  if locations.is_file():
    on_nodule, elsewhere = _heat(locations, image_ids)
  return Predictions(
    path,
    image_ids,
    [patient or image for patient, image in zip(patients, image_ids, strict=True)],
    labels,
    file.numbers('probability', 0, 1, required=True),
    on_nodule,
    elsewhere,
  )


def require_informative(predictions: Predictions) -> None:
  """Refuses predictions that may be chance.

  Raises:
    LabelsError: the interval of their AUC against the labels includes 0.5.
  """
  area = roc.delong_interval(predictions.labels, predictions.logits, predictions.patients)
  if not area.low > 0.5:
    raise LabelsError(
      f'{predictions.source}: against these labels the predictions have an AUC of {area.value:.2f} '
      f'({area.low:.2f} to {area.high:.2f}), which may be chance: they say nothing about the '
      'labels; use a better network'
    )


def _heat(path: pathlib.Path, image_ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
  """The hottest finding on a nodule and elsewhere of each radiograph with a located nodule."""
  file = CsvFile(path, ('image_id', 'score', 'nodule'), error=LabelsError)
  row = {image_id: number for number, image_id in enumerate(image_ids)}
  on_nodule, elsewhere = np.full((2, len(image_ids)), np.nan)
  for image_id, score, nodule in zip(
    file.text('image_id'),
    file.numbers('score', 0, 1, required=True),
    file.numbers('nodule', -1, math.inf),
    strict=True,
  ):
    if image_id not in row or math.isnan(nodule):
      continue
    index = row[image_id]
    on_nodule[index] = np.fmax(on_nodule[index], score if nodule else 0)
    elsewhere[index] = np.fmax(elsewhere[index], 0 if nodule else score)
  return on_nodule, elsewhere
