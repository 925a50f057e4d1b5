"""Several experiments in order, on shards that are built first where they are simulated."""

import json
import subprocess
import sys

from etils import epath
from ml_collections import ConfigDict
from rich.console import Console
from rich.table import Table

from nodulax import NOTICE, train, workdir
from nodulax.report import write_report


class StudyError(RuntimeError):
  """A part of the study failed; says which command."""


def run(config: ConfigDict, folder: epath.PathLike) -> None:
  """Runs a study, or goes on with it; what is finished is recognised and not done again.

  Args:
    config: `sources`, the hospitals to simulate and build (may be empty), and `experiments`, the
      config of each experiment in the order of `order`.
    folder: the workdir; holds raw/, shards/, cache/ and a folder for each experiment.

  Raises:
    StudyError: a command of the preparation failed.
    Interrupted, and whatever else `train` raises.
  """
  folder = workdir.claim(folder, config)
  shards = {name: prepare(config.sources[name], folder, name) for name in config.sources}
  for name in config.order:
    experiment = config.experiments[name].copy_and_resolve_references()
    experiment.data.cache_dir = str(folder / 'cache')
    experiment.data.shards.update(shards)
    if experiment.init.checkpoint in config.order:
      experiment.init.checkpoint = str(folder / experiment.init.checkpoint)
    train.train(experiment, folder / name)
  page = report(folder)
  print_results(folder, config.order)
  print(f'Report: {page}')


def prepare(source: ConfigDict, folder: epath.Path, name: str) -> str:
  """Simulates a virtual hospital's raw download and builds its shards; returns their folder."""
  raw, built = folder / 'raw' / name, folder / 'shards' / name
  done = built / 'built.json'
  if not done.exists():
    _command(
      'nodulax.phantom',
      source.hospital,
      f'--output={raw}',
      f'--images={source.images}',
      f'--image_size={source.image_size}',
      f'--seed={source.seed}',
      *(['--masses_only'] if source.masses_only else []),
    )
    options = [f'--{option}={value}' for option, value in source.options.items()]
    _command(
      'tfds_builders',
      'build',
      source.builder,
      f'--manual_dir={raw}',
      f'--data_dir={built}',
      *options,
    )
    done.write_text(json.dumps(source.to_dict()))
  return str(built / source.builder)


def report(folder: epath.Path) -> epath.Path:
  """The page of the report, written anew where an evaluation is younger than it."""
  page = folder / 'report' / 'index.html'
  evaluations = folder.glob('*/evaluation/*/metrics.json')
  if page.exists() and all(page.stat().mtime >= path.stat().mtime for path in evaluations):
    return page
  return epath.Path(write_report(folder))


def print_results(folder: epath.PathLike, order: tuple[str, ...]) -> None:
  """A table of every experiment on every set, and where everything lies.

  Args:
    folder: the workdir.
    order: the experiments' folders in it; '.' where the workdir is an experiment's own.
  """
  table = Table(caption=NOTICE)
  for column in ('experiment', 'test set', 'images', 'AUC (95 %)', 'sens.', 'spec.', 'Dice'):
    table.add_column(column, no_wrap=True)
  for name in order:
    evaluations = epath.Path(folder) / name / 'evaluation'
    for path in sorted(evaluations.glob('*/metrics.json')):
      metrics = json.loads(path.read_text())
      table.add_row(
        metrics['run'],
        path.parent.name,
        str(metrics['images']),
        _shown(metrics['auc'], interval=True),
        *(_shown(metrics[key]) for key in ('sensitivity', 'specificity', 'dice')),
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
  """Runs one of the project's commands as a user would, with its output on the screen."""
  finished = subprocess.run([sys.executable, '-m', module, *arguments], check=False)
  if finished.returncode:
    raise StudyError(f'this command failed: python -m {module} {" ".join(arguments)}')
