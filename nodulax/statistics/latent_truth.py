"""Estimates an unseen truth from several readers, or from labels and a network's scores.

Dawid and Skene's model (Applied Statistics 1979;28:20): each reader has a sensitivity and a
specificity, and given the truth the readers err independently of each other. A score may be added:
given the truth it is normally distributed, with a mean for each class and a common variance. The
point estimates are the most likely ones (expectation maximisation); the intervals come from Gibbs
sampling with Jeffreys's priors.
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from nodulax.statistics.checks import Bools, Floats, Integers, as_confidence, as_scores
from nodulax.statistics.estimate import Estimate

_ROUNDS = 5000
_SETTLED = 1e-10  # largest change of the posterior that counts as converged
_BURN_IN = 200
_EDGE = 1e-9  # a rate of exactly 0 or 1 would rule out what another image may show


@dataclasses.dataclass(frozen=True)
class LatentTruth:
  """Estimates of the truth and of how accurate the readers are.

  Attributes:
    prevalence: share of images whose truth is 1.
    sensitivity, specificity: one for each of R readers.
    posterior: f64[n], the probability that the truth of each image is 1.
    draws: f64[m, 1 + 2 R], prevalence, sensitivities and specificities from the sampler, from
      which intervals of other quantities can be derived.
  """

  prevalence: Estimate
  sensitivity: list[Estimate]
  specificity: list[Estimate]
  posterior: Floats
  draws: Floats


@dataclasses.dataclass(frozen=True)
class _Patterns:
  """The p distinct rows of answers; with a score, which rarely repeats, there is one per image.

  Attributes:
    given: bool[p, R], where a reader answered 1.
    read: bool[p, R], where a reader answered.
    score: f64[p], or None.
    count: i64[p], images with these answers.
  """

  given: Bools
  read: Bools
  score: Floats | None
  count: Integers


@dataclasses.dataclass
class _Rates:
  """Rates during the estimation; `means` and `variance` are those of the score, if there is one."""

  prevalence: float
  sensitivity: Floats
  specificity: Floats
  means: Floats
  variance: float


def latent_truth(
  answers: ArrayLike,
  scores: ArrayLike | None = None,
  *,
  confidence: float = 0.95,
  draws: int = 1000,
  seed: int = 0,
) -> LatentTruth:
  """Estimates the truth behind the answers of several readers.

  Args:
    answers: f[n, R], 1 (nodule), 0 (normal) or NaN (not read).
    scores: f[n], higher where a nodule is more likely, such as a network's logits; or None.
    confidence: level of the intervals, in (0, 1).
    draws: number of draws by the sampler.
    seed: seed of the sampler.

  Raises:
    ValueError: too few readers to separate prevalence from errors (three are needed, or one and a
      score), an answer is invalid, nobody read an image, or all answers are equal.
  """
  given, read = _checked(answers, scores)
  score = None if scores is None else as_scores(scores, len(given))
  as_confidence(confidence)
  patterns, of_pattern = _distinct(given, read, score)
  posterior = _first_guess(patterns)
  for _ in range(_ROUNDS):
    before = posterior
    rates = _most_likely(patterns, before)
    posterior = _posterior(rates, patterns)
    if np.abs(posterior - before).max() < _SETTLED:
      break
  drawn = _sample(patterns, posterior, draws, seed)
  tail = (1 - confidence) / 2
  low, high = np.quantile(drawn, (tail, 1 - tail), axis=0)
  values = [rates.prevalence, *rates.sensitivity, *rates.specificity]
  prevalence, *rest = (Estimate(*map(float, row)) for row in zip(values, low, high, strict=True))
  readers = given.shape[1]
  return LatentTruth(prevalence, rest[:readers], rest[readers:], posterior[of_pattern], drawn)


def _checked(answers: ArrayLike, scores: ArrayLike | None) -> tuple[Bools, Bools]:
  """Where a reader answered 1, and where a reader answered at all, both bool[n, R]."""
  table = np.asarray(answers, dtype=np.float64)
  if table.ndim != 2 or not table.size:
    raise ValueError(f'answers must be [images, readers], got shape {table.shape}')
  read = ~np.isnan(table)
  if not np.isin(table[read], (0, 1)).all():
    raise ValueError('an answer must be 1 (nodule), 0 (normal) or NaN (not read)')
  if not read.any(axis=1).all():
    raise ValueError(f'nobody read image {int((~read.any(axis=1)).argmax())}; leave it out')
  if not read.any(axis=0).all():
    raise ValueError(f'reader {int((~read.any(axis=0)).argmax())} read nothing; leave them out')
  needed = 1 if scores is not None else 3
  if table.shape[1] < needed:
    raise ValueError(
      f'{table.shape[1]} reader(s) cannot tell errors from prevalence; three readers can, or one '
      "and a network's scores, or a second reading that counts as the truth"
    )
  if len(np.unique(table[read])) < 2:
    raise ValueError(f'all answers are {int(table[read][0])}, so nothing can be estimated')
  return table == 1, read


def _distinct(given: Bools, read: Bools, score: Floats | None) -> tuple[_Patterns, Integers]:
  """The distinct answers, and the index of each image's answers among them."""
  if score is not None:
    return _Patterns(given, read, score, np.ones(len(given), np.int64)), np.arange(len(given))
  both = np.concatenate([given, read], axis=1)
  rows, of_pattern, count = np.unique(both, axis=0, return_inverse=True, return_counts=True)
  readers = given.shape[1]
  return _Patterns(rows[:, :readers], rows[:, readers:], None, count), of_pattern.ravel()


