"""Wrong labels of a virtual hospital whose truth is known: finds, counts and corrects for them.

  python tests/end_to_end/wrong_labels.py --workdir=runs/wrong_labels

Simulates a virtual NIH, whose labels are as often wrong as radiologists find the real ones, fits
networks from the shipped one without a third of the patients each, and holds against the truth: the
ranking of suspects, beside cleanlab's; the rates of wrong labels, by the network alone and from 200
radiographs read again; and the corrected AUC of the test split. About ten minutes on two cores. For
research, not a medical device.
"""

import argparse
import csv
import json
import pathlib
import subprocess
import sys

import numpy as np
from cleanlab.rank import get_label_quality_scores

from configs import hospital
from nodulax.evaluate import evaluate
from nodulax.input.shards import find_shards
from nodulax.labels.audit import audit
from nodulax.labels.crossfit import crossfit
from nodulax.labels.predictions import Predictions, read_predictions
from nodulax.statistics import label_noise, roc
from nodulax.statistics.estimate import Estimate

_IMAGES, _PIXELS, _FOLDS = 900, 384, 3
_READ_AGAIN = 200


def truth_of(raw: pathlib.Path, predictions: Predictions) -> np.ndarray:
  """bool[n], whether each radiograph has a nodule."""
  with (raw / 'phantom_truth.csv').open(newline='') as file:
    true = {row['image']: row['label'] == 'nodule' for row in csv.DictReader(file)}
  return np.array([true[image] for image in predictions.image_ids])


def command(*arguments: str) -> None:
  subprocess.run([sys.executable, '-m', *arguments], check=True, stdout=subprocess.DEVNULL)


def shown(estimate: Estimate) -> str:
  return f'{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})'


def main() -> None:
  parser = argparse.ArgumentParser(description=main.__doc__)
  parser.add_argument('--workdir', type=pathlib.Path, required=True)
  parser.add_argument('--images', type=int, default=_IMAGES)
  given = parser.parse_args()
  folder, images = given.workdir, given.images
  raw, shards = folder / 'raw', folder / 'shards'
  if not raw.exists():
    command(
      'nodulax.phantom', 'nih', f'--output={raw}', f'--images={images}', f'--image_size={_PIXELS}',
      '--masses_only',
    )  # fmt: skip
  if not shards.exists():
    command(
      'tfds_builders', 'build', 'nih_chestxray14', f'--manual_dir={raw}', f'--data_dir={shards}'
    )
  config = hospital.get_config()
  config.data.train = 'nih'
  config.data.shards.nih = str(find_shards(shards))
  config.data.cache_dir = str(folder / 'cache')
  config.preprocessing.image_size = 256
  config.train.epochs = 5
  config.optimizer.drop_epochs = (3,)
  config.train.pictures = 0
  predictions = read_predictions(crossfit(config, folder / 'labels', _FOLDS))
  truth = truth_of(raw, predictions)
  wrong = truth != predictions.labels.astype(bool)
  found = audit(predictions)
  both = np.column_stack([1 - predictions.probability, predictions.probability])
  theirs = -get_label_quality_scores(predictions.labels, both)
  print(f'{len(predictions)} labels, {wrong.sum()} wrong; AUC of the predictions against')
  for name, known in (('the labels', predictions.labels), ('the truth', truth)):
    print(f'  {name} {shown(roc.delong_interval(known, predictions.probability))}')
  for name, scores in (('nodulax', found.wrong), ('cleanlab', theirs)):
    first = wrong[np.argsort(-scores, kind='stable')[:50]].mean()
    area = shown(roc.delong_interval(wrong, scores))
    print(f'wrong labels found by {name}: AUC {area}, {first:.0%} of the first 50')
  actual = wrong[~truth].mean(), wrong[truth].mean()
  print(f'normals labelled nodule {actual[0]:.3f}, nodules labelled normal {actual[1]:.3f}')
  chosen = np.random.default_rng(0).choice(len(truth), _READ_AGAIN, replace=False)
  second = label_noise.rates_from_second_reading(
    predictions.labels[chosen], truth[chosen], predictions.labels
  )
  for name, rates in (('the network alone', found.rates), ('200 read again', second)):
    print(f'  by {name}: {shown(rates.wrong_normal)}, {shown(rates.wrong_nodule)}')
  run, output = folder / 'labels' / 'fold_1', folder / 'test'
  evaluate(run, config.data.shards.nih, 'test', output, batch_size=16, overlays=0)
  tested = read_predictions(output)
  threshold = json.loads((output / 'metrics.json').read_text())['probability_threshold']
  corrected = label_noise.corrected_figures(
    tested.labels, tested.probability, threshold, second, tested.patients
  )
  true = roc.delong_interval(truth_of(raw, tested), tested.probability, tested.patients)
  print(f'test AUC against the labels {corrected.labelled_auc:.2f}')
  print(f'  corrected {shown(corrected.auc)}, against the truth {shown(true)}')


if __name__ == '__main__':
  main()
