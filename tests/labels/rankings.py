"""How well the audit ranks wrong labels on simulated scores, and how often intervals cover.

  python -m tests.labels.rankings --seeds=8 --repeats=100

Prints the first table of docs/labels.md beside cleanlab on the same probabilities, and the coverage
of 95 % intervals of the rates. For research, not a medical device.
"""

import argparse
import pathlib
import tempfile

import numpy as np
from sklearn import metrics

from nodulax.labels.audit import audit
from nodulax.labels.predictions import Predictions, read_predictions
from nodulax.labels.rates import truth_behind
from nodulax.statistics import label_noise
from tests.labels.planted import cleanlab_ranking, planted

# wrong_normal, wrong_nodule, share of nodules
SETTINGS = ((0.1, 0.1, 0.1), (0.1, 0.1, 0.5), (0.26, 0.11, 0.3), (0.05, 0.3, 0.1), (0.02, 0.2, 0.3))
COVERED = (0.1, 0.2, 0.3)
REREAD = 250


def simulated(setting: tuple[float, float, float], seed: int) -> tuple[Predictions, np.ndarray]:
  """Predictions, and bool[n], which of their labels are wrong."""
  wrong_normal, wrong_nodule, prevalence = setting
  with tempfile.TemporaryDirectory() as folder:
    path, wrong = planted(
      pathlib.Path(folder),
      wrong_normal=wrong_normal,
      wrong_nodule=wrong_nodule,
      prevalence=prevalence,
      seed=seed,
    )
    return read_predictions(path), wrong


def rankings(setting: tuple[float, float, float], seeds: int) -> np.ndarray:
  """AUC with which the audit and cleanlab find the wrong labels: f64[seeds, 2]."""
  areas = []
  for seed in range(seeds):
    predictions, wrong = simulated(setting, seed)
    other = cleanlab_ranking(predictions.labels, predictions.probability)
    areas.append([metrics.roc_auc_score(wrong, x) for x in (audit(predictions).wrong, other)])
  return np.array(areas)


def coverage(repeats: int) -> dict[str, float]:
  """How often the 95 % intervals of both rates cover them."""
  covers: dict[str, list[bool]] = {'a second reading of 250': [], 'labels and scores alone': []}
  wrong_normal, wrong_nodule, _ = COVERED
  for seed in range(repeats):
    predictions, wrong = simulated(COVERED, 1000 + seed)
    labels = predictions.labels
    read = np.random.default_rng(seed).choice(len(labels), REREAD, replace=False)
    truth = np.where(wrong, 1 - labels, labels)
    for found, covered in zip(
      (
        label_noise.rates_from_second_reading(labels[read], truth[read], labels, seed=seed),
        label_noise.rates_of_first(truth_behind(predictions, seed=seed)),
      ),
      covers.values(),
      strict=True,
    ):
      covered += [
        found.wrong_normal.low <= wrong_normal <= found.wrong_normal.high,
        found.wrong_nodule.low <= wrong_nodule <= found.wrong_nodule.high,
      ]
  return {name: float(np.mean(covered)) for name, covered in covers.items()}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
  parser.add_argument('--seeds', type=int, default=8)
  parser.add_argument('--repeats', type=int, default=100)
  given = parser.parse_args()
  print('normals labelled nodule, nodules labelled normal, share of nodules: nodulax, cleanlab')
  for setting in SETTINGS:
    areas = rankings(setting, given.seeds)
    ours, theirs = areas.mean(axis=0)
    behind = max(0, (areas[:, 1] - areas[:, 0]).max())
    print(f'  {setting}: {ours:.2f}, {theirs:.2f}; behind by {behind:.4f} at most')
  for name, share in coverage(given.repeats).items():
    print(f'intervals from {name} cover in {share:.0%}')


if __name__ == '__main__':
  main()
