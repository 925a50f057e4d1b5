"""Whether implants can be told from real nodules.

  python tests/phantom/implant_realism.py [--contrast=1] [--repeats=5]

Takes the real nodules of `$NODULAX_TEST_DATA/jsrt` (else of ../shared/data/jsrt) and puts nodules
of the same diameters at about the same places of the lungs into the normal radiographs there: CT
nodules and simulated ones by turns. Two small classifiers are then asked which patches are real, in
folds by patient:

- pixels: principal components of the patch and a logistic regression;
- features: the profile, texture and edges of the nodule, and gradient boosting.

Prints the area under the ROC curve of each (0.5: they cannot be told apart) for all implants and
for each kind; the same for patches *without* nodules at the mirrored places of both groups of
patients, because what tells these apart is not the nodule; and the contrast of real nodules and
implants.
The aim is an area below 0.7. JSRT is development data here: the model's contrast is set by it.
"""

import argparse
import csv
import dataclasses
import os
import pathlib
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nodulax.phantom.anatomy.nodule import draw_nodule
from nodulax.phantom.implant import (
  Background,
  CTNodules,
  ImplantError,
  implant,
  prepare_background,
  simulated_opacity,
)
from nodulax.phantom.implant.nodules import SOFTNESS

SIDE = 224
SPACING = 0.175 * 2048 / SIDE
_HALF = 20  # half a patch, in pixels: a patch is 64 mm
_NEAR_MM = 25.0
_SHIFT = 1.5  # pixels by which no annotation is better centred than another
_BINS_MM = ((0, 12), (12, 18), (18, 25), (25, 60), (0, 60))


@dataclasses.dataclass(frozen=True)
class Patch:
  """A picture f32[40, 40] around a nodule of a diameter, of a patient, and what it is."""

  pixels: np.ndarray
  diameter_mm: float
  patient: str
  kind: str  # real, ct, simulated; without_real, without_implant


def patch(pixels: np.ndarray, x: float, y: float, rng: np.random.Generator) -> np.ndarray:
  """f32[40, 40] around a point moved a little, brought to mean 0 and standard deviation 1."""
  dx, dy = rng.uniform(-_SHIFT, _SHIFT, 2)
  size = (2 * _HALF, 2 * _HALF)
  cut = cv2.getRectSubPix(pixels.astype(np.float32), size, (x - 0.5 + dx, y - 0.5 + dy))
  return (cut - cut.mean()) / max(float(cut.std()), 1.0)


def features(patch: Patch) -> np.ndarray:
  """f64[n]: brightness, texture and edges in rings of the nodule's size, and at three scales."""
  image, radius = patch.pixels, patch.diameter_mm / 2 / SPACING
  rows, columns = np.indices(image.shape) - (_HALF - 0.5)
  distance = np.hypot(rows, columns) / radius
  slope = np.hypot(cv2.Sobel(image, -1, 1, 0), cv2.Sobel(image, -1, 0, 1))
  fine = image - cv2.GaussianBlur(image, (0, 0), 1.0)
  found: list[float] = [patch.diameter_mm]
  edges = (0, 0.4, 0.7, 1.0, 1.3, 1.7, 2.2)
  rings = [
    (distance >= low) & (distance < high) for low, high in zip(edges, edges[1:], strict=False)
  ]
  around = image[rings[-1]].mean() if rings[-1].any() else 0.0
  for ring in rings:
    inside = ring if ring.any() else distance == distance.min()
    found += [
      image[inside].mean() - around,
      image[inside].std(),
      slope[inside].mean(),
      fine[inside].std(),
      float(np.percentile(image[inside], 90)) - around,
    ]
  middle = slice(_HALF - 3, _HALF + 3)
  for sigma in (1.0, 2.0, 4.0):
    scale = cv2.GaussianBlur(image, (0, 0), sigma) - cv2.GaussianBlur(image, (0, 0), 1.6 * sigma)
    found += [float(scale[middle, middle].max()), float(scale.max()), float(scale.std())]
  return np.array(found)


def load(folder: pathlib.Path) -> list[tuple[dict[str, str], Background]]:
  """JSRT's rows and radiographs."""
  loaded = []
  with (folder / 'jsrt_metadata.csv').open(newline='') as file:
    for row in csv.DictReader(file):
      path = folder / 'images' / row['study_id']
      if path.is_file():
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        try:
          loaded.append((row, prepare_background(pixels, SPACING, path.name)))
        except ImplantError as error:
          print(f'left out: {error}')
  return loaded


def near(background: Background, u: float, v: float) -> Background:
  """The same with room only near a place given in parts of the lung box."""
  x_min, y_min, x_max, y_max = background.lung_box
  x, y = x_min + u * (x_max - x_min), y_min + v * (y_max - y_min)
  rows, columns = np.indices(background.room_mm.shape)
  cell = SIDE / len(background.room_mm)
  distance = np.hypot((columns + 0.5) * cell - x, (rows + 0.5) * cell - y) * SPACING
  room = np.where(distance < _NEAR_MM, background.room_mm, 0)
  return dataclasses.replace(background, room_mm=room.astype(np.float32))


def draw(
  diameter_mm: float, nodules: CTNodules | None, background: Background, rng: np.random.Generator
):
  """An opacity of a diameter, from CT where nodules are given."""
  if nodules is not None:
    index = nodules.choose(rng, diameter_mm)
    return nodules.opacity(index, rng, diameter_mm, SPACING)
  nodule = dataclasses.replace(draw_nodule(rng, mass=False), diameter_mm=diameter_mm)
  softness = float(rng.uniform(*SOFTNESS))
  return dataclasses.replace(simulated_opacity(nodule, SPACING, softness), zone=None)


