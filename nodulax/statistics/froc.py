"""The free-response ROC: does the network point at the nodule, and how often elsewhere?

First find the findings of a heat map (`components`, `peaks`) and the nodules that they hit (a
`hits_` function and `match`), then collect `Detections` over all images. Leave out images with a
nodule whose location is unknown, since they cannot be judged.
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from nodulax.statistics.checks import Floats, Integers, as_patients, as_scores
from nodulax.statistics.curves import Alarms, Band
from nodulax.statistics.delong import auc, delong_interval
from nodulax.statistics.estimate import Estimate
from nodulax.statistics.findings import (
  FALSE_POSITIVE,
  NO_HIT,
  REPEAT,
  Finding,
  box_iou,
  components,
  hits_by_distance,
  hits_by_overlap,
  hits_in_mask,
  match,
  peaks,
)

__all__ = [
  'FALSE_POSITIVE',
  'NO_HIT',
  'RATES',
  'REPEAT',
  'Band',
  'Detections',
  'Finding',
  'FrocCurve',
  'box_iou',
  'components',
  'froc_band',
  'froc_curve',
  'hits_by_distance',
  'hits_by_overlap',
  'hits_in_mask',
  'jafroc',
  'match',
  'mean_average_precision',
  'node21_score',
  'peaks',
  'sensitivity_at',
]

# False positives per image at which sensitivity is averaged (those of LUNA16).
RATES = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)


@dataclasses.dataclass(frozen=True)
class Detections:
  """The findings in a set of images, matched with its nodules.

  Attributes:
    scores: f64[f], the score of each finding.
    images: i64[f], the image of each finding, 0 to n - 1.
    matched: i64[f], the nodule of that image that it hits, `FALSE_POSITIVE` or `REPEAT`.
    nodules: i64[n], how many nodules each image has, found or not.
    patients: [n], the patient of each image; None if each has its own patient.

  Raises:
    ValueError: a score is NaN, lengths differ, an image or a nodule is out of range, a nodule is
      hit twice, or there is no nodule at all.
  """

  scores: Floats
  images: Integers
  matched: Integers
  nodules: Integers
  patients: Integers | None = None

  def __post_init__(self) -> None:
    count, images = np.size(self.scores), np.size(self.nodules)
    as_scores(self.scores, count, "findings' scores")
    if np.shape(self.images) != (count,) or np.shape(self.matched) != (count,):
      raise ValueError(
        f'scores, images and matched must be of one length, got {count}, {np.size(self.images)} '
        f'and {np.size(self.matched)}'
      )
    if count and not (np.min(self.images) >= 0 and np.max(self.images) < images):
      raise ValueError(f'images must be 0 to {images - 1}, the index of an image in nodules')
    if not np.sum(self.nodules) > 0:
      raise ValueError('no image has a nodule, so there is no sensitivity')
    hit = np.asarray(self.matched) >= 0
    found = np.stack([np.asarray(self.images)[hit], np.asarray(self.matched)[hit]])
    if (found[1] >= np.asarray(self.nodules)[found[0]]).any():
      raise ValueError('matched names a nodule that its image does not have')
    if np.unique(found, axis=1).shape != found.shape:
      raise ValueError('a nodule is hit by two findings; the second is a REPEAT (see match)')


@dataclasses.dataclass(frozen=True)
class FrocCurve:
  """The empirical free-response ROC curve.

  Attributes:
    false_positives: f64[t], false positives per image, rising from 0.
    sensitivity: f64[t], the share of nodules found, rising from 0.
    thresholds: f64[t], infinity, then the distinct scores, falling.
  """

  false_positives: Floats
  sensitivity: Floats
  thresholds: Floats


def froc_curve(detections: Detections) -> FrocCurve:
  """Computes the empirical free-response ROC curve, with a point for each distinct score.

  False positives are counted on all images, with nodules and without; repeats are not counted.
  """
  return FrocCurve(*_alarms(detections).curve())


def sensitivity_at(curve: FrocCurve, rates: ArrayLike = RATES) -> Floats:
  """Returns sensitivity f64[r] at f[r] false positives per image.

  It is linear between the curve's points and constant after the last one.
  """
  return np.interp(np.asarray(rates, np.float64), curve.false_positives, curve.sensitivity)


def froc_band(
  detections: Detections,
  rates: ArrayLike = RATES,
  *,
  confidence: float = 0.95,
  resamples: int = 1000,
  seed: int = 0,
) -> Band:
  """Estimates sensitivity at f[r] false positives per image and its mean, with intervals.

  The intervals are percentiles of a bootstrap that draws patients.
  """
  return _alarms(detections).band(
    np.asarray(rates, dtype=np.float64), confidence=confidence, resamples=resamples, seed=seed
  )


def node21_score(labels: ArrayLike, scores: ArrayLike, detections: Detections) -> float:
  """Returns NODE21's score: 0.75 AUROC + 0.25 sensitivity at 0.25 false positives per image.

  Sogancioglu et al., IEEE Transactions on Medical Imaging 2024;43:2839. There a finding is a hit
  if the IoU of its box with the nodule's is above 0.2 (`hits_by_overlap`).

  Args:
    labels: [n], 0 or 1, the label of each image.
    scores: f[n], the score of each image.
    detections: the findings on these images.
  """
  sensitivity = sensitivity_at(froc_curve(detections), [0.25])[0]
  return 0.75 * auc(labels, scores) + 0.25 * float(sensitivity)


def jafroc(detections: Detections, *, confidence: float = 0.95) -> Estimate:
  """Returns JAFROC's figure: how often a nodule outranks a normal image's worst false positive.

  A nodule that is not found and a normal image without findings rank below every score; ties count
  as half. Chakraborty and Berbaum, Medical Physics 2004;31:2313. The figure is an area under a
  ROC curve, of nodules against normal images, so its interval is Obuchowski's with patients as
  clusters, not their jackknife.

  Raises:
    ValueError: no image is normal.
  """
  nodules = np.asarray(detections.nodules)
  matched, images = np.asarray(detections.matched), np.asarray(detections.images)
  normal = nodules == 0
  if not normal.any():
    raise ValueError('JAFROC needs images without a nodule')
  worst = np.full(nodules.size, -np.inf)
  false = matched == FALSE_POSITIVE
  np.maximum.at(worst, images[false], detections.scores[false])
  # Nodules are numbered image by image.
  ratings = np.full(nodules.sum(), -np.inf)
  hit = matched >= 0
  ratings[(np.cumsum(nodules) - nodules)[images[hit]] + matched[hit]] = detections.scores[hit]
  patients = as_patients(detections.patients, nodules.size)
  return delong_interval(
    np.repeat([1, 0], [ratings.size, normal.sum()]),
    np.concatenate([ratings, worst[normal]]),
    np.concatenate([np.repeat(patients, nodules), patients[normal]]),
    confidence=confidence,
  )


def mean_average_precision(detections: Detections) -> float:
  """Returns the mean average precision, which for one class is its average precision.

  It is the area under the precision envelope, over all points, as in Pascal VOC since 2010 and in
  VinBigData's challenge, where a hit is an IoU above 0.4 (`hits_by_overlap`). Repeats count as
  false positives here.
  """
  matched = np.asarray(detections.matched)
  alarms = dataclasses.replace(_alarms(detections), false=matched < 0)
  false_positives, recall, _ = alarms.curve()
  found = recall[1:] * alarms.targets.sum()
  precision = found / (found + false_positives[1:] * alarms.units.sum())
  envelope = np.maximum.accumulate(precision[::-1])[::-1]
  return float((np.diff(recall) * envelope).sum())


def _alarms(detections: Detections) -> Alarms:
  """Every finding is an alarm, every nodule a target, and false alarms are counted per image."""
  nodules, matched = np.asarray(detections.nodules), np.asarray(detections.matched)
  patients = as_patients(detections.patients, nodules.size)
  return Alarms(
    scores=np.asarray(detections.scores, dtype=np.float64),
    patients=patients[detections.images],
    hit=matched >= 0,
    false=matched == FALSE_POSITIVE,
    targets=np.bincount(patients, nodules).astype(np.int64),
    units=np.bincount(patients),
  )