def _first_guess(patterns: _Patterns) -> Floats:
  """The share of answers that are 1, with the score's rank as another answer: f64[p]."""
  total = patterns.given.sum(axis=1).astype(np.float64)
  answers = patterns.read.sum(axis=1)
  if (score := patterns.score) is not None:
    total += np.searchsorted(np.sort(score), score, side='right') / len(score)
    answers = answers + 1
  return np.clip(total / answers, 0.01, 0.99)


def _most_likely(patterns: _Patterns, posterior: Floats) -> _Rates:
  """The rates that best fit the answers, given each pattern's probability of being abnormal."""
  given, read, score = patterns.given, patterns.read, patterns.score
  nodules, normals = patterns.count * posterior, patterns.count * (1 - posterior)
  sensitivity = nodules @ given / (nodules @ read).clip(_EDGE)
  specificity = normals @ (read & ~given) / (normals @ read).clip(_EDGE)
  means, variance = np.zeros(2), 1.0
  if score is not None:
    shares = np.stack([normals, nodules])
    means = shares @ score / shares.sum(axis=1).clip(_EDGE)
    variance = float((shares * (score - means[:, np.newaxis]) ** 2).sum() / len(score))
  return _Rates(
    float(nodules.sum() / patterns.count.sum()),
    sensitivity.clip(_EDGE, 1 - _EDGE),
    specificity.clip(_EDGE, 1 - _EDGE),
    means,
    max(variance, _EDGE),
  )


def _posterior(rates: _Rates, patterns: _Patterns) -> Floats:
  """The probability that the truth behind each pattern is 1: f64[p]."""
  given, read = patterns.given, patterns.read
  for_one = np.log(rates.sensitivity / (1 - rates.specificity))
  for_zero = np.log((1 - rates.sensitivity) / rates.specificity)
  logit = special.logit(np.clip(rates.prevalence, _EDGE, 1 - _EDGE))
  logit = logit + given @ for_one + (read & ~given) @ for_zero
  if patterns.score is not None:
    normal, nodule = rates.means
    middle = (normal + nodule) / 2
    logit = logit + (nodule - normal) * (patterns.score - middle) / rates.variance
  return special.expit(logit)


def _sample(patterns: _Patterns, posterior: Floats, draws: int, seed: int) -> Floats:
  """Prevalence, sensitivities and specificities drawn from their posterior distribution."""
  rng = np.random.default_rng(seed)
  given, read, score = patterns.given, patterns.read, patterns.score
  drawn = np.empty((draws, 1 + 2 * given.shape[1]))

  def beta(right: NDArray, wrong: NDArray) -> NDArray:
    return np.clip(rng.beta(right + 0.5, wrong + 0.5), _EDGE, 1 - _EDGE)

  for number in range(-_BURN_IN, draws):
    nodules = rng.binomial(patterns.count, posterior)
    normals = patterns.count - nodules
    rates = _Rates(
      float(beta(nodules.sum(), normals.sum())),
      beta(nodules @ given, nodules @ (read & ~given)),
      beta(normals @ (read & ~given), normals @ given),
      np.zeros(2),
      1.0,
    )
    if score is not None:
      sizes = np.maximum([normals.sum(), nodules.sum()], 1)
      means = np.array([normals @ score, nodules @ score]) / sizes
      squares = normals @ (score - means[0]) ** 2 + nodules @ (score - means[1]) ** 2
      rates.variance = max(float(squares / rng.chisquare(max(len(score) - 2, 1))), _EDGE)
      rates.means = rng.normal(means, np.sqrt(rates.variance / sizes))
    posterior = _posterior(rates, patterns)
    if number >= 0:
      drawn[number] = [rates.prevalence, *rates.sensitivity, *rates.specificity]
  return drawn
