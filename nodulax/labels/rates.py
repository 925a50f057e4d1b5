"""How often labels are wrong: from a second reading, from several readers, or from a network."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from nodulax.labels import rereading
from nodulax.labels.agreement import agreement
from nodulax.labels.predictions import LabelsError, Predictions, require_informative
from nodulax.labels.rereading import Answer
from nodulax.statistics import label_noise
from nodulax.statistics.estimate import Estimate
from nodulax.statistics.label_noise import NoiseRates
from nodulax.statistics.latent_truth import LatentTruth, latent_truth

Method = Literal['second', 'readers', 'network']
_KEPT_DRAWS = 1000


def estimate_rates(
  predictions: Predictions, answers: Sequence[Answer], method: Method, *, seed: int = 0
) -> tuple[NoiseRates, dict[str, Any]]:
  """Estimates the rates of wrong labels, and what else the method gives.

  Args:
    predictions: labels of the whole set, and for 'network' the probabilities.
    answers: those of the readers; not needed for 'network'.
    method: 'second' takes the majority of the readers as the truth, on radiographs drawn at random
      from each label; 'readers' takes no reader as the truth, and needs two or more; 'network' uses
      only the predictions.
    seed: seed of the sampling.

  Returns:
    The rates, and details as JSON: how many radiographs were read again, how well the readers
    agree, and for 'readers' the sensitivity and specificity of each.

  Raises:
    LabelsError, RereadingError: the readings do not fit the method or the set.
  """
  if method == 'network':
    require_informative(predictions)
    return label_noise.rates_of_first(truth_behind(predictions, seed=seed)), {}
  if not answers:
    raise LabelsError(f'the method {method} needs a second reading; give --reading=CSV')
  rereading.require_known(answers, predictions.image_ids, str(predictions.source))
  read = {answer.image_id for answer in answers if answer.answer != 'unsure'}
  chosen = [index for index, image in enumerate(predictions.image_ids) if image in read]
  labels = predictions.labels[chosen]
  names, table = rereading.as_table(answers, [predictions.image_ids[index] for index in chosen])
  details: dict[str, Any] = {'read_again': len(chosen), 'agreement': agreement(table)}
  try:
    if method == 'second':
      settled = rereading.settle(answers)
      kept = [index for index in chosen if predictions.image_ids[index] in settled]
      truth = [settled[predictions.image_ids[index]].label for index in kept]
      return (
        label_noise.rates_from_second_reading(
          predictions.labels[kept], truth, predictions.labels, seed=seed
        ),
        details,
      )
    if table.shape[1] < 2:
      raise LabelsError(
        f'one reader only ({names[0]}): --method=readers needs two or more; '
        '--method=second takes a single reader as the truth'
      )
    found = latent_truth(np.column_stack([labels, table]), seed=seed)
    details['readers'] = {
      name: {'sensitivity': as_json(sensitivity), 'specificity': as_json(specificity)}
      for name, sensitivity, specificity in zip(
        names, found.sensitivity[1:], found.specificity[1:], strict=True
      )
    }
    return label_noise.rates_of_first(found), details
  except LabelsError:
    raise
  except ValueError as error:  # by the statistics: what the data lack
    raise LabelsError(f'the rates cannot be estimated: {error}') from error


def truth_behind(predictions: Predictions, *, seed: int = 0) -> LatentTruth:
  """Estimates the truth, with the labels and a network's scores as two readers of it."""
  labels = predictions.labels[:, np.newaxis].astype(np.float64)
  return latent_truth(labels, predictions.logits, seed=seed)


def rates_json(rates: NoiseRates) -> dict[str, Any]:
  """Returns the content of rates.json: the rates, and some draws of both for later estimates."""
  step = max(1, len(rates.draws) // _KEPT_DRAWS)
  return {
    'wrong_normal': as_json(rates.wrong_normal),
    'wrong_nodule': as_json(rates.wrong_nodule),
    'draws': np.round(rates.draws[::step], 6).tolist(),
  }


def rates_from_json(values: Any) -> NoiseRates:
  """The inverse of `rates_json`.

  Raises:
    LabelsError: the values are not rates.
  """
  try:
    normal, nodule = (
      Estimate(*(float(values[name][key]) for key in ('value', 'low', 'high')))
      for name in ('wrong_normal', 'wrong_nodule')
    )
    draws = np.array(values['draws'], np.float64)
    if draws.ndim != 2 or draws.shape[1] != 2 or not ((draws >= 0) & (draws <= 1)).all():
      raise ValueError('draws must be pairs of numbers from 0 to 1')
  except (KeyError, TypeError, ValueError) as error:
    raise LabelsError(f'not rates as nodulax labels rates writes them: {error}') from error
  return NoiseRates(normal, nodule, draws)


def as_json(estimate: Estimate) -> dict[str, float]:
  return {'value': estimate.value, 'low': estimate.low, 'high': estimate.high}
