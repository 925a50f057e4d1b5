"""Scores a frozen network on real radiographs whose truth is known.

  python tests/end_to_end/real_sets.py jsrt [--checkpoint=RUN]
  python tests/end_to_end/real_sets.py nih [--checkpoint=RUN]

Reads `$NODULAX_TEST_DATA`, else ../shared/data. `jsrt`: the AUC, by subtlety and by size, where the
hottest finding lies, and the sensitivity at some false positives a radiograph; JSRT serves for
development. `nih`: radiologists' majority label 'nodule or mass' on radiographs of ChestX-ray14,
against normal ones and against all others; for frozen networks alone, never to choose one. All
intervals are at 95 %. For research, not a medical device.
"""

import argparse
import csv
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from rich.progress import track

import nodulax
from nodulax.labels.audit import audit
from nodulax.labels.predictions import LabelsError, Predictions
from nodulax.models import Model, Prediction
from nodulax.statistics import calibration, findings, froc, roc

DATA = pathlib.Path(__file__).parents[3] / 'shared' / 'data'
RATES = (1 / 4, 1 / 2, 1)
_FIRST = (20, 50)  # suspects
# A finding hits a nodule where its centre lies within it or this far from it: half a cell of
# the heat map.
BESIDE_MM = 5.0
JSRT_SPACING_MM, JSRT_SIDE = 0.175, 2048


def auc(
  name: str,
  labels: Sequence[int],
  scores: Sequence[float],
  patients: Sequence[str] | None = None,
) -> str:
  """A line of the table: the AUC with DeLong's interval, clustered by patient."""
  estimate = roc.delong_interval(labels, scores, patients)
  positives = sum(labels)
  numbers = f'{positives} against {len(labels) - positives}'
  return (
    f'| {name} | {numbers} | {estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f}) |'
  )


def read(model: Model, paths: Sequence[pathlib.Path]) -> list[Prediction]:
  """Predictions of all, none refused."""
  return [model(path, force=True) for path in track(paths, 'reading')]


def hottest(prediction: Prediction) -> float:
  """The heat map's maximum, which ranks radiographs as a detector does."""
  return float(prediction.answer.heat_map.max())


def jsrt(model: Model, folder: pathlib.Path) -> list[str]:
  with (folder / 'jsrt_metadata.csv').open(newline='') as file:
    rows = [row for row in csv.DictReader(file) if (folder / 'images' / row['study_id']).exists()]
  predictions = read(model, [folder / 'images' / row['study_id'] for row in rows])
  labels = [int(row['state'] != 'non-nodule') for row in rows]
  probabilities = [prediction.probability for prediction in predictions]
  heat = [hottest(prediction) for prediction in predictions]
  lines = ['| JSRT (development) | radiographs | AUC |', '| --- | --- | --- |']
  lines.append(auc('by the probability', labels, probabilities))
  lines.append(auc("by the heat map's maximum", labels, heat))

  def part(name: str, column: str, low: float, high: float) -> str:
    kept = [
      index
      for index, row in enumerate(rows)
      if not labels[index] or low <= float(row[column]) <= high
    ]
    return auc(name, [labels[index] for index in kept], [heat[index] for index in kept])

  for name, low, high in (('1 and 2', 1, 2), ('3', 3, 3), ('4 and 5', 4, 5)):
    lines.append(part(f'subtlety {name}, by the maximum', 'subtlety', low, high))
  for name, low, high in (('under 15', 0, 14.9), ('15 to 20', 15, 20), ('over 20', 20.1, 99)):
    lines.append(part(f'{name} mm, by the maximum', 'size', low, high))

  scores, images, matched, on_nodule = [], [], [], []
  for index, (row, prediction) in enumerate(zip(rows, predictions, strict=True)):
    side = prediction.pixels.shape[0]
    spacing = JSRT_SPACING_MM * JSRT_SIDE / side
    centres = np.array([(found.x, found.y) for found in prediction.findings]).reshape(-1, 2)
    found_scores = [found.score for found in prediction.findings]
    truth = np.zeros((0, 2))
    within = BESIDE_MM
    if labels[index]:
      truth = np.array([[float(row['x']), float(row['y'])]]) * side / JSRT_SIDE
      within += float(row['size']) / 2
    fits = findings.hits_by_distance(centres, truth, (spacing, spacing), within)
    hits = findings.match(found_scores, fits)
    scores += found_scores
    images += [index] * len(found_scores)
    matched += hits.tolist()
    if labels[index]:
      on_nodule.append(len(hits) > 0 and hits[0] >= 0)
  detections = froc.Detections(
    np.array(scores), np.array(images), np.array(matched), np.array(labels)
  )
  band = froc.froc_band(detections, RATES)
  lines += ['', '| false positives a radiograph | sensitivity |', '| --- | --- |']
  for rate, value, low, high in zip(RATES, band.sensitivity, band.low, band.high, strict=True):
    lines.append(f'| {rate:g} | {value:.2f} ({low:.2f} to {high:.2f}) |')
  lines += ['', f'The hottest finding lies on the nodule in {np.mean(on_nodule):.2f} of them.']
  lines.append(calibrated(labels, probabilities))
  return lines


