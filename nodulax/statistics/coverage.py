"""Do the intervals cover, and do the tests keep their level? A simulation that anyone can repeat.

    python -m nodulax.statistics.coverage [--repeats=N] [--seed=K]

prints the tables of this folder's README. Scores are binormal, so the true area is known. Images of
a patient share part of their score, which accounts for half of its variance.
"""

import argparse
import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import special

from nodulax.statistics.checks import Bools, Floats, Integers
from nodulax.statistics.delong import delong_interval
from nodulax.statistics.roc import delong_test

AREAS = (0.6, 0.7, 0.8, 0.9, 0.95)
SIZES = (100, 200, 500, 1000, 2000)

# Share of a score's variance that the images of one patient have in common.
PATIENT_SHARE = 0.5

# Correlation of two models' scores within a class.
MODELS_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Design:
  """The images of a simulated study.

  Attributes:
    labels: bool[n].
    patients: i64[n], the patient of each image; None if each has its own patient.
  """

  labels: Bools
  patients: Integers | None = None


def independent(images: int, prevalence: float) -> Design:
  """One image per patient."""
  return Design(np.arange(images) < round(images * prevalence))


def clustered(images: int, prevalence: float, each: int, mixed: bool) -> Design:
  """`each` images per patient, all of one class, or of random classes if `mixed`."""
  patients = np.arange(images) // each
  if mixed:
    patients = np.random.default_rng(0).permutation(patients)
  return dataclasses.replace(independent(images, prevalence), patients=patients)


def simulate_scores(
  design: Design, area: float, models: int, generator: np.random.Generator
) -> Floats:
  """Scores f64[models, n] of models that all have this true area."""

  def draw(size: int) -> Floats:
    common, own = generator.standard_normal(size), generator.standard_normal((models, size))
    return math.sqrt(MODELS_SHARE) * common + math.sqrt(1 - MODELS_SHARE) * own

  noise = draw(design.labels.size)
  if design.patients is not None:
    of_patient = draw(int(design.patients.max()) + 1)[:, design.patients]
    noise = math.sqrt(1 - PATIENT_SHARE) * noise + math.sqrt(PATIENT_SHARE) * of_patient
  return noise + math.sqrt(2) * special.ndtri(area) * design.labels


def interval_coverage(
  design: Design, area: float, repeats: int, seed: int, *, know_patients: bool = True
) -> float:
  """Returns how often the 95 % interval covers the true area; a NaN interval does not.

  `know_patients=False` treats every image as a separate patient, to show what that costs.
  """
  generator = np.random.default_rng(seed)
  patients = design.patients if know_patients else None
  covered = 0
  for _ in range(repeats):
    (scores,) = simulate_scores(design, area, 1, generator)
    interval = delong_interval(design.labels, scores, patients)
    covered += interval.low <= area <= interval.high
  return covered / repeats


def rejection_rate(design: Design, area: float, repeats: int, seed: int) -> float:
  """Returns how often the paired test finds p < 0.05 between two models that do not differ."""
  generator = np.random.default_rng(seed)
  rejected = 0
  for _ in range(repeats):
    first, second = simulate_scores(design, area, 2, generator)
    rejected += delong_test(design.labels, first, second, design.patients).p_value < 0.05
  return rejected / repeats


def _table(title: str, corner: str, header: Sequence[object], rows: Iterable[Sequence]) -> None:
  """Prints a table in Markdown, with shares as percentages."""
  print(f'\n{title}\n')
  print(f'| {corner} | ' + ' | '.join(map(str, header)) + ' |')
  print('| --- |' + ' ---: |' * len(header))
  for name, *shares in rows:
    print(f'| {name} | ' + ' | '.join(f'{100 * share:.1f}' for share in shares) + ' |', flush=True)


def main() -> None:
  """Prints every table."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--repeats', type=int, default=5000, help='simulated studies per number')
  parser.add_argument('--seed', type=int, default=0)
  arguments = parser.parse_args()
  repeats, seeds = arguments.repeats, itertools.count(arguments.seed * 1000)
  error = 100 * math.sqrt(0.05 * 0.95 / repeats)
  print(f'{repeats} simulated studies per number: standard error {error:.2f} percentage points.')

  unbalanced = list(itertools.product((100, 500, 2000), (0.2, 0.05)))
  cases = list(itertools.product((100, 500, 2000), (False, True)))
  one_each = ('images', SIZES, [independent(size, 0.5) for size in SIZES])
  few_nodules = (
    'images, nodules',
    [f'{size}, {round(size * share)}' for size, share in unbalanced],
    [independent(*case) for case in unbalanced],
  )
  four_each = (
    'images, classes within a patient',
    [f'{size}, {"mixed" if mixed else "one class"}' for size, mixed in cases],
    [clustered(size, 0.5, 4, mixed) for size, mixed in cases],
  )
  covered = (interval_coverage, 'coverage, %')
  rejected = (rejection_rate, 'rejected at 0.05, %')
  ignorant = (functools.partial(interval_coverage, know_patients=False), 'coverage, %')
  for title, (measure, unit), (corner, header, designs) in (
    ('Interval, balanced classes', covered, one_each),
    ('Paired test of a true null, balanced classes', rejected, one_each),
    ('Interval, unbalanced classes', covered, few_nodules),
    ('Interval, four images per patient, balanced classes', covered, four_each),
    ('The same, treating every image as a separate patient', ignorant, four_each),
    ('Paired test of a true null, four images per patient', rejected, four_each),
  ):
    rows = (
      [f'AUC {area}', *(measure(design, area, repeats, next(seeds)) for design in designs)]
      for area in AREAS
    )
    _table(f'**{title}** ({unit})', corner, header, rows)


if __name__ == '__main__':
  main()