def collect(folder: pathlib.Path, per_nodule: int, contrast: float, seed: int) -> list[Patch]:
  """Real nodules, implants of the same diameters and places, and places without nodules."""
  rng = np.random.default_rng(seed)
  loaded = load(folder / 'jsrt')
  nodules = CTNodules(folder / 'luna')
  normals = [background for row, background in loaded if not row['x']]
  patches = []
  for row, background in loaded:
    if not row['x']:
      continue
    x, y = float(row['x']) * SIDE / 2048, float(row['y']) * SIDE / 2048
    diameter, patient = float(row['size']), row['study_id']
    x_min, y_min, x_max, y_max = background.lung_box
    u, v = (x - x_min) / (x_max - x_min), (y - y_min) / (y_max - y_min)
    if diameter > 60:
      continue
    patches.append(Patch(patch(background.stored, x, y, rng), diameter, patient, 'real'))
    mirrored = x_min + x_max - x
    empty = patch(background.stored, mirrored, y, rng)
    patches.append(Patch(empty, diameter, patient, 'without_real'))
    for turn in range(per_nodule):
      normal = normals[int(rng.integers(len(normals)))]
      opacity = draw(diameter, nodules if turn % 2 else None, normal, rng)
      done = implant(near(normal, u, v), [opacity], rng, contrast=contrast)
      for lesion in done.lesions:
        cut = patch(done.pixels, *lesion.centre, rng)
        patches.append(Patch(cut, diameter, normal.name, lesion.source))
        left, _, right, _ = normal.lung_box
        empty = patch(normal.stored, left + right - lesion.centre[0], lesion.centre[1], rng)
        patches.append(Patch(empty, diameter, normal.name, 'without_implant'))
  return patches


def area_under_curve(
  patches: Iterable[Patch], positive: str, negatives: Sequence[str], seed: int
) -> dict[str, float]:
  """How well two kinds are told apart, out of fold, by either classifier."""
  taken = [one for one in patches if one.kind == positive or one.kind in negatives]
  truth = np.array([one.kind == positive for one in taken])
  patients = np.array([one.patient for one in taken])
  weight = np.where(truth, 0.5 / truth.mean(), 0.5 / (1 - truth.mean()))
  pixels = np.stack([one.pixels.ravel() for one in taken])
  measured = np.stack([features(one) for one in taken])
  scores = {'pixels': np.zeros(len(taken)), 'features': np.zeros(len(taken))}
  folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
  for train, test in folds.split(pixels, truth, patients):
    linear = make_pipeline(
      PCA(20, random_state=seed), StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)
    )
    linear.fit(pixels[train], truth[train], logisticregression__sample_weight=weight[train])
    scores['pixels'][test] = linear.decision_function(pixels[test])
    trees = HistGradientBoostingClassifier(
      max_iter=60, max_leaf_nodes=6, learning_rate=0.08, random_state=seed
    )
    trees.fit(measured[train], truth[train], sample_weight=weight[train])
    scores['features'][test] = trees.decision_function(measured[test])
  return {name: float(roc_auc_score(truth, score)) for name, score in scores.items()}


def contrast_of(one: Patch) -> float:
  """Brightness of the middle over its surroundings, in standard deviations of these."""
  radius = one.diameter_mm / 2 / SPACING
  rows, columns = np.indices(one.pixels.shape) - (_HALF - 0.5)
  distance = np.hypot(rows, columns)
  inside = one.pixels[distance < max(0.6 * radius, 1.5)]
  ring = one.pixels[(distance > 1.2 * radius + 1) & (distance < min(2 * radius + 3, _HALF))]
  return float((inside.mean() - ring.mean()) / ring.std()) if ring.size else float('nan')


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--contrast', type=float, default=1.0, help='multiplier of the implants')
  parser.add_argument('--repeats', type=int, default=5, help='other implants and folds each')
  parser.add_argument('--per_nodule', type=int, default=4, help='implants for each real nodule')
  given = parser.parse_args()
  beside = pathlib.Path(__file__).parents[3] / 'shared' / 'data'
  folder = pathlib.Path(os.environ.get('NODULAX_TEST_DATA', beside))
  questions = {
    'all implants': ('real', ('ct', 'simulated')),
    'CT nodules': ('real', ('ct',)),
    'simulated': ('real', ('simulated',)),
    'no nodule': ('without_real', ('without_implant',)),
  }
  areas: dict[tuple[str, str], list[float]] = {}
  everything: list[Patch] = []
  for seed in range(given.repeats):
    patches = collect(folder, given.per_nodule, given.contrast, seed)
    everything += patches
    for question, (positive, negatives) in questions.items():
      for name, area in area_under_curve(patches, positive, negatives, seed).items():
        areas.setdefault((question, name), []).append(area)
  print('area under the curve of telling real from implanted, mean and standard deviation')
  for (question, name), values in areas.items():
    print(f'  {question:14} {name:9} {np.mean(values):.3f} {np.std(values):.3f}')
  print('contrast over local spread: median and quartiles')
  for low, high in _BINS_MM:
    for kind in ('real', 'ct', 'simulated', 'without_real', 'without_implant'):
      found = [
        contrast_of(one) for one in everything if one.kind == kind and low <= one.diameter_mm < high
      ]
      quarter, half, three = np.nanpercentile(found, (25, 50, 75))
      print(
        f'  {low:2}-{high} mm {kind:15} {len(found):5} '
        f'{half:6.2f} {quarter:6.2f} {three:6.2f} mean {np.nanmean(found):6.2f}'
      )


if __name__ == '__main__':
  main()
