"""How long statistics take: `python tests/benchmarks/statistics_speed.py`.

Not a test: it prints, and asserts nothing.
"""

import contextlib
import time
from collections.abc import Callable

import numpy as np

from nodulax.statistics import froc, overlap, roc


def measure(name: str, work: Callable[[], object], repeats: int = 3) -> None:
  """Prints the fastest of some runs."""
  seconds = []
  for _ in range(repeats):
    start = time.perf_counter()
    work()
    seconds.append(time.perf_counter() - start)
  print(f'{min(seconds):8.3f} s  {name}')


def delong(count: int, repeats: int = 3) -> None:
  """The AUC with its variance, beside those public implementations that are installed."""
  labels = np.arange(count) % 2
  scores = np.random.default_rng(0).normal(size=count) + labels
  what = f'AUC with interval, {count:,} scores'
  measure(what, lambda: roc.delong_interval(labels, scores), repeats)
  with contextlib.suppress(ImportError):
    from rocauc_comparison import delong_roc_variance

    name = f'{what}: rocauc-comparison'
    measure(name, lambda: delong_roc_variance(labels, scores), repeats)
  with contextlib.suppress(ImportError):
    from confidenceinterval import roc_auc_score

    name = f'{what}: confidenceinterval, in float32'
    measure(name, lambda: roc_auc_score(labels, scores), repeats)


def main() -> None:
  delong(1_000_000)
  generator = np.random.default_rng(0)
  labels = np.arange(1_000_000) % 2
  scores = generator.normal(size=labels.size) + labels
  patients = np.arange(labels.size) // 3
  measure(
    'AUC with clustered interval, 1,000,000 scores of 333,334 patients',
    lambda: roc.delong_interval(labels, scores, patients),
  )
  measure('Youden threshold, 1,000,000 scores', lambda: roc.youden_threshold(labels, scores))

  labels, patients = labels[:5000], patients[:5000]
  four = generator.normal(size=(4, 5000)) + labels
  measure(
    'paired test, 5,000 radiographs', lambda: roc.delong_test(labels, four[0], four[1], patients)
  )
  measure(
    'ROC band, 5,000 radiographs, 1,000 resamples',
    lambda: roc.roc_band(labels, four[0], patients),
  )
  measure(
    'sensitivity and specificity, 5,000 radiographs, 2,000 resamples',
    lambda: roc.operating_point(labels, four[0], 0.5, patients),
  )
  dices = np.where(labels, generator.random(5000), np.nan)
  measure(
    'mean Dice, 5,000 radiographs, 2,000 resamples', lambda: overlap.mean_overlap(dices, patients)
  )
  images = np.repeat(np.arange(5000), 3)
  matched = np.full(15000, froc.FALSE_POSITIVE)
  matched[::3][labels == 1] = 0
  found = froc.Detections(generator.random(15000), images, matched, labels, patients)
  measure(
    'free-response ROC, 5,000 radiographs, 15,000 findings, 1,000 resamples',
    lambda: froc.froc_band(found),
  )
  heat_map = generator.random((512, 512))
  measure('findings of one heat map, 32 x 32', lambda: froc.peaks(heat_map[:32, :32], 0.9, 2))
  mask = heat_map > 0.9
  measure(
    'Dice at 99 thresholds, one heat map, 512 x 512',
    lambda: overlap.dice_by_threshold(heat_map, mask),
  )


if __name__ == '__main__':
  main()
