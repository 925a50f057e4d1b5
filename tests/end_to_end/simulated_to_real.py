"""What networks trained on simulated radiographs alone make of real ones.

  python tests/end_to_end/simulated_to_real.py --study=runs/virtual_study --jsrt=DIR --nih=DIR \\
    --workdir=runs/real

Every model of the study, unchanged, reads the JSRT radiographs (`jsrt.py` says what DIR holds) and
the ChestX-ray14 images that lie in DIR/images, where Nodule or Mass among the labels makes one a
nodule image. Then the model that did best on the study's own tune split, which is simulated, is
fine-tuned on one half of JSRT and tested on the other, both ways round, so that each radiograph is
predicted once by a network that never saw it; the AUC pools both halves. A half's training takes
80 % of it (the builder keeps the rest as its test split). Prints a line for each and writes
them to WORKDIR/results.txt. For research, not a medical device.
"""

import argparse
import csv
import json
import pathlib
import shutil

import numpy as np
from jsrt import run, write_hospital

from nodulax.checkpoints import checkpoint
from nodulax.report.reading import read_evaluation
from nodulax.statistics import froc, roc


def write_nih(nih: pathlib.Path, folder: pathlib.Path) -> None:
  """The ChestX-ray14 images that are there, in the hospital layout."""
  (folder / 'images').mkdir(parents=True)
  rows = []
  with (nih / 'Data_Entry_2017_v2020.csv').open(newline='') as file:
    for entry in csv.DictReader(file):
      name = entry['Image Index']
      if not (nih / 'images' / name).exists():
        continue
      shutil.copy(nih / 'images' / name, folder / 'images' / name)
      nodule = {'Nodule', 'Mass'} & set(entry['Finding Labels'].split('|'))
      rows.append(
        {
          'image': f'images/{name}',
          'patient_id': entry['Patient ID'],
          'label': 'nodule' if nodule else 'normal',
          'sex': entry['Patient Gender'],
          'age': entry['Patient Age'].strip('Y').lstrip('0'),
          'view': entry['View Position'],
        }
      )
  write_manifest(folder, rows)


def write_manifest(folder: pathlib.Path, rows: list[dict[str, str]]) -> None:
  with (folder / 'manifest.csv').open('w', newline='') as file:
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)


def write_halves(whole: pathlib.Path, folder: pathlib.Path) -> None:
  """JSRT in two halves of equal shares of nodules, drawn by a fixed seed."""
  with (whole / 'manifest.csv').open(newline='') as file:
    rows = list(csv.DictReader(file))
  rng = np.random.default_rng(0)
  halves: list[list[dict[str, str]]] = [[], []]
  for label in ('nodule', 'normal'):
    of_class = [row for row in rows if row['label'] == label]
    for place, index in enumerate(rng.permutation(len(of_class))):
      halves[place % 2].append(of_class[index])
  for number, half in enumerate(halves):
    own = folder / f'half{number}'
    for row in half:
      for path in filter(None, (row['image'], row['mask'])):
        (own / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(whole / path, own / path)
    write_manifest(own, half)


def build(raw: pathlib.Path, shards: pathlib.Path, *options: str) -> pathlib.Path:
  if not shards.exists():
    run('tfds_builders', 'build', 'gmc_nodule', f'--manual_dir={raw}', f'--data_dir={shards}',
        *options)  # fmt: skip
  return shards


def evaluate(network: str | pathlib.Path, shards: pathlib.Path, output: pathlib.Path) -> None:
  run('nodulax.evaluate', f'--checkpoint={network}', f'--dataset={shards}', f'--output={output}')


def fine_tune(workdir: pathlib.Path, raw: pathlib.Path, *options: str) -> list[pathlib.Path]:
  """Trains on each half of JSRT and evaluates on the other; the folders of the evaluations."""
  evaluations = []
  for seen in (0, 1):
    trained = build(raw / f'half{seen}', workdir / 'shards' / f'half{seen}', '--config=hospital')
    other = build(raw / f'half{1 - seen}', workdir / 'shards' / f'test{1 - seen}')
    network = workdir / 'fine_tuned' / f'on_half{seen}'
    run(
      'nodulax.main',
      f'--workdir={network}',
      '--config.data.train=hospital',
      f'--config.data.shards.hospital={trained}',
      '--config.data.evaluate=()',
      *options,
    )
    evaluations.append(workdir / 'fine_tuned' / 'evaluation' / f'half{1 - seen}')
    evaluate(network, other, evaluations[-1])
  return evaluations


def as_trained(start: pathlib.Path, experiment: str, epochs: int) -> tuple[str, ...]:
  """The options that fine-tune a model of the study."""
  model = json.loads((start / 'config.json').read_text())
  return (
    f'--config=configs/{experiment}.py',
    f'--config.init.checkpoint={start}',
    f'--config.preprocessing.image_size={model["preprocessing"]["image_size"]}',
    f'--config.model.size={model["model"]["size"]}',
    f'--config.model.batch_norm_momentum={model["model"]["batch_norm_momentum"]}',
    f'--config.optimizer.drop_epochs=({epochs // 2},)',
    f'--config.train.epochs={epochs}',
    '--config.train.batch_size=8',
  )


def measured(name: str, folders: list[pathlib.Path]) -> str:
  """AUC with its interval, and findings, over one evaluation or the pool of several."""
  evaluations = [read_evaluation(folder) for folder in folders]
  labels = np.concatenate([one.cases['label'] for one in evaluations])
  scores = np.concatenate([one.cases['probability'] for one in evaluations])
  patients = np.concatenate([one.cases['patient_id'].to_numpy(str) for one in evaluations])
  auc = roc.delong_interval(labels, scores, patients)
  line = f'{name}: {len(labels)} radiographs, AUC {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})'
  detections = [one.detections for one in evaluations if one.detections is not None]
  if detections:
    found = [froc.sensitivity_at(froc.froc_curve(of_half)).mean() for of_half in detections]
    line += f', mean sensitivity at 1/8 to 8 false positives an image {np.mean(found):.3f}'
  return line


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  for name in ('study', 'jsrt', 'nih', 'workdir'):
    parser.add_argument(f'--{name}', type=pathlib.Path, required=True)
  parser.add_argument('--epochs', type=int, default=50)
  given = parser.parse_args()
  study, workdir = given.study.resolve(), given.workdir.resolve()
  raw = workdir / 'raw'
  if not raw.exists():
    write_hospital(given.jsrt, raw / 'jsrt')
    write_halves(raw / 'jsrt', raw)
    write_nih(given.nih, raw / 'nih')
  sets = {name: build(raw / name, workdir / 'shards' / name) for name in ('jsrt', 'nih')}
  described = json.loads((study / 'study.json').read_text())['runs']
  names = [name for name, about in described.items() if about['sweep'] is None]
  lines = []
  for name in names:
    for test_set, shards in sets.items():
      output = workdir / name / 'evaluation' / test_set
      evaluate(study / name, shards, output)
      lines.append(measured(f'{name} on {test_set}', [output]))
  best = max(names, key=lambda name: checkpoint.describe(study / name).thresholds.tune_auc)
  options = as_trained(study / best, described[best]['model'], given.epochs)
  halves = fine_tune(workdir, raw, *options)
  lines.append(measured(f'{best}, fine-tuned, on jsrt in two folds', halves))
  (workdir / 'results.txt').write_text('\n'.join(lines) + '\n')
  print('\n'.join(lines))
  print('For research, not a medical device.')


if __name__ == '__main__':
  main()
