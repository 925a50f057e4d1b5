"""What the models said: an evaluation of one model on one set, and all of them together."""

import dataclasses
import itertools
import json
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from nodulax.report import paper
from nodulax.report.csv_files import ReportError
from nodulax.statistics import froc

UNKNOWN = 'unknown'


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """One model on one set.

  Attributes:
    model: its name, that of the run's folder.
    test_set: the set's name.
    cases: a row a radiograph, by image_id, with the columns of predictions.csv.
    threshold: the probability from which a radiograph is called abnormal; NaN where none was
      frozen before.
    detections: the findings held against the located nodules; None where there are none.
    metrics: what metrics.json says beside its numbers, which are taken anew here.
    cohort: cohort.json, how the set came about; None where it is not there.
    folder: with heat maps and thumbnails; None for another tool's predictions.
    sha256: of the file of predictions.
  """

  model: str
  test_set: str
  cases: pd.DataFrame
  threshold: float
  detections: froc.Detections | None = None
  metrics: dict[str, Any] = dataclasses.field(default_factory=dict)
  cohort: dict[str, Any] | None = None
  folder: pathlib.Path | None = None
  sha256: str = ''

  @property
  def provenance(self) -> dict[str, Any]:
    """What `evaluate` recorded of code, data and config; empty where it did not."""
    return self.metrics.get('provenance', {})

  @property
  def has_both_classes(self) -> bool:
    """Whether there are nodule and normal radiographs."""
    return self.cases['label'].nunique() == 2

  def picture(self, kind: str, image_id: str) -> bytes | None:
    """A file of `heat_maps`, `thumbnails` or `truths`; None where there is none."""
    if self.folder is None:
      return None
    try:
      return (self.folder / kind / f'{file_name(image_id)}.png').read_bytes()
    except OSError:
      return None


@dataclasses.dataclass(frozen=True)
class Results:
  """Every model on every set on which it was evaluated.

  Attributes:
    models: names, in the order of the report.
    test_sets: names, in the order of the report.
    evaluations: by model and set.
    repeats: of a model that was trained from several seeds, the evaluations of the other runs.
  """

  models: tuple[str, ...]
  test_sets: tuple[str, ...]
  evaluations: dict[tuple[str, str], Evaluation]
  repeats: dict[str, list[Evaluation]]

  def on(self, test_set: str) -> list[Evaluation]:
    """The evaluations on a set, in the order of the models."""
    found = (self.evaluations.get((model, test_set)) for model in self.models)
    return [evaluation for evaluation in found if evaluation is not None]

  def of(self, model: str) -> list[Evaluation]:
    """The evaluations of a model, in the order of the sets."""
    found = (self.evaluations.get((model, test_set)) for test_set in self.test_sets)
    return [evaluation for evaluation in found if evaluation is not None]

  def __iter__(self) -> Iterator[Evaluation]:
    """All evaluations, set by set."""
    return itertools.chain.from_iterable(self.on(test_set) for test_set in self.test_sets)

  def is_simulated(self, test_set: str) -> bool:
    """Whether the set's radiographs are known to come from a virtual hospital."""
    return any(evaluation.provenance.get('simulated') for evaluation in self.on(test_set))

  def cases(self, test_set: str) -> pd.DataFrame:
    """Every radiograph of a set that any model has seen, once."""
    cases = pd.concat([evaluation.cases for evaluation in self.on(test_set)])
    return cases[~cases.index.duplicated()]


def collect(evaluations: Iterable[Evaluation]) -> Results:
  """Puts evaluations in the report's order, and runs of one experiment together.

  Raises:
    ReportError: two disagree about a radiograph.
  """
  by_model: dict[str, list[Evaluation]] = {}
  for evaluation in evaluations:
    by_model.setdefault(evaluation.model, []).append(evaluation)
  first_of: dict[str, str] = {}
  repeats: dict[str, list[Evaluation]] = {}
  for model in sorted(by_model, key=paper.model_order):
    experiment = _experiment(by_model[model]) or model
    first = first_of.setdefault(experiment, model)
    if first != model:
      repeats.setdefault(first, []).extend(by_model[model])
  chosen = {
    (evaluation.model, evaluation.test_set): evaluation
    for model in first_of.values()
    for evaluation in by_model[model]
  }
  test_sets = sorted({test_set for _, test_set in chosen}, key=paper.set_order)
  results = Results(tuple(first_of.values()), tuple(test_sets), chosen, repeats)
  for test_set in results.test_sets:
    _check_agreement(results.on(test_set))
  return results


def file_name(image_id: str) -> str:
  """The stem of a radiograph's pictures, as `evaluate` names them."""
  stem = image_id.removesuffix('.png')
  return re.sub(r'[^A-Za-z0-9._-]', '_', stem).lstrip('.') or '_'


def _experiment(evaluations: list[Evaluation]) -> str | None:
  """What is the same in runs that differ by their seed alone; None where that is not recorded."""
  config = evaluations[0].provenance.get('config')
  if not isinstance(config, dict) or 'seed' not in config:
    return None
  return json.dumps({key: config[key] for key in config if key not in ('seed', 'name')})


def _check_agreement(evaluations: list[Evaluation]) -> None:
  """Raises ReportError where two models' files say different things of one radiograph."""
  for first, second in itertools.combinations(evaluations, 2):
    common = first.cases.index.intersection(second.cases.index)
    for column in ('label', 'patient_id'):
      differs = first.cases.loc[common, column] != second.cases.loc[common, column]
      if differs.any():
        raise ReportError(
          f'{first.model} and {second.model} disagree about the {column} of '
          f'{differs.sum()} radiographs of {first.test_set}, such as {differs.idxmax()}; '
          'evaluate both on the same shards'
        )
