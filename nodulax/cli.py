"""Runs the commands: `nodulax COMMAND ...`, and `python -m nodulax.MODULE ...` for each of them.

A command is a module with `add_arguments(parser)` and `main(given)`; its docstring is its help.
"""

import argparse
import contextlib
import difflib
import hashlib
import importlib
import importlib.util
import logging
import os
import pathlib
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from absl import flags

from nodulax import NOTICE, memory
from nodulax.errors import NodulaxError, OptionError
from nodulax.storage import folders
from nodulax.training.interruption import Interrupted


class Command(NamedTuple):
  """Where a command is, and what it does in a few words."""

  module: str
  help: str


COMMANDS = {
  'predict': Command('nodulax.predict', 'read radiographs: probabilities, findings, overlays'),
  'app': Command('nodulax.app.__main__', 'open a page on this machine to read radiographs with'),
  'train': Command('nodulax.main', 'train one network, or a study of several'),
  'evaluate': Command('nodulax.evaluate', 'score a trained network on a split of shards'),
  'report': Command('nodulax.report.__main__', 'write one page about all evaluations in a folder'),
  'labels': Command('nodulax.labels.__main__', 'find wrong labels, and correct figures for them'),
  'export': Command('nodulax.export', 'write a network and all it needs to run into one file'),
  'input': Command('nodulax.input.__main__', 'draw radiographs as the network sees them'),
  'pretrain': Command('nodulax.pretrain', 'train a network on implants, as the bundled one was'),
}
# The options of these depend on the source, which their first arguments name.
OTHERS = {
  'phantom': Command('nodulax.phantom.__main__', 'simulate a hospital, or implant nodules'),
  'cohort': Command('tfds_builders.commands', 'count what a data set would hold, from its tables'),
  'validate': Command('tfds_builders.commands', 'check every image and mask of a data set'),
  'build': Command('tfds_builders.commands', 'validate a data set and write its shards'),
}
FAULT_STATUS = 70  # EX_SOFTWARE of sysexits.h


class Parser(argparse.ArgumentParser):
  """A parser of a command's arguments, which may take a config and changes of it."""

  def __init__(self, prog: str, description: str | None = None):
    super().__init__(
      prog=prog,
      description=description,
      epilog=NOTICE,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
    )

  def add_config(self, default: str | None = None) -> None:
    """Adds --config, whose options --config.NAME=VALUE changes."""
    self.add_argument(
      '--config',
      default=default,
      required=default is None,
      metavar='FILE[:PART]',
      help='path of a config, or name of a bundled one, such as demo; '
      '--config.train.epochs=3 changes one of its options',
    )

  def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
    """Parses arguments; the value of --config is a ConfigDict.

    Raises:
      OptionError: the config cannot be read, or has no such option.
    """
    given, others = self.parse_known_args(arguments)
    if 'config' in given:
      given.config, others = read_config(given.config, others)
    if others:
      near = difflib.get_close_matches(others[0].split('=')[0], _option_names(self), 1)
      meant = f'; did you mean {near[0]}?' if near else ''
      self.error(f'unexpected argument: {others[0]}{meant}')
    return given


def _option_names(parser: argparse.ArgumentParser) -> list[str]:
  """The options of a parser and of its sub-commands."""
  names = [name for action in parser._actions for name in action.option_strings]
  for action in parser._actions:
    if isinstance(action.choices, Mapping):
      names += [name for own in action.choices.values() for name in _option_names(own)]
  return names


