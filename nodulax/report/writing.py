"""From results to the files of a report: the whole way, from top to bottom."""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import math
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from nodulax import NOTICE
from nodulax.files import whole_folder
from nodulax.report import (
  accuracy,
  cohorts,
  curves,
  figures,
  overviews,
  page,
  seeds,
  study_figures,
  tables,
)
from nodulax.report.checklists import checklists
from nodulax.report.drawing import Picture
from nodulax.report.errors import ReportError
from nodulax.report.failures import Failures, failures, suspects
from nodulax.report.model_cards import model_cards
from nodulax.report.other_tools import read_predictions
from nodulax.report.questions import questions
from nodulax.report.radiographs import representative
from nodulax.report.reading import read_results
from nodulax.report.results import Results, collect
from nodulax.report.studies import SWEEPS
from nodulax.report.subgroups import subgroups
from nodulax.report.sweeps import sweep
from nodulax.report.true_labels import true_labels


def write_report(
  workdir: str | os.PathLike,
  output: str | os.PathLike | None = None,
  *,
  predictions: Iterable[str | os.PathLike] = (),
  prevalence: float | None = None,
) -> pathlib.Path:
  """Writes the report on every evaluation of a workdir; an earlier report there is replaced.

  Args:
    workdir: holds runs, or is one.
    output: the folder to write; None for report/ in the workdir.
    predictions: CSV files of other tools' predictions.
    prevalence: of nodules where the models would be used, for the decision curve; None for that
      of each set.

  Returns:
    The page.

  Raises:
    ReportError: there is nothing to report on, a file is unfit, or `output` holds something else.
  """
  workdir = pathlib.Path(workdir)
  if prevalence is not None and not 0 < prevalence < 1:
    raise ReportError(f'prevalence must lie between 0 and 1, got {prevalence}')
  evaluations = read_results(workdir)
  known = collect(evaluations)
  for path in predictions:
    evaluations += read_predictions(path, known)
  results = collect(evaluations)
  if not results.models:
    raise ReportError(
      f'{workdir}: nothing to report: no evaluation/SET/predictions.csv in it or in a folder in '
      'it; run python -m nodulax.evaluate first, or give --predictions'
    )
  folder = workdir / 'report' if output is None else pathlib.Path(output)
  with _replaced(folder) as unfinished:
    _write(unfinished, results, workdir.resolve().name, prevalence)
  return folder / 'index.html'


def _write(folder: pathlib.Path, results: Results, title: str, prevalence: float | None) -> None:
  performance = accuracy.performance(results)
  groups = subgroups(results)
  drawn = curves.draw(results, prevalence)
  wrong = [failures(evaluation) for evaluation in results]
  cards = model_cards(results, performance)
  calibrations = curves.calibrations(results)
  asked = questions(results)
  of_seeds = seeds.seeds(results)
  varied = {name: sweep(results, name) for name in SWEEPS}
  numbers = {
    'cohorts': cohorts.cohort_counts(results),
    'exclusions': cohorts.exclusions(results),
    'characteristics': cohorts.characteristics(results),
    'performance': performance,
    'pairs': accuracy.pairs(results),
    'questions': asked,
    'seeds': of_seeds,
    'seed_pairs': seeds.seed_pairs(results),
    **varied,
    'true_labels': true_labels(results),
    'localisation': curves.localisation(results),
    'calibration': calibrations,
    'subgroups': groups,
    'suspects': suspects(results),
  }
  shown = {name: tables.LAYOUTS[name](rows) for name, rows in numbers.items() if len(rows)}
  pictures: dict[str, Picture | None] = {
    'summary': overviews.summary(performance),
    'roc': figures.roc_curves(results, drawn, performance),
    'distributions': overviews.distributions(results),
    'froc': figures.froc_curves(results, drawn),
    'reliability': figures.reliability(results, drawn, calibrations),
    'decision': figures.decision_curves(results, drawn, prevalence),
    'nodules': overviews.forest(groups, of_nodules=True),
    'patients': overviews.forest(groups, of_nodules=False),
    'questions': study_figures.questions_figure(asked),
    'seeds': study_figures.seeds_figure(results, of_seeds),
    **{name: study_figures.sweep_figure(results, rows) for name, rows in varied.items()},
  }
  shown['checklists'] = tables.checklists_table(checklists(results, shown, pictures, version()))
  radiographs = [
    picture for test_set in results.test_sets if (picture := representative(results, test_set))
  ]
  content = page.Content(
    title=title,
    created=datetime.date.today().isoformat(),
    version=version(),
    results=results,
    tables=shown,
    pictures=pictures,
    representative=radiographs,
    failures=wrong,
    cards=cards,
    remarks=cohorts.remarks(results),
  )
  for name in ('tables', 'figures'):
    (folder / name).mkdir()
  for table in shown.values():
    table.write(folder / 'tables')
  _failure_table(wrong).to_csv(folder / 'tables' / 'failures.csv', index=False)
  for picture in [*pictures.values(), *radiographs]:
    if picture is not None:
      picture.write(folder / 'figures')
  record = {
    'notice': NOTICE,
    'nodulax': content.version,
    'created': content.created,
    'prevalence': prevalence,
    'tables': {table.key: table.numbers for table in shown.values()},
    'curves': [
      {'model': model, 'set': test_set, **dataclasses.asdict(of_pair)}
      for (model, test_set), of_pair in drawn.items()
    ],
    'model_cards': [dataclasses.asdict(card) for card in cards],
  }
  (folder / 'numbers.json').write_text(json.dumps(_json(record), allow_nan=False), 'utf-8')
  (folder / 'NOTICE.txt').write_text(NOTICE + '\n', 'utf-8')
  (folder / 'index.html').write_text(page.render(content), 'utf-8')


@contextlib.contextmanager
def _replaced(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """A folder to write in, which becomes `folder` once it is whole, in place of an earlier report.

  Raises:
    ReportError: `folder` holds something else than a report.
  """
  if folder.exists() and not (folder / 'numbers.json').is_file() and any(folder.iterdir()):
    raise ReportError(f'{folder} holds something else than a report; choose another --output')
  with whole_folder(folder, replace=True) as unfinished:
    yield unfinished


def _failure_table(wrong: list[Failures]) -> pd.DataFrame:
  """Every failure of every model."""
  return pd.concat(
    cases.reset_index()
    .drop(columns='patient_id')
    .assign(set=of_model.evaluation.test_set, model=of_model.evaluation.model, kind=kind)
    for of_model in wrong
    for kind, cases in (('miss', of_model.misses), ('false alarm', of_model.false_alarms))
  )


def _json(values: Any) -> Any:
  """The same as JSON knows it: no NaN, which becomes None, and no arrays or tables."""
  if isinstance(values, pd.DataFrame):
    return _json(values.to_dict('records'))
  if isinstance(values, Mapping):
    return {str(key): _json(value) for key, value in values.items()}
  if isinstance(values, np.ndarray | list | tuple):
    return [_json(value) for value in values]
  if isinstance(values, np.generic):
    values = values.item()
  return None if isinstance(values, float) and not math.isfinite(values) else values


def version() -> str:
  """This program and its version."""
  try:
    return f'nodulax {importlib.metadata.version("nodulax")}'
  except importlib.metadata.PackageNotFoundError:
    return 'nodulax'
