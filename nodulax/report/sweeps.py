"""What was varied with everything else fixed: label noise, and how many radiographs trained."""

import pandas as pd

from nodulax.report.accuracy import measure
from nodulax.report.results import Results


def sweep(results: Results, name: str) -> pd.DataFrame:
  """A row a set, model, value and seed of one sweep, with AUC and Dice; empty where not made.

  Args:
    results: of all runs.
    name: one of `studies.SWEEPS`.
  """
  return pd.DataFrame(
    {
      'sweep': name,
      'set': run.test_set,
      'model': run.model,
      'value': run.value,
      'seed': run.seed,
      **measure(run.cases, run.threshold),
    }
    for run in results.varied
    if run.sweep == name
  )
