"""Ranks labels by how likely they are wrong, from predictions of a network that never saw them."""

import csv
import dataclasses
import math
import pathlib
from typing import Any

import numpy as np

from nodulax.labels.predictions import Predictions, require_informative
from nodulax.labels.rates import truth_behind
from nodulax.statistics import label_noise, roc

COLUMNS = (
  *('rank', 'image_id', 'patient_id', 'label', 'probability', 'wrong'),
  *('heat_on_nodule', 'heat_elsewhere'),
)
COUNTS = (10, 20, 50, 100, 200, 500)  # first places at which a ranking is judged


@dataclasses.dataclass(frozen=True)
class Audit:
  """What an audit finds.

  Attributes:
    wrong: f64[n], the probability that each label is wrong.
    rates: how often labels are wrong, estimated from the network only.
    misplaced: f64[n], how much hotter the hottest finding elsewhere is than that on the nodule, NaN
      if the location is unknown; a high value casts doubt on the box or mask.
  """

  wrong: np.ndarray
  rates: label_noise.NoiseRates
  misplaced: np.ndarray

  @property
  def order(self) -> np.ndarray:
    """Positions of the radiographs, the most suspect label first."""
    return np.argsort(-self.wrong, kind='stable')


def audit(predictions: Predictions, *, seed: int = 0) -> Audit:
  """Estimates how likely each label is wrong, given the network's score and rates of wrong labels.

  Labels and scores are two readers of a truth that nobody saw (`latent_truth`): so a label is
  more suspect if the network is surer of the opposite, and if its kind of error is more common.
  With equal rates the ranking is that of cleanlab's self-confidence (Northcutt et al., JAIR
  2021;70:1373).

  Raises:
    LabelsError: the predictions are no better than chance against the labels.
  """
  require_informative(predictions)
  found = truth_behind(predictions, seed=seed)
  wrong = np.where(predictions.labels == 1, 1 - found.posterior, found.posterior)
  rates = label_noise.rates_of_first(found)
  return Audit(wrong, rates, predictions.heat_elsewhere - predictions.heat_on_nodule)


def ranking(found: Audit, wrong: np.ndarray, known: np.ndarray) -> dict[str, Any]:
  """Measures how well the ranking finds labels that are known to be wrong.

  Args:
    found: the audit of n radiographs.
    wrong: bool[n], whether the label is wrong.
    known: bool[n], whether that is known.

  Returns:
    JSON: 'auc' of the ranking with its interval, None if a class is missing; 'precision' and
    'recall' by the number of first places.
  """
  truth, score = wrong[known], found.wrong[known]
  area = None
  if 0 < truth.sum() < len(truth):
    estimate = roc.delong_interval(truth, score)
    area = {'value': estimate.value, 'low': estimate.low, 'high': estimate.high}
  counts = [*COUNTS, int(truth.sum())]
  return {
    'images': len(truth),
    'wrong': int(truth.sum()),
    'auc': area,
    **label_noise.ranking_figures(truth, score, sorted(set(counts))),
  }


def write_suspects(path: pathlib.Path, predictions: Predictions, found: Audit) -> None:
  """Writes every radiograph, the most suspect label first."""
  with path.open('w', newline='', encoding='utf-8') as file:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(COLUMNS)
    for rank, index in enumerate(found.order, 1):
      heat = [predictions.heat_on_nodule[index], predictions.heat_elsewhere[index]]
      writer.writerow(
        [
          rank,
          predictions.image_ids[index],
          predictions.patients[index],
          predictions.labels[index],
          f'{predictions.probability[index]:.6g}',
          f'{found.wrong[index]:.6g}',
          *('' if math.isnan(value) else f'{value:.6g}' for value in heat),
        ]
      )
