"""Intervals cover and tests hold their level: a short run of `nodulax.statistics.coverage`.

1,000 studies leave a standard error of 0.7 points; the long run is tabulated beside the code.
"""

import numpy as np
import pytest

from nodulax.statistics import coverage

REPEATS = 1000


@pytest.mark.parametrize(('area', 'images'), [(0.6, 100), (0.8, 500), (0.95, 200)])
def test_intervals_cover(area, images):
  design = coverage.independent(images, 0.5)
  assert 0.93 <= coverage.interval_coverage(design, area, REPEATS, seed=1) <= 0.97


@pytest.mark.parametrize(('area', 'images'), [(0.75, 200), (0.9, 500)])
def test_a_true_null_is_rejected_as_often_as_it_should_be(area, images):
  design = coverage.independent(images, 0.5)
  assert 0.035 <= coverage.rejection_rate(design, area, REPEATS, seed=2) <= 0.065


@pytest.mark.parametrize('mixed', [False, True])
def test_several_images_a_patient(mixed):
  design = coverage.clustered(400, 0.5, 4, mixed)
  assert 0.93 <= coverage.interval_coverage(design, 0.8, REPEATS, seed=3) <= 0.97
  assert 0.035 <= coverage.rejection_rate(design, 0.8, REPEATS, seed=4) <= 0.065


def test_taking_images_for_patients_does_not_cover():
  design = coverage.clustered(400, 0.5, 4, mixed=False)
  assert coverage.interval_coverage(design, 0.8, 300, seed=5, know_patients=False) < 0.9


def test_designs_and_scores_are_what_they_say():
  design = coverage.clustered(200, 0.2, 4, mixed=True)
  assert design.labels.sum() == 40
  assert np.bincount(design.patients).tolist() == [4] * 50
  # Some patient has images of both classes.
  of_nodules = set(design.patients[design.labels])
  assert of_nodules & set(design.patients[~design.labels])
  large = coverage.clustered(40000, 0.5, 4, mixed=False)
  first, second = coverage.simulate_scores(large, 0.9, 2, np.random.default_rng(0))
  wins = np.random.default_rng(1).choice(first[large.labels], 200000) > np.random.default_rng(
    2
  ).choice(first[~large.labels], 200000)
  assert wins.mean() == pytest.approx(0.9, abs=0.01)
  normal = ~large.labels
  assert first[normal].std() == pytest.approx(1, abs=0.03)
  assert np.corrcoef(first[normal], second[normal])[0, 1] == pytest.approx(0.5, abs=0.03)
  by_patient = first[normal].reshape(-1, 4)
  assert np.corrcoef(by_patient[:, 0], by_patient[:, 1])[0, 1] == pytest.approx(0.5, abs=0.05)


def test_tables_are_printed(capsys, monkeypatch):
  monkeypatch.setattr('sys.argv', ['coverage', '--repeats=1'])
  monkeypatch.setattr(coverage, 'SIZES', (100,))
  coverage.main()
  printed = capsys.readouterr().out
  assert printed.count('| AUC 0.95 |') == 6
