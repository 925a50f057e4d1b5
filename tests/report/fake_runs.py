"""Folders as `evaluate` writes them, with numbers from a seeded generator instead of a network."""

import csv
import json
import pathlib
import shutil
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

THUMBNAIL, HEAT_MAP = 96, 16  # pixels
ZONES = ('apex', 'upper', 'middle', 'lower', 'hilum', 'behind_heart', 'below_diaphragm')
# How far apart a model's scores of nodule and normal radiographs are, in standard deviations.
SKILL = {'nih_image': 0.8, 'aihub_image': 1.5, 'nih_aihub_image': 1.6, 'nih_aihub_pixel': 2.0}
HEADER = (
  *('image_id', 'patient_id', 'label', 'probability', 'dice', 'location_known', 'nodules'),
  *('sex', 'age', 'view', 'nodule_diameter_mm', 'zone', 'conspicuity', 'source'),
)


def write_runs(
  folder: pathlib.Path,
  images: Mapping[str, int],
  models: Mapping[str, float] = SKILL,
  *,
  images_a_patient: int = 1,
  nodule_share: float = 0.5,
  pictures: int = 40,
  **metrics,
) -> pathlib.Path:
  """Writes every model on every set: FOLDER/<model>/evaluation/<set>/.

  Args:
    folder: the workdir.
    images: radiographs of each set.
    models: each model's skill.
    images_a_patient: radiographs of each patient.
    nodule_share: of each set.
    pictures: how many radiographs of a set have pictures.
    metrics: what metrics.json holds beside.
  """
  for test_set, count in images.items():
    for model, skill in models.items():
      write_evaluation(
        folder / model / 'evaluation' / test_set,
        count,
        skill,
        images_a_patient=images_a_patient,
        nodule_share=nodule_share,
        pictures=pictures,
        seed=sum(map(ord, test_set)),
        **metrics,
      )
  return folder


def write_study(
  folder: pathlib.Path,
  images: Mapping[str, int],
  models: Mapping[str, float] = SKILL,
  *,
  seeds: Sequence[int] = (0, 1, 2),
  wrong_labels: float = 0.1,
) -> pathlib.Path:
  """Writes a study: models from several seeds, two sweeps, NIH's true labels, and study.json.

  Args:
    folder: the workdir.
    images: radiographs of each set; `nih` gets `nih_true` beside it.
    models: each model's skill, from which seeds stray.
    seeds: of the training runs.
    wrong_labels: share of NIH's labels that are wrong, every tenth for 0.1.
  """
  runs: dict[str, dict] = {}

  def add(run: str, skill: float, seed: int, model: str, sweep: str | None = None, value=None):
    runs[run] = {'model': model, 'seed': seed, 'sweep': sweep, 'value': value}
    write_runs(folder, images, {run: skill}, pictures=0 if sweep or seed else 24)
    if 'nih' in images:
      _write_true_labels(folder / run / 'evaluation', round(1 / wrong_labels))

  for model, skill in models.items():
    for seed in seeds:
      add(f'{model}_seed{seed}', skill + 0.2 * ((7 * seed) % 3 - 1), seed, model)
  for model, skill in list(models.items())[1::2]:
    for rate in (0.1, 0.2, 0.4):
      add(f'{model}_noise_{rate}', skill - 3 * rate, 0, model, 'label_noise', rate)
    for number, count in enumerate((100, 200, 400)):
      for seed in seeds[:2]:
        shortfall = 0.4 * (3 - number) - 0.1 * seed
        add(f'{model}_{count}_{seed}', skill - shortfall, seed, model, 'training_images', count)
  unchanged = {'label_noise': 0.0, 'training_images': 800}
  sweeps = {name: {'options': [f'data.{name}'], 'unchanged': at} for name, at in unchanged.items()}
  (folder / 'study.json').write_text(json.dumps({'runs': runs, 'sweeps': sweeps}))
  return folder


