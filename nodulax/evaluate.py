"""Evaluates a trained network on a split of any shard set.

  python -m nodulax.evaluate --checkpoint=RUN --dataset=DIR --split=test --output=DIR

Writes predictions.csv (one row a radiograph), locations.csv (one row a finding), metrics.json,
heat maps, thumbnails and overlays. For research, not a medical device.
"""

import json
import math
import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import cv2
import jax
import numpy as np
from absl import app, flags, logging
from rich.progress import track

from nodulax import NOTICE, checkpoint, hosts, inference, parallel, provenance, storage
from nodulax.checkpoint import CheckpointError
from nodulax.description import Thresholds
from nodulax.evaluation_files import write_locations, write_pictures, write_predictions
from nodulax.input.batches import evaluation_batches
from nodulax.input.prepared import Prepared, prepare
from nodulax.input.shards import Shards, ShardsError
from nodulax.statistics import calibration, overlap, roc

# With fewer tune images than this, a temperature is mostly chance.
FEWEST_TO_CALIBRATE = 30


def freeze_thresholds(tune: Prepared, probability: np.ndarray, heat_maps: np.ndarray) -> Thresholds:
  """The thresholds that the tune split suggests, never to be changed afterwards.

  Args:
    tune: the tune split, N radiographs.
    probability: f64[N].
    heat_maps: f32[N, h, w].
  """
  labels = [case.label for case in tune.cases]
  dices = [
    overlap.dice_by_threshold(
      enlarged(heat_maps[index], tune.images.shape[1]),
      tune.truth(index),
      truth_outside=tune.truth_outside[index],
    )
    for index in _located(tune)
  ]
  return Thresholds(
    probability=roc.youden_threshold(labels, probability),
    heat_map=overlap.choose_threshold(dices),
    tune_images=len(tune),
    tune_auc=roc.auc(labels, probability),
    temperature=temperature(labels, probability),
  )


def temperature(labels: Sequence[int], probability: np.ndarray) -> float | None:
  """The temperature that calibrates `probability f64[N]`, or None where the labels tell none.

  They tell none where they are few, or where the likelihood has no optimum: then a probability
  would become all but 0 or 1.
  """
  if len(labels) < FEWEST_TO_CALIBRATE:
    return None
  fitted = calibration.fit_temperature(labels, probability)
  return fitted if calibration.COLDEST < fitted < calibration.HOTTEST else None


def evaluate(
  run: str | os.PathLike,
  dataset: str | os.PathLike,
  split: str,
  output: str | os.PathLike,
  *,
  batch_size: int,
  overlays: int,
  cache_dir: str | os.PathLike = '',
) -> dict[str, Any]:
  """Evaluates a run's best network on a split, or finds that done in `output`.

  Args:
    run: the workdir of a training run.
    dataset: the folder of a shard set.
    split: 'train', 'tune' or 'test'.
    output: the folder to write; either complete afterwards or absent.
    batch_size: radiographs at a time; the results do not depend on it.
    overlays: how many radiographs to draw with heat map and truth.
    cache_dir: for preprocessed images; '' keeps them in memory.

  Returns:
    What metrics.json holds.

  Raises:
    CheckpointError, ShardsError: there is no such run or split.
    ValueError: `output` holds another evaluation.
  """
  output = pathlib.Path(output)
  run = storage.fetch(run, only=checkpoint.NEEDED)
  description = checkpoint.describe(run)
  shards = Shards(dataset, split)
  subject = {
    'run': description.name,
    'step': description.step,
    'weights_sha256': description.weights_sha256,
    'dataset': shards.name,
    'split': split,
  }
  origin = provenance.provenance(run, shards.directory, split)
  if hosts.first_says(output.exists()):
    return _done_before(output, {**subject, 'data_sha256': origin['data_sha256']})

  devices = parallel.devices()
  network, variables = inference.load_network(run)
  prepared = prepare(shards, description.preprocessing, cache_dir)
  batch_size = inference.rounded_up(batch_size, devices)
  batches = track(
    evaluation_batches(prepared, batch_size, jax.process_index(), jax.process_count()),
    f'{description.name} on {shards.name} {split}',
    total=math.ceil(len(prepared) / batch_size),
    disable=not hosts.is_first(),
  )
  predictor = inference.Predictor(network, devices)
  probability, heat_maps = predictor(parallel.replicate(variables, devices), batches)

  dices = _dices(prepared, heat_maps, description.thresholds)
  metrics = {
    'notice': NOTICE,
    **subject,
    **measure(
      np.array([case.label for case in prepared.cases]),
      [case.patient_id for case in prepared.cases],
      probability,
      dices,
      description.thresholds,
    ),
    'provenance': origin,
  }
  if not hosts.is_first():
    hosts.wait(f'evaluation in {output}')
    return metrics
  unfinished = output.parent / f'unfinished-{output.name}'
  shutil.rmtree(unfinished, ignore_errors=True)  # of an evaluation that was killed
  unfinished.mkdir(parents=True)
  try:
    write_predictions(unfinished / 'predictions.csv', prepared.cases, probability, dices)
    write_locations(unfinished / 'locations.csv', prepared, heat_maps, description.preprocessing)
    write_pictures(unfinished, prepared, heat_maps, overlays)
    if cohort := provenance.cohort(shards.directory):
      (unfinished / 'cohort.json').write_text(json.dumps(cohort, indent=2))
    (unfinished / 'NOTICE.txt').write_text(NOTICE + '\n')
    (unfinished / 'metrics.json').write_text(json.dumps(metrics, indent=2))
    unfinished.rename(output)
  except BaseException:
    shutil.rmtree(unfinished, ignore_errors=True)
    raise
  hosts.wait(f'evaluation in {output}')
  return metrics


