"""Judges a network on the tune split: its thresholds, figures for the log, and its quality."""

import dataclasses
import math

import numpy as np

from nodulax.checkpoints.description import Thresholds
from nodulax.evaluation.hottest_cells import HottestCells, hottest_cells
from nodulax.evaluation.thresholds import freeze_thresholds
from nodulax.input.prepared import Prepared
from nodulax.radiograph import pictures
from nodulax.statistics import calibration, roc
from nodulax.statistics.estimate import Estimate


@dataclasses.dataclass(frozen=True)
class Tuning:
  """The results of a network on the tune split.

  Attributes:
    thresholds: frozen on the split.
    cells: where its hottest cells lie.
    scalars: figures by name, for the log.
    interval: confidence interval of the AUC.
    quality: figure by which the best network of a run is chosen: the AUC; for a pixel network on a
      split with located nodules, the mean of the AUC and the share of these that the hottest cell
      hits.
  """

  thresholds: Thresholds
  cells: HottestCells
  scalars: dict[str, float]
  interval: Estimate
  quality: float


def judge(tune: Prepared, probability: np.ndarray, heat_maps: np.ndarray, head: str) -> Tuning:
  """Judges a network by its answers on the tune split.

  Args:
    tune: the split, of N radiographs.
    probability: f64[N].
    heat_maps: f32[N, h, w].
    head: the network's head, 'image' or 'pixel'.
  """
  labels = [case.label for case in tune.cases]
  thresholds = freeze_thresholds(tune, probability, heat_maps)
  cells = hottest_cells(tune, heat_maps)
  scalars = {
    'auc': thresholds.tune_auc,
    'loss': calibration.log_loss(labels, probability),
    'same_hottest_cell': cells.same,
  }
  quality = thresholds.tune_auc
  if not math.isnan(cells.on_nodule):
    scalars['hottest_cell_on_nodule'] = cells.on_nodule
    if head == 'pixel':
      quality = (quality + cells.on_nodule) / 2
  interval = roc.delong_interval(labels, probability, [case.patient_id for case in tune.cases])
  return Tuning(thresholds, cells, scalars, interval, quality)


def draw_batch(batch: dict[str, np.ndarray], count: int) -> list[np.ndarray]:
  """Draws training inputs as the network sees them, with the cells that hold a nodule coloured."""
  return [
    pictures.overlay(image[..., 0], truth)
    for image, truth in zip(batch['image'][:count], batch['truth'], strict=False)
  ]


def draw_tune(tune: Prepared, heat_maps: np.ndarray, count: int) -> list[np.ndarray]:
  """Draws tune radiographs, nodules before normals, with heat maps and true outlines."""
  order = sorted(range(len(tune)), key=lambda index: -tune.cases[index].label)[:count]
  return [
    pictures.overlay(tune.images[index], heat_maps[index], tune.truth(index)) for index in order
  ]