def _write_true_labels(evaluations: pathlib.Path, every: int) -> None:
  """nih_true beside nih, and in nih the label of every so many radiographs wrong."""
  true, given = evaluations / 'nih_true', evaluations / 'nih'
  shutil.copytree(given, true)
  with (given / 'predictions.csv').open(newline='') as file:
    header, *rows = csv.reader(file)
  label, known = header.index('label'), header.index('location_known')
  for row in rows[::every]:
    wrongly_nodule = row[label] == '0'
    row[label] = str(int(wrongly_nodule))
    row[known], row[header.index('nodules')] = str(int(not wrongly_nodule)), '0'
    row[header.index('dice')] = ''
  write_csv(given / 'predictions.csv', header, rows)
  wrong = {row[0]: '' if row[label] == '1' else '0' for row in rows[::every]}
  with (given / 'locations.csv').open(newline='') as file:
    header, *rows = csv.reader(file)
  rows = [[*row[:-1], wrong.get(row[0], row[-1])] for row in rows]
  write_csv(given / 'locations.csv', header, rows)


def write_evaluation(
  folder: pathlib.Path,
  count: int,
  skill: float = 1.5,
  *,
  images_a_patient: int = 1,
  nodule_share: float = 0.5,
  pictures: int = 0,
  seed: int = 0,
  **metrics,
) -> pathlib.Path:
  """Writes one evaluation; the same seed gives the same radiographs whatever the skill."""
  folder.mkdir(parents=True)
  draw = np.random.default_rng(seed)
  of_model = np.random.default_rng([seed, int(skill * 100) % 10_000])
  rows, findings = [], []
  nodules = round(nodule_share * count)
  for number in range(count):
    image_id, label = f'{folder.name}_{number:05d}', int(number < nodules)
    diameter, difficulty = draw.uniform(5, 45), draw.normal()
    shift = skill * label * (0.6 + diameter / 60) + 0.5 * difficulty
    probability = 1 / (1 + np.exp(-(of_model.normal() + shift - skill / 2)))
    located = label and draw.random() < 0.9
    found = located and of_model.random() < 0.2 + 0.35 * skill
    dice = of_model.beta(2 + skill, 3) if found else 0.0
    rows.append(
      [
        image_id, f'p{number // images_a_patient:05d}', label, f'{probability:.17g}',
        f'{dice:.6g}' if located else '', int(not label or located), int(located),
        draw.choice(['female', 'male', 'unknown'], p=[0.45, 0.5, 0.05]),
        '' if draw.random() < 0.03 else f'{np.clip(draw.normal(58, 15), 18, 95):.0f}',
        draw.choice(['PA', 'AP']),
        f'{diameter:.4g}' if label else '',
        draw.choice(ZONES) if label else 'unknown',
        draw.choice(list('12345')) if label else 'unknown', 'fake',
      ]
    )  # fmt: skip
    places = [(probability, int(found))] if found else []
    places += [(of_model.uniform(0.05, 0.6), 0) for _ in range(of_model.poisson(0.5))]
    for finding, (score, nodule) in enumerate(places, 1):
      hit = nodule if not label or located else ''
      findings.append([image_id, finding, f'{score:.6g}', 50, 50, 40, 40, 60, 60, hit])
  write_csv(folder / 'predictions.csv', HEADER, rows)
  box = ('x_min', 'y_min', 'x_max', 'y_max')
  write_csv(
    folder / 'locations.csv', ('image_id', 'finding', 'score', 'x', 'y', *box, 'nodule'), findings
  )
  about = {
    'notice': 'For research. Not a medical device.', 'run': folder.parents[1].name, 'step': 100,
    'dataset': folder.name, 'split': 'test', 'images': count, 'probability_threshold': 0.5,
    'specificity_90_threshold': 0.7,
    'heat_map_threshold': {'value': 0.4, 'of': '1', 'tune_images': 50},
  }  # fmt: skip
  (folder / 'metrics.json').write_text(json.dumps(about | metrics))
  for kind in ('thumbnails', 'heat_maps', 'truths'):
    (folder / kind).mkdir()
  for row in [*rows[: pictures // 2], *rows[len(rows) - pictures // 2 :]]:
    write_pictures(folder, row[0], row[2], float(row[3]), np.random.default_rng([seed, len(rows)]))
  return folder


def write_pictures(
  folder: pathlib.Path, image_id: str, label: int, probability: float, draw: np.random.Generator
) -> None:
  """A blurred chest, a hot spot and, for a nodule, where it is."""
  y, x = np.mgrid[-1 : 1 : THUMBNAIL * 1j, -1 : 1 : THUMBNAIL * 1j]
  lungs = np.exp(-(((np.abs(x) - 0.45) / 0.28) ** 4) - (y / 0.75) ** 4)
  centre = draw.uniform(-0.5, 0.5, 2)
  spot = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 0.015)
  image = 190 - 130 * lungs + 50 * label * spot + draw.normal(0, 6, x.shape)
  pictures = {
    'thumbnails': image.clip(0, 255).astype(np.uint8),
    'heat_maps': (255 * probability * cv2.resize(spot, (HEAT_MAP, HEAT_MAP))).astype(np.uint8),
  }
  if label:
    pictures['truths'] = np.where(spot > 0.5, 255, 0).astype(np.uint8)
  for kind, picture in pictures.items():
    (folder / kind / f'{image_id}.png').write_bytes(cv2.imencode('.png', picture)[1].tobytes())


def write_metrics(run: pathlib.Path, epochs: int = 6, steps: int = 20) -> None:
  """metrics.jsonl as a training run keeps it."""
  draw = np.random.default_rng(len(run.name))
  lines = []
  for epoch in range(1, epochs + 1):
    step = epoch * steps
    loss = 0.7 * 0.8**epoch + draw.uniform(0, 0.05)
    lines.append({'step': step, 'classification_loss': loss, 'loss': 5 * loss})
    lines.append({'step': step, 'tune_auc': 1 - loss, 'tune_loss': loss + 0.1})
  text = ''.join(f'{json.dumps(line)}\n' for line in lines)
  (run / 'metrics.jsonl').write_text(text + '{"step": 1')  # the last line is being written


def write_label_files(folder: pathlib.Path) -> pathlib.Path:
  """What `nodulax labels` writes: audit, rates, corrected figures and a study."""
  rate = {'value': 0.2, 'low': 0.1, 'high': 0.3}
  rates = {'wrong_normal': rate, 'wrong_nodule': rate | {'value': 0.15}, 'draws': [[0.2, 0.15]]}
  audit = folder / 'audit'
  audit.mkdir(parents=True)
  against = {'images': 60, 'wrong': 12, 'auc': {'value': 0.88, 'low': 0.8, 'high': 0.93}}
  about = {
    'notice': 'For research.', 'images': 60, 'expected_wrong': 11.6,
    'more_likely_wrong_than_right': 9, 'rates_by_the_network': rates,
    'against_the_reading': against,
  }  # fmt: skip
  (audit / 'audit.json').write_text(json.dumps(about))
  header = ('rank', 'image_id', 'patient_id', 'label', 'probability', 'wrong')
  rows = [(n, f'gmc_{n:05d}', f'p{n:05d}', n % 2, 0.9, 1 - n / 100) for n in range(1, 61)]
  write_csv(audit / 'suspects.csv', (*header, 'heat_on_nodule', 'heat_elsewhere'),
            [(*row, '', '') for row in rows])  # fmt: skip
  (folder / 'rates.json').write_text(json.dumps({'method': 'second', 'read_again': 60, **rates}))
  figures = {
    name: {'labelled': 0.73, 'value': 0.89, 'low': 0.76, 'high': 1.0}
    for name in ('auc', 'sensitivity', 'specificity')
  }
  (folder / 'corrected.json').write_text(json.dumps({'threshold': 0.5, **rates, **figures}))
  study = folder / 'study'
  study.mkdir()
  picture = np.full((540, 630, 3), 200, np.uint8)
  for part, line, amount in (('budget', 'wrong', 100), ('losses', 'forward', 0.2)):
    results = [
      {'seed': seed, 'line': line, 'amount': amount, 'wrong': None, 'set': 'gmc', 'auc': auc}
      for seed, auc in ((0, 0.75), (1, 0.75), (1, None))
    ]
    (study / f'{part}.json').write_text(json.dumps({'notice': '', 'results': results}))
    (study / f'{part}.png').write_bytes(cv2.imencode('.png', picture)[1].tobytes())
  return folder


def write_csv(path: pathlib.Path, header, rows) -> pathlib.Path:
  with path.open('w', newline='') as file:
    writer = csv.writer(file)
    writer.writerow(header)
    writer.writerows(rows)
  return path


def cohort(images: int) -> dict:
  """A cohort.json as the builders write it."""
  half = images // 2
  counts = {'nodule': half, 'normal': images - half, 'patients': images, 'located': half}
  return {
    'source': 'fake', 'read': {'images': 2 * images}, 'excluded': {'normal, not drawn': images},
    'cohort': counts, 'splits': {'test': counts},
    'paper': {'cohort': {'nodule': 246, 'normal': 440}}, 'paper_remark': 'A remark.',
    'left_out': {}, 'notice': 'For research.',
  }  # fmt: skip