def measure(
  labels: np.ndarray,
  patients: Sequence[str],
  probability: np.ndarray,
  dices: np.ndarray,
  thresholds: Thresholds,
) -> dict[str, Any]:
  """The numbers of metrics.json; intervals are at 95 % and take account of patients.

  Args:
    labels: int[N], 1 with a nodule.
    patients: whose radiographs they are.
    probability: f64[N].
    dices: f64[N], NaN where there is no nodule or its location is unknown.
    thresholds: frozen on the tune split.

  Returns:
    JSON. AUC, sensitivity and specificity are None where a class is missing, and so is every
    bound that cannot be estimated.
  """
  auc = sensitivity = specificity = None
  if 0 < labels.sum() < len(labels):
    auc = _interval(roc.delong_interval(labels, probability, patients))
    point = roc.operating_point(labels, probability, thresholds.probability, patients)
    sensitivity, specificity = _interval(point.sensitivity), _interval(point.specificity)
  dice = overlap.mean_overlap(dices, patients)
  return {
    'images': len(labels),
    'nodule_images': int(labels.sum()),
    'patients': len(set(patients)),
    'auc': auc,
    'probability_threshold': thresholds.probability,
    'tune_images': thresholds.tune_images,
    'tune_auc': thresholds.tune_auc,
    'temperature': thresholds.temperature,
    'sensitivity': sensitivity,
    'specificity': specificity,
    'dice': {**_interval(dice), 'images': dice.images},
    'heat_map_threshold': {
      'value': thresholds.heat_map.value,
      'of': "each map's maximum" if thresholds.heat_map.relative else '1',
      'tune_images': thresholds.heat_map.images,
    },
  }


def enlarged(heat_map: np.ndarray, size: int) -> np.ndarray:
  """`heat_map f32[h, w]` at the size of the network's input, bilinear: f32[size, size]."""
  return cv2.resize(heat_map, (size, size), interpolation=cv2.INTER_LINEAR)


def _located(prepared: Prepared) -> list[int]:
  """The nodule images whose nodules are located."""
  cases = prepared.cases
  return [index for index, case in enumerate(cases) if case.label and case.location_known]


def _dices(prepared: Prepared, heat_maps: np.ndarray, thresholds: Thresholds) -> np.ndarray:
  """Dice of each radiograph, f64[N]; NaN where there is no located nodule."""
  dices = np.full(len(prepared), np.nan)
  for index in _located(prepared):
    heat = enlarged(heat_maps[index], prepared.images.shape[1])
    dices[index] = overlap.dice(
      heat,
      prepared.truth(index),
      thresholds.heat_map.of(heat),
      prepared.truth_outside[index],
    )
  return dices


def _done_before(output: pathlib.Path, subject: dict[str, Any]) -> dict[str, Any]:
  try:
    metrics = json.loads((output / 'metrics.json').read_text())
  except (OSError, ValueError) as error:
    raise ValueError(
      f'{output} exists and holds no evaluation; choose another --output or remove it'
    ) from error
  there = {**metrics, **metrics.get('provenance', {})}
  differing = [
    f'{name} {there.get(name)!r} there, {value!r} now'
    for name, value in subject.items()
    if there.get(name) != value
  ]
  if differing:
    raise ValueError(
      f'{output} holds another evaluation ({"; ".join(differing)}); '
      'choose another --output or remove it'
    )
  return metrics


def _interval(estimate: Any) -> dict[str, float | None]:
  numbers = {'value': estimate.value, 'low': estimate.low, 'high': estimate.high}
  return {name: None if math.isnan(number) else number for name, number in numbers.items()}


def main(arguments: Sequence[str]) -> None:
  if len(arguments) > 1:
    raise app.UsageError(f'unexpected argument: {arguments[1]}')
  logging.set_verbosity(logging.WARNING)
  values = flags.FLAGS
  try:
    output = storage.check_out(values.output)
    metrics = evaluate(
      values.checkpoint,
      values.dataset,
      values.split,
      output,
      batch_size=values.batch_size,
      overlays=values.overlays,
      cache_dir=values.cache_dir,
    )
    storage.publish(output)
  except (CheckpointError, ShardsError, ValueError, OSError) as error:
    raise SystemExit(f'nodulax: {error}') from error
  print(json.dumps(metrics, indent=2))
  print(f'Predictions, heat maps and overlays: {values.output}')


if __name__ == '__main__':
  flags.DEFINE_string('checkpoint', None, 'Workdir of the training run.', required=True)
  flags.DEFINE_string('dataset', None, 'Folder of the shards.', required=True)
  flags.DEFINE_string('output', None, 'Folder to write.', required=True)
  flags.DEFINE_enum('split', 'test', ['train', 'tune', 'test'], 'Split to evaluate on.')
  flags.DEFINE_integer('batch_size', 16, 'Radiographs at a time.')
  flags.DEFINE_integer('overlays', 64, 'Radiographs to draw with heat map and truth.')
  flags.DEFINE_string('cache_dir', '', 'Folder for preprocessed images; memory where empty.')
  app.run(main)
