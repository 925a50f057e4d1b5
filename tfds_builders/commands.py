"""The commands cohort, validate and build."""

import argparse
import contextlib
import dataclasses
import importlib
import json
import pathlib
import sys
import tempfile
import typing
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from rich.console import Console

from nodulax.errors import NodulaxError
from tfds_builders.base import Options, RadiographBuilder
from tfds_builders.cohort import MISSING, Cohort
from tfds_builders.cohort_table import cohort_json, print_cohort
from tfds_builders.records import Fault, SourceError
from tfds_builders.schema import NOTICE
from tfds_builders.validation import list_faults, validate
from tfds_builders.validation_report import write_report

SOURCES = ('nih_chestxray14', 'aihub_nodule', 'gmc_nodule', 'vindr_cxr', 'node21')

_DESCRIPTION = """\
Builds radiograph shards from raw downloads.

  cohort    reads only the tables, and prints who would be in the study beside the paper's numbers
  validate  checks every image, mask and box, and reports all faults at once
  build     validates, then writes shards; builds nothing that validate refuses
"""

_EPILOG = """\
examples:
  python -m tfds_builders cohort nih_chestxray14 --manual_dir=downloads/nih
  python -m tfds_builders build nih_chestxray14 --manual_dir=downloads/nih --data_dir=shards
  python -m tfds_builders build gmc_nodule --help
"""


def main(arguments: Sequence[str]) -> int:
  """Runs one command, and returns the exit status."""
  parsed = _parse(arguments)
  try:
    parsed.options = _options(parsed, builder_of(parsed.source))
    return parsed.run(parsed)
  except NodulaxError as error:
    print(f'{parsed.source}: {error}', file=sys.stderr)
    return 1
  except KeyboardInterrupt:
    print('interrupted; nothing half built is left', file=sys.stderr)
    return 130


def builder_of(source: str) -> type[RadiographBuilder]:
  """The builder class of a source."""
  return importlib.import_module(f'tfds_builders.{source}.{source}_dataset_builder').Builder


def _cohort(parsed: argparse.Namespace) -> int:
  builder = builder_of(parsed.source)
  cohort = builder.cohort(parsed.manual_dir, parsed.options)
  # In a partial download most images are missing, but its tables can still be read.
  faults = [fault for fault in cohort.faults if fault.kind != MISSING]
  missing = len(cohort.faults) - len(faults)
  if parsed.json:
    numbers = cohort_json(cohort, parsed.source, builder.PAPER)
    numbers |= {'faults': [fault.to_json() for fault in faults], 'missing': missing}
    print(json.dumps(numbers, indent=2))
  else:
    print_cohort(cohort, parsed.source, builder.PAPER, Console())
    if missing:
      print(f'{missing:,} images of the cohort are missing; the command validate says which')
    _print_faults(faults, 'faults of the tables', cohort)
  return 1 if faults else 0


def _print_faults(faults: Sequence[Fault], title: str, cohort: Cohort) -> None:
  listed = cohort.table.with_files(list_faults(faults))
  print(f'{len(faults):,} {title}\n{listed}'.rstrip())


def _validate(parsed: argparse.Namespace) -> int:
  builder = builder_of(parsed.source)
  cohort = builder.cohort(parsed.manual_dir, parsed.options)
  output = parsed.output or pathlib.Path(f'validation-{parsed.source}')
  with _naming('output'):
    output.mkdir(parents=True, exist_ok=True)  # before hours of inspection
  validation = validate(cohort, processes=parsed.options.processes)
  with _naming('output'):
    write_report(output, cohort, validation, parsed.source, builder.PAPER)
  print_cohort(cohort, parsed.source, builder.PAPER, Console())
  _print_faults(validation.faults, 'faults', cohort)
  _print_faults(validation.suspects, 'suspects', cohort)
  print(f'{output / "validation.html"}\n{output / "validation.json"}')
  return 1 if validation.faults else 0


def _build(parsed: argparse.Namespace) -> int:
  import tensorflow_datasets.public_api as tfds

  with _naming('data_dir'):
    parsed.data_dir.mkdir(parents=True, exist_ok=True)
  builder = builder_of(parsed.source)(data_dir=parsed.data_dir, config=parsed.options)
  if builder.is_prepared():
    print('Built before; remove the folder to build it again:')
  else:
    # TFDS makes a folder for downloads, although nothing is downloaded.
    with tempfile.TemporaryDirectory() as downloads, _naming('data_dir'):
      try:
        builder.download_and_prepare(
          download_dir=downloads,
          download_config=tfds.download.DownloadConfig(manual_dir=parsed.manual_dir),
        )
      finally:
        _remove_empty(pathlib.Path(builder.data_dir).parent, parsed.data_dir)
  print(builder.data_dir)
  return 0


