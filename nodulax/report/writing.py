"""Makes the files of a report from results: read it from top to bottom."""

import contextlib
import dataclasses
import datetime
import importlib.metadata
import itertools
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
  numbering,
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
from nodulax.report.flow import flow_figure
from nodulax.report.label_quality import LabelQuality, read_label_quality
from nodulax.report.model_cards import model_cards
from nodulax.report.other_tools import read_predictions
from nodulax.report.questions import questions
from nodulax.report.radiographs import representative
from nodulax.report.reading import read_results
from nodulax.report.results import Results, collect
from nodulax.report.studies import SWEEPS
from nodulax.report.subgroups import subgroups
from nodulax.report.sweeps import sweep
from nodulax.report.table import Table
from nodulax.report.training_curves import training_curves, training_figure
from nodulax.report.true_labels import true_labels


def write_report(
  workdir: str | os.PathLike,
  output: str | os.PathLike | None = None,
  *,
  predictions: Iterable[str | os.PathLike] = (),
  labels: Iterable[str | os.PathLike] = (),
  prevalence: float | None = None,
) -> pathlib.Path:
  """Writes the report on every evaluation of a workdir; an earlier report there is replaced.

  Args:
    workdir: folder of runs, or of one run.
    output: the folder to write; None for report/ in the workdir.
    predictions: CSV files of other tools' predictions.
    labels: folders with outputs of `nodulax labels`; the workdir is searched too.
    prevalence: share of nodules where the models would be used, for the decision curve; None for
      that of each set.

  Returns:
    The page.

  Raises:
    ReportError: there is nothing to report on, a file is invalid, or `output` is not a report.
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
      f'{workdir}: nothing to report: no evaluation/SET/predictions.csv in it or in a '
      'subfolder; run python -m nodulax.evaluate first, or give --predictions'
    )
  checked = [pathlib.Path(path) for path in labels]
  for path in checked:
    if not path.is_dir():
      raise ReportError(f'--labels={path}: there is no such folder')
  quality = read_label_quality([workdir, *checked])
  folder = workdir / 'report' if output is None else pathlib.Path(output)
  with _replaced(folder) as unfinished:
    _write(unfinished, results, quality, workdir.resolve().name, prevalence)
  return folder / 'index.html'


@dataclasses.dataclass(frozen=True)
class _Numbers:
  """Everything that tables and figures show.

  Attributes:
    tables: the rows of each table, by its name in `tables.LAYOUTS`; some are empty.
    groups: results by group, which two tables and two figures share.
    curves: by model and set.
    training: the training curves.
    labels: what `nodulax labels` found.
  """

  tables: dict[str, pd.DataFrame]
  groups: pd.DataFrame
  curves: dict[tuple[str, str], curves.Curves]
  training: pd.DataFrame
  labels: LabelQuality


def _write(
  folder: pathlib.Path,
  results: Results,
  labels: LabelQuality,
  title: str,
  prevalence: float | None,
) -> None:
  """Writes every file of the report."""
  numbers = _numbers(results, labels, prevalence)
  figures_by_name = numbering.numbered_figures(_pictures(results, numbers, prevalence))
  shown = _tables(results, numbers, figures_by_name)
  wrong = [failures(evaluation) for evaluation in results]
  content = page.Content(
    title=title,
    created=datetime.date.today().isoformat(),
    version=version(),
    results=results,
    tables=shown,
    pictures=figures_by_name,
    failures=wrong,
    cards=model_cards(results, numbers.tables['performance']),
    remarks=cohorts.remarks(results),
    audits=labels.audits,
  )
  for name in ('tables', 'figures'):
    (folder / name).mkdir()
  for table in shown.values():
    table.write(folder / 'tables')
  _failure_table(wrong).to_csv(folder / 'tables' / 'failures.csv', index=False)
  for picture in itertools.chain.from_iterable(figures_by_name.values()):
    picture.write(folder / 'figures')
  record = _record(content, numbers, prevalence)
  (folder / 'numbers.json').write_text(json.dumps(_json(record), allow_nan=False), 'utf-8')
  (folder / 'NOTICE.txt').write_text(NOTICE + '\n', 'utf-8')
  (folder / 'index.html').write_text(page.render(content), 'utf-8')


def _numbers(results: Results, labels: LabelQuality, prevalence: float | None) -> _Numbers:
  """Computes everything."""
  groups = subgroups(results)
  rows = {
    'cohorts': cohorts.cohort_counts(results),
    'exclusions': cohorts.exclusions(results),
    'characteristics': cohorts.characteristics(results),
    'performance': accuracy.performance(results),
    'operating_points': accuracy.operating_points(results),
    'pairs': accuracy.pairs(results),
    'questions': questions(results),
    'seeds': seeds.seeds(results),
    'seed_pairs': seeds.seed_pairs(results),
    **{name: sweep(results, name) for name in SWEEPS},
    'true_labels': true_labels(results),
    'localisation': curves.localisation(results),
    'calibration': curves.calibrations(results),
    'nodule_groups': groups,
    'patient_groups': groups,
    'suspects': suspects(results),
    'audit': labels.audit,
    'noise_rates': labels.noise_rates,
    'corrected': labels.corrected,
  }
  return _Numbers(rows, groups, curves.draw(results, prevalence), training_curves(results), labels)


def _tables(
  results: Results, numbers: _Numbers, pictures: dict[str, list[Picture]]
) -> dict[str, Table]:
  """Lays out and numbers every table with rows; the checklists, which name the others, last."""
  laid_out = {
    name: tables.LAYOUTS[name](rows) for name, rows in numbers.tables.items() if len(rows)
  }
  shown = {name: table for name, table in laid_out.items() if table is not None}
  numbered = numbering.numbered_tables(shown)
  shown['checklists'] = tables.checklists_table(checklists(results, numbered, pictures, version()))
  return numbering.numbered_tables(shown)


def _pictures(
  results: Results, numbers: _Numbers, prevalence: float | None
) -> dict[str, list[Picture]]:
  """Draws every figure that has content."""
  rows = numbers.tables
  one_each: dict[str, Picture | None] = {
    'summary': overviews.summary(rows['performance']),
    'questions': study_figures.questions_figure(rows['questions']),
    'flow': flow_figure(results),
    'roc': figures.roc_curves(results, numbers.curves, rows['performance']),
    'distributions': overviews.distributions(results),
    'training': training_figure(numbers.training),
    'seeds': study_figures.seeds_figure(results, rows['seeds']),
    **{name: study_figures.sweep_figure(results, rows[name]) for name in SWEEPS},
    'froc': figures.froc_curves(results, numbers.curves),
    'reliability': figures.reliability(results, numbers.curves, rows['calibration']),
    'decision': figures.decision_curves(results, numbers.curves, prevalence),
    'nodules': overviews.forest(numbers.groups, of_nodules=True),
    'patients': overviews.forest(numbers.groups, of_nodules=False),
  }
  several: dict[str, list[Picture | None]] = {
    'radiographs': [representative(results, test_set) for test_set in results.test_sets],
    'label_study': [*numbers.labels.studies],
  }
  found = {**{name: [picture] for name, picture in one_each.items()}, **several}
  return {name: [it for it in pictures if it is not None] for name, pictures in found.items()}


def _record(content: page.Content, numbers: _Numbers, prevalence: float | None) -> dict[str, Any]:
  """Returns the content of numbers.json."""
  return {
    'notice': NOTICE,
    'nodulax': content.version,
    'created': content.created,
    'prevalence': prevalence,
    'tables': {table.key: table.numbers for table in content.tables.values()},
    'curves': [
      {'model': model, 'set': test_set, **dataclasses.asdict(of_pair)}
      for (model, test_set), of_pair in numbers.curves.items()
    ],
    'training': numbers.training,
    'audits': numbers.labels.audits,
    'model_cards': [dataclasses.asdict(card) for card in content.cards],
  }


@contextlib.contextmanager
def _replaced(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields a folder to write in, which becomes `folder` once complete, replacing a report.

  Raises:
    ReportError: `folder` holds something other than a report.
  """
  if folder.exists() and not (folder / 'numbers.json').is_file() and any(folder.iterdir()):
    raise ReportError(f'{folder} holds something other than a report; choose another --output')
  with whole_folder(folder, replace=True) as unfinished:
    yield unfinished


def _failure_table(wrong: list[Failures]) -> pd.DataFrame:
  """Lists every failure of every model."""
  return pd.concat(
    cases.reset_index()
    .drop(columns='patient_id')
    .assign(set=of_model.evaluation.test_set, model=of_model.evaluation.model, kind=kind)
    for of_model in wrong
    for kind, cases in (('miss', of_model.misses), ('false alarm', of_model.false_alarms))
  )


def _json(values: Any) -> Any:
  """Converts values to what JSON can hold: NaN becomes None, arrays and tables become lists."""
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
  """Returns the name and version of this program."""
  try:
    return f'nodulax {importlib.metadata.version("nodulax")}'
  except importlib.metadata.PackageNotFoundError:
    return 'nodulax'
