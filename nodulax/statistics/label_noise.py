"""Estimates how often labels are wrong, and corrects figures measured against them.

Labels are assumed to be wrong at one rate for true normals and at another for true nodules and,
given the truth, independently of the score being judged. If inconspicuous nodules are mislabelled
more often, this does not hold, and the corrected figures are too high, because the score errs on
the same radiographs as the label.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from nodulax.statistics import bootstrap
from nodulax.statistics.checks import (
  Bools,
  Floats,
  as_confidence,
  as_labels,
  as_patients,
  as_scores,
)
from nodulax.statistics.estimate import Estimate
from nodulax.statistics.latent_truth import LatentTruth


@dataclasses.dataclass(frozen=True)
class NoiseRates:
  """How often labels are wrong.

  Attributes:
    wrong_normal: share of the true normals that are labelled nodule.
    wrong_nodule: share of the true nodules that are labelled normal.
    draws: f64[m, 2], random draws of both rates within their uncertainty; one row for exact rates.
  """

  wrong_normal: Estimate
  wrong_nodule: Estimate
  draws: Floats


@dataclasses.dataclass(frozen=True)
class Corrected:
  """Figures measured against wrong labels, and corrected.

  Attributes:
    auc, sensitivity, specificity: against the truth.
    labelled_auc, labelled_sensitivity, labelled_specificity: against the labels.
  """

  auc: Estimate
  sensitivity: Estimate
  specificity: Estimate
  labelled_auc: float
  labelled_sensitivity: float
  labelled_specificity: float


def known_rates(wrong_normal: float, wrong_nodule: float) -> NoiseRates:
  """Returns rates that are known, not estimated.

  Raises:
    ValueError: a rate lies outside [0, 1), or they sum to 1 or more: such labels carry no
      information.
  """
  for name, rate in (('wrong_normal', wrong_normal), ('wrong_nodule', wrong_nodule)):
    if not 0 <= rate < 1:
      raise ValueError(f'{name} is {rate}; it must be from 0 to below 1')
  if wrong_normal + wrong_nodule >= 1:
    raise ValueError(
      f'wrong_normal {wrong_normal} and wrong_nodule {wrong_nodule} sum to 1 or more: such labels '
      'say nothing about the truth, or its opposite'
    )
  return NoiseRates(
    Estimate(wrong_normal, wrong_normal, wrong_normal),
    Estimate(wrong_nodule, wrong_nodule, wrong_nodule),
    np.array([[wrong_normal, wrong_nodule]]),
  )


def rates_from_second_reading(
  labels: ArrayLike,
  truth: ArrayLike,
  all_labels: ArrayLike,
  *,
  confidence: float = 0.95,
  draws: int = 10_000,
  seed: int = 0,
) -> NoiseRates:
  """Estimates rates from a second reading that counts as the truth.

  The radiographs must be a random sample of each label; the labels may be sampled unequally, for
  example so that half of those read again are labelled nodule. By Bayes' rule,
  P(label | truth) = P(truth | label) P(label) / P(truth).

  Args:
    labels: [n], 0 or 1, labels of the radiographs read again.
    truth: [n], 0 or 1, the second reading.
    all_labels: [N], 0 or 1, of the whole set, whose share of nodules weights the two samples.

  Raises:
    ValueError: a class of `labels` or of `all_labels` is missing, or the lengths differ.
  """
  labelled = as_labels(labels)
  true = as_labels(truth, both_classes=False)
  if true.shape != labelled.shape:
    raise ValueError(f'{labelled.size} labels, but {true.size} second readings')
  as_confidence(confidence)
  share = as_labels(all_labels).mean()
  counts = [(true[labelled == label].sum(), (labelled == label).sum()) for label in (True, False)]

  def rates(nodule: Floats, normal: Floats) -> Floats:
    """From the shares of true nodules among those labelled nodule and those labelled normal."""
    found, missed = nodule * share, normal * (1 - share)
    invented, right = (1 - nodule) * share, (1 - normal) * (1 - share)
    with np.errstate(invalid='ignore'):
      return np.stack([invented / (invented + right), missed / (found + missed)], axis=-1)

  nodule, normal = (np.asarray(count / total) for count, total in counts)
  value = rates(nodule, normal)
  if np.isnan(value).any():
    missing = 'normal' if np.isnan(value[0]) else 'a nodule'
    raise ValueError(f'no radiograph that was read again is {missing}, so one rate is unknown')
  rng = np.random.default_rng(seed)
  nodule, normal = (rng.beta(count + 0.5, total - count + 0.5, draws) for count, total in counts)
  drawn = rates(nodule, normal)
  return _rates(value, drawn, confidence)


def rates_of_first(found: LatentTruth, *, confidence: float = 0.95) -> NoiseRates:
  """Estimates rates from several readers, none of whom counts as the truth.

  The labels are the first reader. If a network's scores are the only other evidence, this assumes
  that they are normally distributed in each true class, with the same variance, which roughly holds
  for logits but not for probabilities. It cannot be tested without a second reading.

  Args:
    found: result of `latent_truth`, with the labels as first column of the answers.
    confidence: level of the intervals, in (0, 1).
  """
  value = np.array([1 - found.specificity[0].value, 1 - found.sensitivity[0].value])
  drawn = 1 - found.draws[:, [1 + len(found.sensitivity), 1]]
  return _rates(value, drawn, confidence)


def corrected_figures(
  labels: ArrayLike,
  scores: ArrayLike,
  threshold: float,
  rates: NoiseRates,
  patients: ArrayLike | None = None,
  *,
  confidence: float = 0.95,
  resamples: int = 2000,
  seed: int = 0,
) -> Corrected:
  """Corrects figures against wrong labels to figures against the truth.

  For the AUC, (A' - 1/2) = (1 - x - y) (A - 1/2), where A' is measured, a share x of those labelled
  nodule is normal, and a share y of those labelled normal has a nodule (Menon et al., ICML 2015).
  Within either label, the share called abnormal is a mixture of sensitivity and 1 - specificity.
  The intervals include the sampling of patients and the uncertainty of the rates.

  Args:
    labels: [n], 0 or 1, some of them wrong.
    scores: f[n].
    threshold: a radiograph with this score or more is called abnormal.
    rates: how often labels are wrong.
    patients: [n], the patient of each radiograph; None if each has its own patient.

  Raises:
    ValueError: a class is missing, the rates sum to 1 or more, or a class has fewer labels than
      the errors alone would produce.
  """
  labelled = as_labels(labels)
  score = as_scores(scores, labelled.size)
  patient = as_patients(patients, labelled.size)
  as_confidence(confidence)
  known_rates(rates.wrong_normal.value, rates.wrong_nodule.value)
  measured = _measured(labelled, score, threshold, np.ones((1, labelled.size)))
  value = _true(measured, np.array([[rates.wrong_normal.value, rates.wrong_nodule.value]]))[0]
  share = labelled.mean()
  lowest, highest = rates.wrong_normal.value, 1 - rates.wrong_nodule.value
  if not lowest <= share <= highest:
    raise ValueError(
      f'{share:.3f} of the labels are nodule. With these rates it must be between {lowest:.3f} '
      f'(all normal) and {highest:.3f} (all nodules): the rates do not fit these labels'
    )
  rng = np.random.default_rng(seed)
  parts = []
  for chosen in bootstrap.draw_patients(int(patient.max()) + 1, resamples, seed):
    counts = np.stack([np.bincount(row, minlength=chosen.shape[1]) for row in chosen])
    drawn = rates.draws[rng.integers(len(rates.draws), size=len(chosen))]
    again = _measured(labelled, score, threshold, counts[:, patient].astype(np.float64))
    parts.append(_true(again, drawn))
  tail = (1 - confidence) / 2
  low, high = np.nanquantile(np.concatenate(parts), (tail, 1 - tail), axis=0)
  area, sensitivity, specificity = (
    Estimate(*map(float, row)) for row in zip(value, low, high, strict=True)
  )
  auc, _, called_nodule, called_normal = map(float, measured[0])
  return Corrected(area, sensitivity, specificity, auc, called_nodule, 1 - called_normal)


def _rates(value: Floats, drawn: Floats, confidence: float) -> NoiseRates:
  tail = (1 - confidence) / 2
  low, high = np.quantile(drawn, (tail, 1 - tail), axis=0)
  wrong_normal, wrong_nodule = (
    Estimate(*map(float, row)) for row in zip(value, low, high, strict=True)
  )
  return NoiseRates(wrong_normal, wrong_nodule, drawn)


def _measured(labelled: Bools, score: Floats, threshold: float, weights: Floats) -> Floats:
  """AUC, share labelled nodule, and share called abnormal among these and among the others.

  Args:
    labelled: bool[n].
    score: f64[n].
    weights: f64[m, n], how often each radiograph counts.

  Returns:
    f64[m, 4].
  """
  group = np.unique(score, return_inverse=True)[1]
  order = np.argsort(group, kind='stable')
  starts = np.flatnonzero(np.diff(group[order], prepend=-1))
  nodule, normal = (
    np.add.reduceat((weights * which)[:, order], starts, axis=1) for which in (labelled, ~labelled)
  )
  below = np.cumsum(normal, axis=1) - normal / 2
  nodules, normals = nodule.sum(axis=1), normal.sum(axis=1)
  called = score >= threshold
  with np.errstate(invalid='ignore', divide='ignore'):
    return np.stack(
      [
        (nodule * below).sum(axis=1) / (nodules * normals),
        nodules / (nodules + normals),
        (weights * (called & labelled)).sum(axis=1) / nodules,
        (weights * (called & ~labelled)).sum(axis=1) / normals,
      ],
      axis=-1,
    )


def _true(measured: Floats, rates: Floats) -> Floats:
  """AUC, sensitivity and specificity against the truth: f64[m, 3], in [0, 1]."""
  auc, share, called_nodule, called_normal = measured.T
  wrong_normal, wrong_nodule = rates.T
  with np.errstate(invalid='ignore', divide='ignore'):
    prevalence = np.clip((share - wrong_normal) / (1 - wrong_normal - wrong_nodule), 0, 1)
    normal_of_nodule = np.clip(wrong_normal * (1 - prevalence) / share, 0, 1)
    nodule_of_normal = np.clip(wrong_nodule * prevalence / (1 - share), 0, 1)
    kept = 1 - normal_of_nodule - nodule_of_normal
    sensitivity = ((1 - nodule_of_normal) * called_nodule - normal_of_nodule * called_normal) / kept
    false_alarms = (
      (1 - normal_of_nodule) * called_normal - nodule_of_normal * called_nodule
    ) / kept
    true = np.stack([0.5 + (auc - 0.5) / kept, sensitivity, 1 - false_alarms], axis=-1)
  return np.clip(true, 0, 1)


def ranking_figures(
  wrong: ArrayLike, scores: ArrayLike, counts: Sequence[int]
) -> dict[str, dict[int, float]]:
  """Returns how many wrong labels are among the first k of a ranking.

  Args:
    wrong: [n], 1 where the label is wrong.
    scores: f[n], higher means more suspect; ties are averaged.
    counts: the values of k.

  Returns:
    'precision', the share of the first k that are wrong, and 'recall', the share of all wrong
    labels that are among the first k, each by k.
  """
  positive = as_labels(wrong, both_classes=False)
  values, group, sizes = np.unique(
    -as_scores(scores, positive.size), return_inverse=True, return_counts=True
  )
  # Among radiographs with equal scores, each position gets their share of wrong ones.
  share = np.bincount(group, positive, minlength=len(values)) / sizes
  found = np.cumsum(share[np.sort(group)])
  total = max(int(positive.sum()), 1)
  kept = [k for k in counts if 0 < k <= positive.size]
  return {
    'precision': {k: float(found[k - 1] / k) for k in kept},
    'recall': {k: float(found[k - 1] / total) for k in kept},
  }
