"""study.json: which model, seed and sweep each run of a study is."""

import dataclasses
import json
import pathlib
from typing import Any

from nodulax.csv_files import is_plain
from nodulax.report.errors import ReportError
from nodulax.report.results import Evaluation

# What a study may vary with everything else fixed, and the values that make sense.
SWEEPS = {'label_noise': (0.0, 1.0), 'training_images': (1.0, 1e9)}
_KEYS = ('model', 'seed', 'sweep', 'value')


def assigned(workdir: pathlib.Path, evaluations: list[Evaluation]) -> list[Evaluation]:
  """Adds what study.json says about the runs; changes nothing if there is none.

  A run that study.json does not list stays a separate model.

  Raises:
    ReportError: study.json is invalid, two runs are the same, or a run has the name of a model.
  """
  path = workdir / 'study.json'
  if not path.is_file():
    return evaluations
  runs, unchanged = _read(path)
  models = {run['model'] for run in runs.values()}
  described = []
  for evaluation in evaluations:
    run = runs.get(evaluation.run)
    if run is None:
      if evaluation.run in models:
        raise ReportError(
          f'{path}: does not list the run {evaluation.run}, but lists others as a model of this '
          'name; list it or rename its folder'
        )
      described.append(evaluation)
    else:
      counts_as = {} if 'sweep' in run else unchanged
      described.append(dataclasses.replace(evaluation, in_study=True, unchanged=counts_as, **run))
  return described


def _read(path: pathlib.Path) -> tuple[dict[str, dict[str, Any]], dict[str, float]]:
  """Reads model, seed, sweep and value of each run, and the unchanged values."""
  try:
    values = json.loads(path.read_text('utf-8'))
  except ValueError as error:
    raise ReportError(f'{path}: not JSON: {error}') from error
  runs = values.get('runs') if isinstance(values, dict) else None
  if not isinstance(runs, dict):
    raise ReportError(f'{path}: no "runs"; it must be {{"runs": {{"<run>": {{...}}}}}}')
  read: dict[str, dict[str, Any]] = {}
  for name, run in runs.items():
    read[name] = _checked(path, name, run)
    for other, of_other in read.items():
      if other != name and of_other == read[name]:
        raise ReportError(f'{path}: {other} and {name} are the same model, seed, sweep and value')
  sweeps = values.get('sweeps', {})
  if not isinstance(sweeps, dict) or not all(isinstance(about, dict) for about in sweeps.values()):
    raise ReportError(f'{path}: "sweeps" must be {{"<sweep>": {{"unchanged": ...}}}}')
  return read, {
    name: _value(about['unchanged'], name, f'{path}: sweep {name}: unchanged')
    for name, about in sweeps.items()
    if name in SWEEPS and about.get('unchanged') is not None
  }


def _checked(path: pathlib.Path, name: str, run: Any) -> dict[str, Any]:
  def fault(problem: str) -> ReportError:
    return ReportError(f'{path}: run {name[:60]}: {problem}')

  if not isinstance(run, dict) or not {'model', 'seed', 'sweep'} <= run.keys() <= {*_KEYS}:
    raise fault(f'it must have {", ".join(_KEYS)} and nothing else')
  model, seed, sweep = run['model'], run['seed'], run['sweep']
  if not isinstance(model, str) or not model or not is_plain(model):
    raise fault('model must be a plain name')
  if not isinstance(seed, int) or isinstance(seed, bool):
    raise fault('seed must be a whole number')
  if sweep is None:
    return {'model': model, 'seed': seed}
  if sweep not in SWEEPS:
    raise fault(f'sweep must be null or one of {", ".join(SWEEPS)}')
  value = _value(run.get('value'), sweep, f'{path}: run {name[:60]}: value')
  return {'model': model, 'seed': seed, 'sweep': sweep, 'value': value}


def _value(value: Any, sweep: str, what: str) -> float:
  """Returns a value of a sweep; `what` names it in an error."""
  low, high = SWEEPS[sweep]
  if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
    raise ReportError(f'{what} must be a number from {low:g} to {high:g}')
  return float(value)