def nih(model: Model, folder: pathlib.Path) -> list[str]:
  with (folder / 'labels.csv').open(newline='') as file:
    rows = [row for row in csv.DictReader(file) if row['adjudicated_nodule_or_mass']]
  predictions = read(model, [folder / 'images' / row['file'] for row in rows])
  labels = [int(row['adjudicated_nodule_or_mass']) for row in rows]
  lines = ['| ChestX-ray14, radiologists’ majority | radiographs | AUC |', '| --- | --- | --- |']
  for name, scores in (
    ('by the probability', [prediction.probability for prediction in predictions]),
    ("by the heat map's maximum", [hottest(prediction) for prediction in predictions]),
  ):
    normal = [
      index for index, row in enumerate(rows) if labels[index] or row['adjudicated_abnormal'] == '0'
    ]
    for others, kept in (('normals', normal), ('all others', range(len(rows)))):
      lines.append(
        auc(
          f'against {others}, {name}',
          [labels[index] for index in kept],
          [scores[index] for index in kept],
          [rows[index]['patient_id'] for index in kept],
        )
      )
  lines += ['', calibrated(labels, [prediction.probability for prediction in predictions])]
  lines += ['', *audited(rows, [prediction.probability for prediction in predictions])]
  return lines


def audited(rows: Sequence[dict[str, str]], probabilities: Sequence[float]) -> list[str]:
  """How well an audit finds the text-mined labels that the radiologists contradict."""
  kept = [
    (row, {'No Finding': 0}.get(row['nih_labels'], 1), probability)
    for row, probability in zip(rows, probabilities, strict=True)
    if row['nih_labels'] == 'No Finding' or set(row['nih_labels'].split('|')) <= {'Nodule', 'Mass'}
  ]
  mined = np.array([label for _, label, _ in kept])
  wrong = mined != np.array([int(row['adjudicated_nodule_or_mass']) for row, _, _ in kept])
  unknown = np.full(len(kept), np.nan)
  predictions = Predictions(
    pathlib.Path('NIH'),
    [row['file'] for row, _, _ in kept],
    [row['patient_id'] for row, _, _ in kept],
    mined,
    np.array([probability for _, _, probability in kept]),
    unknown,
    unknown,
  )
  try:
    found = audit(predictions).wrong
  except LabelsError as error:
    return [f'No audit: {error}']
  # cleanlab's self-confidence, by hand: one minus the probability of the label.
  contradiction = np.abs(mined - predictions.probability)
  shown = ''.join(f' of the first {count} wrong |' for count in _FIRST)
  lines = [
    f'| mined labels that radiologists contradict, found by | labels | AUC |{shown}',
    '| --- ' * (3 + len(_FIRST)) + '|',
  ]
  for name, scores in (
    ('nodulax labels audit', found),
    ('self-confidence, as cleanlab', contradiction),
  ):
    order = np.argsort(-scores, kind='stable')
    counts = ''.join(f' {wrong[order[:count]].sum()} |' for count in _FIRST)
    lines.append(auc(name, wrong.astype(int), scores, predictions.patients) + counts)
  compared = roc.delong_test(wrong, found, contradiction, predictions.patients)
  low, high = compared.interval
  lines += ['', f'Difference of the two AUCs {compared.difference:.3f} ({low:.3f} to {high:.3f}).']
  return lines


def calibrated(labels: Sequence[int], probabilities: Sequence[float]) -> str:
  """How far the probabilities are from shares."""
  error = calibration.expected_calibration_error(labels, probabilities)
  mean = np.mean(probabilities)
  return (
    f'Expected calibration error {error:.2f}; the mean probability is {mean:.2f} where '
    f'{np.mean(labels):.2f} have a nodule.'
  )


def main() -> None:
  """Prints the tables of a set."""
  parser = argparse.ArgumentParser(description=main.__doc__)
  parser.add_argument('set', choices=('jsrt', 'nih'))
  parser.add_argument('--checkpoint', default='nodulax', help='the network (default: nodulax)')
  given = parser.parse_args()
  data = pathlib.Path(os.environ.get('NODULAX_TEST_DATA', DATA))
  model = nodulax.load(given.checkpoint)
  print(
    '\n'.join(jsrt(model, data / 'jsrt') if given.set == 'jsrt' else nih(model, data / 'nih512'))
  )


if __name__ == '__main__':
  main()
