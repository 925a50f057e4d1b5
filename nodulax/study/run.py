"""Runs several experiments in order: shards, networks, evaluations, and one report."""

import json
import pathlib
import subprocess
import sys
import tempfile

from etils import epath
from ml_collections import ConfigDict
from rich import box
from rich.console import Console
from rich.table import Table

from nodulax import NOTICE, train
from nodulax.checkpoints import checkpoint
from nodulax.distributed import compiling, hosts
from nodulax.errors import NodulaxError
from nodulax.phantom.hospitals.writing import TRUTH
from nodulax.report import write_report
from nodulax.study.plan import Run, check, runs, sources, write_description
from nodulax.study.true_labels import score_against_truth
from nodulax.training import workdir


class StudyError(NodulaxError):
  """A part of the study failed; the message names the command."""


def run(config: ConfigDict, folder: epath.PathLike) -> None:
  """Runs a study, or resumes it without repeating what is finished.

  Args:
    config: as `configs/study.py` describes it.
    folder: the workdir; holds raw/, shards/, cache/, a folder for each run, and report/ afterwards.

  Raises:
    ValueError: an option is invalid, or there are fewer radiographs than a run needs.
    StudyError: a command of the preparation failed.
    Interrupted, and whatever else `train` raises.
  """
  check(config)
  folder = workdir.claim(folder, config, write=hosts.is_first())
  shards = {name: prepare(config, folder, name) for name in sources(config)}
  hosts.wait('shards')
  planned = runs(config, folder, shards)
  for this in planned:
    train.training_split(this.config)  # refuses too few radiographs before days of training
  if hosts.is_first():
    write_description(folder, planned, config)
  for number, this in enumerate(planned, 1):
    hosts.tell(f'Run {number} of {len(planned)}: {this.name}')
    train.train(this.config, folder / this.name)
    score_against_true_labels(folder, this)
    compiling.forget()
  if not hosts.is_first():
    return
  page = report(folder)
  print_results(folder, config.order)
  print(f'Report: {page}')


def prepare(config: ConfigDict, folder: epath.Path, name: str) -> str:
  """Returns the folder of a source's shards, building them first if the config names none.

  Raises:
    StudyError: a command failed.
  """
  if config.data.shards[name]:
    return config.data.shards[name]
  source = config.sources[name]
  built = folder / 'shards' / name
  done = built / 'built.json'
  if hosts.is_first() and not done.exists():
    raw = source.raw or _simulate(source, folder / 'raw' / name)
    options = [
      f'--{option}' if value is True else f'--{option}={value}'
      for option, value in source.options.items()
      if value is not False
    ]
    with tempfile.TemporaryDirectory() as private:
      if not source.raw:
        options.insert(0, f'--hash_key={_public_key(pathlib.Path(private))}')
      _command(
        'tfds_builders',
        'build',
        source.builder,
        f'--manual_dir={raw}',
        f'--data_dir={built}',
        *options,
      )
    done.write_text(json.dumps(source.to_dict()))
  truth, kept = folder / 'raw' / name / TRUTH, built / TRUTH
  if hosts.is_first() and truth.exists() and not kept.exists():  # raw/ stays on this machine
    truth.copy(kept)
  return str(built / source.builder)


def _simulate(source: ConfigDict, raw: epath.Path) -> epath.Path:
  _command(
    'nodulax.phantom',
    source.hospital,
    f'--output={raw}',
    f'--images={source.images}',
    f'--image_size={source.image_size}',
    f'--seed={source.seed}',
    *(['--masses_only'] if source.masses_only else []),
  )
  return raw


def _public_key(folder: pathlib.Path) -> pathlib.Path:
  """A public key: simulated radiographs show no one, and the order of shards depends on it."""
  key = folder / 'hash.key'
  key.touch(mode=0o600)
  key.write_bytes(b'nodulax: nobody is in this image')
  return key


def score_against_true_labels(folder: epath.Path, this: Run) -> None:
  """Also scores simulated sets with deliberately wrong labels against the right labels."""
  for source in this.config.data.evaluate:
    truth = folder / 'shards' / source / TRUTH
    evaluations = folder / this.name / 'evaluation'
    if not hosts.first_says(truth.exists() and not (evaluations / f'{source}_true').exists()):
      continue
    thresholds = checkpoint.describe(folder / this.name).thresholds  # read on all hosts together
    if hosts.is_first():
      score_against_truth(
        pathlib.Path(evaluations / source),
        thresholds,
        pathlib.Path(truth),
        pathlib.Path(evaluations / f'{source}_true'),
      )
    hosts.wait(f'{this.name} against the truth of {source}')


def report(folder: epath.Path) -> epath.Path:
  """Returns the page of the report, written again if an evaluation is newer."""
  page = folder / 'report' / 'index.html'
  evaluations = folder.glob('*/evaluation/*/metrics.json')
  if page.exists() and all(page.stat().mtime >= path.stat().mtime for path in evaluations):
    return page
  return epath.Path(write_report(folder))


def print_results(folder: epath.PathLike, order: tuple[str, ...]) -> None:
  """Prints Table 2, every experiment on every set, and where the results are.

  Args:
    folder: the workdir.
    order: the experiments' folders in it; '.' if the workdir is that of a single experiment.
  """
  table = Table(title='Table 2', title_justify='left', caption=NOTICE)
  # Narrow enough for 80 columns.
  table.box, table.pad_edge, table.collapse_padding = box.SIMPLE, False, True
  for column in ('test set', 'experiment', 'images', 'AUC (95 %)', 'sens.', 'spec.', 'Dice'):
    table.add_column(column, no_wrap=True)
  evaluated: dict[str, list[dict]] = {}
  for name in order:
    for path in sorted((epath.Path(folder) / name / 'evaluation').glob('*/metrics.json')):
      evaluated.setdefault(path.parent.name, []).append(json.loads(path.read_text()))
  for test_set, of_set in evaluated.items():
    for metrics in of_set:
      table.add_row(
        test_set,
        metrics['run'],
        str(metrics['images']),
        _shown(metrics['auc'], interval=True),
        *(_shown(metrics[key]) for key in ('sensitivity', 'specificity', 'dice')),
        end_section=metrics is of_set[-1],
      )
  console = Console()
  console.print(table)
  console.print(
    f'Predictions, metrics.json and overlays: {folder}/EXPERIMENT/evaluation/SET/\n'
    f'Curves and pictures: tensorboard --logdir={folder}',
    highlight=False,
    soft_wrap=True,
  )


def _shown(estimate: dict[str, float | None] | None, interval: bool = False) -> str:
  if estimate is None or estimate['value'] is None:
    return '-'
  if not interval or estimate['low'] is None:
    return f'{estimate["value"]:.2f}'
  return f'{estimate["value"]:.2f} ({estimate["low"]:.2f}-{estimate["high"]:.2f})'


def _command(module: str, *arguments: str) -> None:
  """Runs one of the project's commands as a user would, with its output on the terminal."""
  finished = subprocess.run([sys.executable, '-m', module, *arguments], check=False)
  if finished.returncode:
    raise StudyError(f'this command failed: python -m {module} {" ".join(arguments)}')
