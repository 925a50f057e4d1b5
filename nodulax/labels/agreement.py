"""How well readers agree, by the measures that journals ask for."""

import itertools

import numpy as np

from nodulax.errors import NodulaxError, missing_extra


def agreement(table: np.ndarray) -> dict[str, float | None]:
  """Measures the chance-corrected agreement of readers.

  Args:
    table: f64[n, R], 1, 0 or NaN where a reader did not read.

  Returns:
    'krippendorff_alpha', over all answers; 'fleiss_kappa', over the radiographs that all read, for
    three readers or more; 'cohen_kappa', the mean over pairs of readers. None if there are too few
    answers, or all are equal.

  Raises:
    NodulaxError: the extra is not installed.
  """
  readers = table.shape[1]
  nothing: dict[str, float | None] = dict.fromkeys(
    ('krippendorff_alpha', 'fleiss_kappa', 'cohen_kappa')
  )
  if readers < 2:
    return nothing
  try:
    import krippendorff
    from statsmodels.stats import inter_rater
  except ImportError as error:
    raise NodulaxError(missing_extra('agreement between readers', 'labels', error)) from error
  several = table[(~np.isnan(table)).sum(axis=1) > 1]
  if not len(several) or len(np.unique(several[~np.isnan(several)])) < 2:
    return nothing
  alpha = krippendorff.alpha(reliability_data=table.T, level_of_measurement='nominal')
  whole = table[~np.isnan(table).any(axis=1)].astype(int)
  fleiss = None
  if readers > 2 and len(np.unique(whole)) > 1:
    fleiss = float(inter_rater.fleiss_kappa(inter_rater.aggregate_raters(whole)[0]))
  kappas = []
  for one, other in itertools.combinations(table.T, 2):
    both = ~np.isnan(one) & ~np.isnan(other)
    counts = np.histogram2d(one[both], other[both], bins=(2, 2), range=((0, 1), (0, 1)))[0]
    if both.any() and (counts.sum(axis=0) * counts.sum(axis=1)).sum() < counts.sum() ** 2:
      kappas.append(inter_rater.cohens_kappa(counts, return_results=False))
  return {
    'krippendorff_alpha': float(alpha),
    'fleiss_kappa': fleiss,
    'cohen_kappa': float(np.mean(kappas)) if kappas else None,
  }