@contextlib.contextmanager
def _naming(option: str) -> Iterator[None]:
  """Turns a system error about a folder into an error that names the option."""
  try:
    yield
  except OSError as error:
    raise SourceError(f'--{option}: {error.strerror}: {error.filename}') from error


def _remove_empty(folder: pathlib.Path, top: pathlib.Path) -> None:
  """Removes empty folders, from `folder` up to but not including `top`."""
  while folder != top and folder.is_dir() and not any(folder.iterdir()):
    folder.rmdir()
    folder = folder.parent


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
  parser = argparse.ArgumentParser(
    prog='python -m tfds_builders',
    description=_DESCRIPTION,
    epilog=_EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  commands = parser.add_subparsers(metavar='COMMAND', required=True)
  for name, run, explanation in (
    ('cohort', _cohort, 'show who would be in the study, using only the tables'),
    ('validate', _validate, 'check every image, mask and box, and report all faults at once'),
    ('build', _build, 'validate, then write shards'),
  ):
    command = commands.add_parser(name, help=explanation, description=explanation)
    sources = command.add_subparsers(metavar='SOURCE', dest='source', required=True)
    for source in SOURCES:
      builder = builder_of(source)
      of_source = sources.add_parser(
        source,
        help=(builder.__doc__ or '').splitlines()[0],
        description=f'{builder.__doc__}\n{builder.MANUAL_DOWNLOAD_INSTRUCTIONS.rstrip()}',
        epilog=_example(name, builder),
        formatter_class=argparse.RawDescriptionHelpFormatter,
      )
      of_source.set_defaults(run=run)
      of_source.add_argument(
        '--manual_dir', type=_folder, required=True, help='folder of the download'
      )
      if name == 'cohort':
        of_source.add_argument('--json', action='store_true', help='print JSON')
      if name == 'validate':
        of_source.add_argument(
          '--output',
          type=pathlib.Path,
          help=f'folder of the report (default: validation-{source})',
        )
      if name == 'build':
        of_source.add_argument(
          '--data_dir', type=pathlib.Path, required=True, help='folder to write data sets to'
        )
      _add_options(of_source, builder)
  return parser.parse_args(arguments)


def _example(command: str, builder: type[RadiographBuilder]) -> str:
  """Example command lines: a plain one, and one with the source's own options."""
  begin = f'python -m tfds_builders {command} {builder.name} --manual_dir=DOWNLOAD'
  begin += {'cohort': '', 'validate': ' --output=REPORT', 'build': ' --data_dir=SHARDS'}[command]
  return f'examples:\n  {begin}\n  {begin} {builder.EXAMPLE}\n\n{NOTICE}'


def _folder(text: str) -> pathlib.Path:
  folder = pathlib.Path(text).expanduser()
  if not folder.is_dir():
    raise argparse.ArgumentTypeError(f'there is no folder {text}')
  return folder


def _fields(builder: type[RadiographBuilder]) -> list[dataclasses.Field]:
  return builder.BUILDER_CONFIGS[0].explained_fields()


def _add_options(parser: argparse.ArgumentParser, builder: type[RadiographBuilder]) -> None:
  configs = [config.name for config in builder.BUILDER_CONFIGS]
  parser.add_argument(
    '--config', choices=configs, default=configs[0], help='named options (default: %(default)s)'
  )
  for field in _fields(builder):
    explanation = field.metadata['explanation']
    if field.type is bool:
      kind: dict[str, Any] = {'action': 'store_true', 'default': None}
    elif typing.get_origin(field.type) is Literal:
      kind = {'choices': typing.get_args(field.type)}
    else:
      kind = {'type': field.type, 'metavar': field.name.upper()}
    parser.add_argument(f'--{field.name}', help=explanation.replace('%', '%%'), **kind)


def _options(parsed: argparse.Namespace, builder: type[RadiographBuilder]) -> Options:
  """The named options with the changes from the command line, and a name that reflects them."""
  named = builder.builder_configs[parsed.config]
  given = {field.name: getattr(parsed, field.name) for field in _fields(builder)}
  options = dataclasses.replace(
    named, **{name: value for name, value in given.items() if value is not None}
  )
  options.name = '-'.join([named.name, *options.differences(named)])
  return options
