"""Labels that are wrong at known places, with simulated scores, and cleanlab's ranking of them."""

import csv
import pathlib

import numpy as np
from cleanlab.rank import get_label_quality_scores


def planted(
  folder: pathlib.Path,
  *,
  wrong_normal: float,
  wrong_nodule: float,
  images: int = 3000,
  prevalence: float = 0.3,
  seed: int = 0,
  shift: float = 2.0,
) -> tuple[pathlib.Path, np.ndarray]:
  """Writes predictions whose logits are normal in each class, `shift` standard deviations apart.

  Returns:
    Their file, and bool[images], which labels are wrong.
  """
  rng = np.random.default_rng(seed)
  truth = rng.random(images) < prevalence
  wrong = rng.random(images) < np.where(truth, wrong_nodule, wrong_normal)
  labels = truth ^ wrong
  logits = rng.normal(np.where(truth, shift / 2, -shift / 2), 1.0)
  path = folder / 'predictions.csv'
  with path.open('w', newline='') as file:
    writer = csv.writer(file)
    writer.writerow(('image_id', 'patient_id', 'label', 'probability'))
    for index in range(images):
      probability = 1 / (1 + np.exp(-logits[index]))
      writer.writerow((f'i{index}', f'p{index}', int(labels[index]), probability))
  return path, wrong


def cleanlab_ranking(labels: np.ndarray, probability: np.ndarray) -> np.ndarray:
  """How suspect each label is by cleanlab's default, self-confidence: f64[n]."""
  return -get_label_quality_scores(labels, np.column_stack([1 - probability, probability]))
