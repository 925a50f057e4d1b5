"""What was varied with everything else fixed: label noise, and training radiographs."""

import dataclasses

import pandas as pd

from nodulax.report import paper
from nodulax.report.accuracy import measure
from nodulax.report.results import Evaluation, Results


def sweep(results: Results, name: str) -> pd.DataFrame:
  """Returns AUC and Dice per set, model, value and seed of one sweep; empty if not made.

  Args:
    results: evaluations of all runs.
    name: one of `studies.SWEEPS`.
  """
  varied = [run for run in results.varied if run.sweep == name]
  runs = [*varied, *_unchanged(results, name, {run.model for run in varied})]
  runs.sort(
    key=lambda run: (
      paper.set_order(run.test_set), paper.model_order(run.model), run.value, run.seed
    )
  )  # fmt: skip
  return pd.DataFrame(
    {
      'sweep': name,
      'set': run.test_set,
      'model': run.model,
      'value': run.value,
      'seed': run.seed,
      **measure(run.cases, run.threshold),
    }
    for run in runs
  )


def same_seeds(runs: pd.DataFrame) -> set[int]:
  """Returns the seeds that were trained at every value of a model's sweep; all if none was.

  Only these show what the value changes with everything else fixed, the seed included.
  """
  at_each = [set(of_value) for _, of_value in runs.groupby('value')['seed']]
  return set.intersection(*at_each) or set.union(*at_each)


def _unchanged(results: Results, name: str, models: set[str]) -> list[Evaluation]:
  """Returns the runs in which nothing was varied, of every seed, at their place in the sweep."""
  return [
    dataclasses.replace(run, value=run.unchanged[name])
    for test_set in results.test_sets
    for model in results.models
    if model in models
    for run in results.seeds_of(model, test_set)
    if name in run.unchanged
  ]
