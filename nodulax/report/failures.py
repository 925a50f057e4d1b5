"""What went wrong, radiograph by radiograph: worst misses, worst false alarms, doubtful labels."""

import dataclasses
import math

import numpy as np
import pandas as pd

from nodulax.report.results import Evaluation, Results
from nodulax.statistics import roc

_CHANCE = 0.5


@dataclasses.dataclass(frozen=True)
class Failures:
  """The worst failures of one model on one set.

  Attributes:
    misses: nodule radiographs below the threshold, the lowest probability first.
    false_alarms: normal radiographs at or above it, the highest probability first.
  """

  evaluation: Evaluation
  misses: pd.DataFrame
  false_alarms: pd.DataFrame


def failures(evaluation: Evaluation) -> Failures:
  """Returns all failures of a model on a set; none if no threshold was frozen."""
  cases = evaluation.cases
  called = cases['probability'] >= evaluation.threshold
  wrong = cases[(called != (cases['label'] == 1)) & ~np.isnan(evaluation.threshold)]
  return Failures(
    evaluation,
    misses=wrong[wrong['label'] == 1].sort_values('probability', kind='stable'),
    false_alarms=wrong[wrong['label'] == 0].sort_values(
      'probability', ascending=False, kind='stable'
    ),
  )


def suspects(results: Results) -> pd.DataFrame:
  """Finds radiographs whose label most models contradict, the most doubtful of a set first.

  Confident learning: a model contradicts a label if it gives the other class at least the
  probability that it gives, on average, to radiographs of that class. Northcutt, Jiang and Chuang,
  Journal of Artificial Intelligence Research 2021;70:1373. Every radiograph here was held out from
  training, as the method requires. Models that may be at chance on a set are left out there.
  """
  tables = [_suspects_on(results, test_set) for test_set in results.sources]
  return pd.concat(tables).sort_values('rank', kind='stable', ignore_index=True)


def at_chance(evaluation: Evaluation) -> bool:
  """Whether the interval of the AUC includes 0.5: such scores say nothing about a label."""
  if not evaluation.has_both_classes:
    return False
  cases = evaluation.cases
  patients = cases['patient_id'].to_numpy(str)
  area = roc.delong_interval(cases['label'], cases['probability'], patients)
  low = area.low if area.estimable else area.value  # a perfect separation has no interval
  return not low > _CHANCE


def withheld(results: Results) -> pd.DataFrame:
  """Returns the models that may be at chance, a row per set and model, and if any is left."""
  rows = []
  for test_set in results.sources:
    chance = {evaluation.model: at_chance(evaluation) for evaluation in results.on(test_set)}
    rows += [
      {'set': test_set, 'model': model, 'all': all(chance.values())}
      for model, is_so in chance.items()
      if is_so
    ]
  return pd.DataFrame(rows, columns=['set', 'model', 'all'])


def _suspects_on(results: Results, test_set: str) -> pd.DataFrame:
  cases = results.cases(test_set)
  true_label: pd.Series | float = math.nan
  if truth := results.true_of(test_set):
    true_label = results.cases(truth)['label'].reindex(cases.index)
  models = pd.Series(0, index=cases.index)
  against, margins, probabilities = models.copy(), models * 0.0, models * 0.0
  for evaluation in results.on(test_set):
    if not evaluation.has_both_classes or at_chance(evaluation):
      continue
    of_model = evaluation.cases
    nodule, probability = of_model['label'] == 1, of_model['probability']
    of_other = probability.where(~nodule, 1 - probability)
    usual = np.where(nodule, 1 - probability[~nodule].mean(), probability[nodule].mean())
    models[of_model.index] += 1
    against[of_model.index] += of_other >= usual
    margins[of_model.index] += 2 * of_other - 1
    probabilities[of_model.index] += probability
  found = pd.DataFrame(
    {
      'set': test_set,
      'rank': 0,
      'image_id': cases.index,
      'label': cases['label'],
      'true_label': true_label,
      'models_against': against,
      'models': models,
      'mean_probability': probabilities / models.clip(lower=1),
      'margin': margins / models.clip(lower=1),
    }
  )
  found = found[2 * against > models].sort_values(
    ['models_against', 'margin'], ascending=False, kind='stable'
  )
  return found.assign(rank=np.arange(1, len(found) + 1))
