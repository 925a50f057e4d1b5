"""Results: an evaluation of one model on one set, and all of them together."""

import dataclasses
import itertools
import json
import math
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from nodulax.report import paper
from nodulax.report.errors import ReportError
from nodulax.statistics import froc

UNKNOWN = 'unknown'
JUST_ABOVE_1 = math.nextafter(1, 2)  # the threshold if every normal must lie below it
YOUDEN, AT_SPECIFICITY = "Youden's index", '90 % specificity'


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """One model on one set.

  Attributes:
    model: name from study.json, or of the run's folder.
    test_set: the set's name.
    cases: a row per radiograph, by image_id, with the columns of predictions.csv.
    threshold: the probability from which a radiograph is called abnormal; NaN if none was
      frozen beforehand.
    detections: the findings compared with the located nodules; None if there are none.
    metrics: the rest of metrics.json; its numbers are recomputed here.
    cohort: cohort.json, how the set came about; None if missing.
    folder: folder with heat maps and thumbnails; None for another tool's predictions.
    sha256: hash of the file of predictions.
    run: the name of the run's folder.
    seed: training seed; None if not recorded.
    in_study: whether study.json lists the run.
    sweep: what was varied with everything else fixed; None if nothing was.
    value: value of what was varied; NaN if nothing was.
    unchanged: value of each sweep in a run in which nothing was varied.
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
  run: str = ''
  seed: int | None = None
  in_study: bool = False
  sweep: str | None = None
  value: float = math.nan
  unchanged: dict[str, float] = dataclasses.field(default_factory=dict)

  @property
  def provenance(self) -> dict[str, Any]:
    """What `evaluate` recorded about code, data and config; empty if it did not."""
    return self.metrics.get('provenance', {})

  @property
  def thresholds(self) -> dict[str, float]:
    """The frozen thresholds by how they were chosen; earlier evaluations have only the first."""
    chosen = {
      YOUDEN: self.threshold,
      AT_SPECIFICITY: self.metrics.get('specificity_90_threshold'),
    }
    return {
      name: float(value)
      for name, value in chosen.items()
      if isinstance(value, int | float) and 0 <= value <= JUST_ABOVE_1
    }

  @property
  def has_both_classes(self) -> bool:
    """Whether there are nodule and normal radiographs."""
    return self.cases['label'].nunique() == 2

  def picture(self, kind: str, image_id: str) -> bytes | None:
    """A file of `heat_maps`, `thumbnails` or `truths`; None if there is none."""
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
    repeats: evaluations of the other runs of models trained with several seeds.
    varied: evaluations of runs in which one thing was varied, by set, model, value and seed.
  """

  models: tuple[str, ...]
  test_sets: tuple[str, ...]
  evaluations: dict[tuple[str, str], Evaluation]
  repeats: dict[str, list[Evaluation]]
  varied: tuple[Evaluation, ...] = ()

  def on(self, test_set: str) -> list[Evaluation]:
    """The evaluations on a set, in the order of the models."""
    found = (self.evaluations.get((model, test_set)) for model in self.models)
    return [evaluation for evaluation in found if evaluation is not None]

  def of(self, model: str) -> list[Evaluation]:
    """The evaluations of a model, in the order of the sets."""
    found = (self.evaluations.get((model, test_set)) for test_set in self.test_sets)
    return [evaluation for evaluation in found if evaluation is not None]

  def seeds_of(self, model: str, test_set: str) -> list[Evaluation]:
    """The evaluations of every seed of a model on a set, the one of the tables first."""
    first = self.evaluations.get((model, test_set))
    others = [run for run in self.repeats.get(model, ()) if run.test_set == test_set]
    return [*([first] if first else []), *others]

  def true_of(self, test_set: str) -> str | None:
    """The set of the same radiographs with their true labels; None if there is none."""
    name = f'{test_set}{paper.TRUE}'
    return name if name in self.test_sets else None

  def is_true(self, test_set: str) -> bool:
    """Whether the set repeats another one with its true labels."""
    return any(self.true_of(other) == test_set for other in self.test_sets)

  @property
  def sources(self) -> list[str]:
    """The sets, without those that repeat a set with its true labels."""
    return [test_set for test_set in self.test_sets if not self.is_true(test_set)]

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
  by_run: dict[str, list[Evaluation]] = {}
  varied = []
  for evaluation in evaluations:
    if evaluation.sweep is None:
      by_run.setdefault(evaluation.run or evaluation.model, []).append(evaluation)
    else:
      varied.append(evaluation)
  runs = sorted(by_run.values(), key=lambda of_run: _run_order(of_run[0]))
  firsts: dict[str, list[Evaluation]] = {}
  repeats: dict[str, list[Evaluation]] = {}
  for of_run in runs:
    seed, experiment = of_run[0].seed, _experiment(of_run)
    first = firsts.setdefault(experiment, of_run)
    if first is of_run:
      continue
    before = [*first, *repeats.get(first[0].model, ())]
    if any(evaluation.seed == seed for evaluation in before):
      firsts[of_run[0].model] = of_run  # the same seed: they differ by something not recorded
    else:
      repeats.setdefault(first[0].model, []).extend(of_run)
  chosen = {
    (evaluation.model, evaluation.test_set): evaluation
    for of_run in firsts.values()
    for evaluation in of_run
  }
  models = sorted({model for model, _ in chosen}, key=paper.model_order)
  test_sets = sorted({test_set for _, test_set in chosen}, key=paper.set_order)
  varied.sort(key=lambda run: (paper.set_order(run.test_set), run.value, *_run_order(run)))
  results = Results(tuple(models), tuple(test_sets), chosen, repeats, tuple(varied))
  for test_set in results.test_sets:
    others = (run for runs in repeats.values() for run in runs if run.test_set == test_set)
    _check_agreement([*results.on(test_set), *others])
  return results


def file_name(image_id: str) -> str:
  """Returns the stem of a radiograph's pictures, as `evaluate` names them."""
  stem = image_id.removesuffix('.png')
  return re.sub(r'[^A-Za-z0-9._-]', '_', stem).lstrip('.') or '_'


def _run_order(evaluation: Evaluation) -> tuple:
  """Sorts runs by model and seed."""
  return (*paper.model_order(evaluation.model), evaluation.seed or 0, evaluation.run)


def _experiment(evaluations: list[Evaluation]) -> str:
  """Returns what runs that differ only in their seed share: the model's name or the config."""
  first = evaluations[0]
  config = first.provenance.get('config')
  if first.in_study or first.seed is None or not isinstance(config, dict):
    return first.model
  return json.dumps({key: config[key] for key in config if key not in ('seed', 'name')})


def _check_agreement(evaluations: list[Evaluation]) -> None:
  """Raises ReportError if two models' files disagree about a radiograph."""
  for first, second in itertools.combinations(evaluations, 2):
    common = first.cases.index.intersection(second.cases.index)
    for column in ('label', 'patient_id'):
      differs = first.cases.loc[common, column] != second.cases.loc[common, column]
      if differs.any():
        raise ReportError(
          f'{first.run or first.model} and {second.run or second.model} disagree about the '
          f'{column} of {differs.sum()} radiographs of {first.test_set}, such as '
          f'{differs.idxmax()}; evaluate both on the same shards'
        )