def read_config(name: str, changes: Sequence[str]) -> tuple[Any, list[str]]:
  """A config with changes made to it.

  Args:
    name: path of the file, or name of a bundled config; `:` and a part may follow.
    changes: arguments, of which --config.NAME=VALUE are applied to the config.

  Returns:
    The ConfigDict, and the arguments that are not for it.

  Raises:
    OptionError: there is no such file, it cannot be run, or has no such option.
  """
  # Slow to import, and needed by few commands.
  from ml_collections import config_flags

  file, colon, part = name.partition(':')
  path = pathlib.Path(file)
  if not path.is_file():
    folder = pathlib.Path(str(importlib.import_module('configs').__path__[0]))
    known = {config.stem: config for config in sorted(folder.glob('[a-z]*.py'))}
    # By name, or by path as in a checkout; another folder's file of that name is another config.
    if path.parent not in (pathlib.Path(), pathlib.Path('configs')) or path.stem not in known:
      raise OptionError(
        f'--config={name}: there is no such file; the bundled configs are {", ".join(known)}'
      )
    path = known[path.stem]
  values = flags.FlagValues()
  try:
    spec: Any = importlib.util.spec_from_file_location(f'config_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(part) if colon else module.get_config()
    argv = ['nodulax', *changes]
    config_flags.DEFINE_config_dict('config', config, flag_values=values, sys_argv=argv)
    others = values(argv, known_only=True)
    return values['config'].value, list(others[1:])
  except Exception as error:  # absl, ml_collections and the file itself raise almost anything
    message = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    raise OptionError(f'--config={name}: {" ".join(message.split())}') from None


def add_checkpoint(parser: argparse.ArgumentParser, *, exported: bool = False) -> None:
  """Adds --checkpoint, which names a trained network; with `exported`, also an exported one."""
  from nodulax.checkpoints import shipped  # imports Flax, which not every command needs

  parser.add_argument(
    '--checkpoint',
    default=shipped.NAME,
    metavar='RUN',
    help='workdir of a training run'
    + (', exported file, or hf://OWNER/NAME on the Hugging Face Hub' if exported else '')
    + ' (default: nodulax, the bundled network)',
  )


def at_least(least: int) -> Callable[[str], int]:
  """The type of an argument that is a whole number of at least `least`."""

  def number(text: str) -> int:
    value = int(text)
    if value < least:
      raise argparse.ArgumentTypeError(f'{value} must be at least {least}')
    return value

  number.__name__ = 'whole number'
  return number


def run(name: str, arguments: Sequence[str] | None = None, prog: str | None = None) -> NoReturn:
  """Runs a command, and ends the process.

  The exit status is 0 on success, 1 for an error that the user can fix, 2 for wrong arguments, 130
  after Ctrl-C, and 70 for a fault of nodulax.

  Args:
    name: key of `COMMANDS`.
    arguments: arguments of the command; by default those of the process.
    prog: name of the program in help.
  """
  # Forced, because a library may have set another format while a module was imported.
  logging.basicConfig(format='%(message)s', level=logging.WARNING, force=True)
  flags.FLAGS.mark_as_parsed()  # Grain's worker processes read them
  _keep_compiled()
  memory.keep_freed()
  try:
    module: Any = importlib.import_module(COMMANDS[name].module)
    parser = Parser(prog or f'nodulax {name}', module.__doc__)
    module.add_arguments(parser)
    module.main(parser.parse(sys.argv[1:] if arguments is None else arguments))
  except Interrupted as stopped:
    print(f'{stopped}; the same command resumes there', file=sys.stderr)
    _leave(1)
  except KeyboardInterrupt:
    print('nodulax: interrupted', file=sys.stderr)
    raise SystemExit(130) from None
  except (NodulaxError, OSError) as error:
    raise SystemExit(f'nodulax: {error}') from error
  except Exception as error:
    print(f'nodulax: {_report(error)}', file=sys.stderr)
    raise SystemExit(FAULT_STATUS) from error
  raise SystemExit(0)


def _leave(status: int) -> NoReturn:
  """Ends the process, at once if a program is still being compiled in it.

  Otherwise the compiler would crash while the interpreter shuts down.
  """
  compiling: Any = sys.modules.get('nodulax.distributed.compiling')
  if compiling and compiling.at_work():
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
  raise SystemExit(status)


def _keep_compiled() -> None:
  """Makes JAX cache compiled programs for a quick second start, unless its own variable is set."""
  if 'JAX_COMPILATION_CACHE_DIR' in os.environ:
    return
  # A program for another processor is useless: a home folder may be shared by several machines.
  with contextlib.suppress(OSError):
    info = pathlib.Path('/proc/cpuinfo').read_text().split('\n\n')[0]
    lines = [line for line in info.splitlines() if line.startswith(('model name', 'flags'))]
    kind = hashlib.sha256('\n'.join(lines).encode()).hexdigest()[:12]
    folder = folders.home() / 'compiled' / f'{platform.machine()}-{kind}'
    os.environ['JAX_COMPILATION_CACHE_DIR'] = str(folder)  # also for child processes
    if jax := sys.modules.get('jax'):
      jax.config.update('jax_compilation_cache_dir', str(folder))


def _report(error: Exception) -> str:
  """Writes the traceback to a file, and says where."""
  with tempfile.NamedTemporaryFile(
    'w', prefix='nodulax-fault-', suffix='.txt', delete=False
  ) as file:
    file.write(''.join(traceback.format_exception(error)))
  return (
    f'a fault of nodulax ({type(error).__name__}), not of your data or options; please report it '
    f'with {file.name}, after making sure that it names no patient'
  )


def main() -> NoReturn:
  """The command `nodulax`."""
  every = {**COMMANDS, **OTHERS}
  parser = argparse.ArgumentParser(
    prog='nodulax',
    description='Finds lung nodules on chest radiographs: training, evaluation and use.\n\n'
    'commands:\n' + '\n'.join(f'  {name:9} {command.help}' for name, command in every.items()),
    epilog=f'nodulax COMMAND --help describes one of them. {NOTICE}',
    formatter_class=argparse.RawDescriptionHelpFormatter,
    usage='nodulax COMMAND ...',
  )
  parser.add_argument('command', choices=every, metavar='COMMAND', help=argparse.SUPPRESS)
  name = parser.parse_args(sys.argv[1:2]).command
  if name in COMMANDS:
    run(name, sys.argv[2:])
  module: Any = importlib.import_module(OTHERS[name].module)
  own = sys.argv[2:] if name == 'phantom' else sys.argv[1:]
  raise SystemExit(module.main(own))
