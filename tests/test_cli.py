"""How commands are found, read their arguments, and end."""

import os
import pathlib
import subprocess
import sys
import types

import pytest

from configs import demo
from nodulax import cli
from nodulax.errors import NodulaxError, OptionError

ROOT = pathlib.Path(__file__).parents[1]


def nodulax(*arguments: str, cwd: pathlib.Path = ROOT) -> subprocess.CompletedProcess:
  return subprocess.run(
    [sys.executable, '-m', 'nodulax', *arguments],
    cwd=cwd,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
    capture_output=True,
    text=True,
  )


def test_help_names_every_command_and_ends_well():
  finished = nodulax('--help')
  assert finished.returncode == 0
  assert all(f'\n  {name} ' in finished.stdout for name in (*cli.COMMANDS, *cli.OTHERS))
  assert 'Not a medical device' in finished.stdout


@pytest.mark.parametrize('name', [*cli.COMMANDS, *cli.OTHERS])
def test_every_command_has_help(name, tmp_path):
  finished = nodulax(name, '--help', cwd=tmp_path)
  assert finished.returncode == 0 and 'options:' in finished.stdout and not finished.stderr


def command(main, monkeypatch) -> None:
  """Makes `main` a command."""
  module = types.ModuleType('tests.no_file', 'Does something.')
  module.add_arguments = lambda parser: parser.add_argument('--flag')
  module.main = main
  monkeypatch.setitem(sys.modules, 'tests.no_file', module)
  monkeypatch.setitem(cli.COMMANDS, 'something', cli.Command('tests.no_file', ''))


def end(arguments=()) -> object:
  with pytest.raises(SystemExit) as ended:
    cli.run('something', arguments)
  return ended.value.code


def test_what_a_user_can_mend_is_one_line(monkeypatch):
  def main(given):
    raise {'a': NodulaxError('a.png: mend it'), 'b': OSError(2, 'No such file', 'b')}[given.flag]

  command(main, monkeypatch)
  assert end(['--flag=a']) == 'nodulax: a.png: mend it'
  assert end(['--flag=b']) == "nodulax: [Errno 2] No such file: 'b'"


def test_a_fault_of_ours_is_said_to_be_one_and_its_traceback_kept(monkeypatch, capsys):
  def main(given):
    raise ValueError('operands could not be broadcast together')

  command(main, monkeypatch)
  assert end() == cli.FAULT_STATUS
  said = capsys.readouterr().err
  assert said.count('\n') == 1 and 'a fault of nodulax (ValueError), not of your data' in said
  path = pathlib.Path(said.split(' with ')[1].split(',')[0])
  assert 'could not be broadcast' in path.read_text()
  path.unlink()


@pytest.mark.skipif(sys.platform != 'linux', reason='of Linux and glibc')
def test_a_command_takes_no_memory_before_it_needs_it_and_clears_it_once():
  code = """
import mmap
import pathlib
import resource
import numpy as np
from nodulax import memory

memory.keep_freed()
taken = int(pathlib.Path('/proc/self/statm').read_text().split()[1]) * mmap.PAGESIZE
np.ones(10**7)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(9):
  np.ones(10**7)
print(taken, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
  printed = subprocess.run(
    [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
  ).stdout
  taken, cleared = map(int, printed.split())
  assert taken < 2e8
  assert cleared < 1000  # of 9 x 19,531 pages


@pytest.mark.skipif(sys.platform != 'linux', reason='of Linux and glibc')
def test_small_allocations_do_not_make_a_step_take_its_memory_twice():
  code = """
import numpy as np
from nodulax import memory

memory.keep_freed()
kept, places = [], set()
for _ in range(5):
  step = np.empty(2 * 10**8)  # 1.6 GB, which are not touched
  places.add(step.ctypes.data)
  kept.append(np.empty(10**6))  # beside it, and then in its place
  del step
  kept.append(np.empty(10**6))
print(len(places))
"""
  printed = subprocess.run(
    [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
  ).stdout
  assert int(printed) == 1


def test_how_commands_end(monkeypatch, capsys):
  def main(given):
    if given.flag:
      raise KeyboardInterrupt

  command(main, monkeypatch)
  assert end() == 0
  assert end(['--flag=x']) == 130
  assert end(['--flga=x']) == 2
  assert 'unexpected argument: --flga=x; did you mean --flag?' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['demo', 'configs/demo.py', str(ROOT / 'configs' / 'demo.py')])
def test_a_config_is_found_by_name_and_by_path(name, monkeypatch):
  monkeypatch.chdir(ROOT)
  config, others = cli.read_config(name, ['--config.train.epochs=3', '--workdir=x'])
  assert config.train.epochs == 3 and others == ['--workdir=x']
  assert config.order == demo.get_config().order


def test_a_config_may_have_a_part_and_lists():
  config, _ = cli.read_config('virtual_study:models', ['--config.seeds=(4,5)'])
  assert config.seeds == (4, 5) and not config.sweeps


@pytest.mark.parametrize(
  ('name', 'change', 'says'),
  [
    ('dmo', '', 'dmo: there is no such file; the bundled configs are .*demo'),
    ('../etc/passwd', '', 'there is no such file'),
    ('mine/demo.py', '', 'mine/demo.py: there is no such file'),
    ('demo', '--config.trian.epochs=3', 'Did you mean "train"'),
    ('demo', '--config.train.epochs=abc', 'train.epochs=abc: invalid literal'),
    ('demo', '--config.train=3', 'demo: '),
  ],
)
def test_a_config_or_option_that_there_is_not_is_one_line(name, change, says):
  with pytest.raises(OptionError, match=says) as error:
    cli.read_config(name, [change] if change else [])
  assert '\n' not in str(error.value)


def test_a_config_that_fails_is_told(tmp_path):
  (tmp_path / 'mine.py').write_text('def get_config():\n  return 1 / 0\n')
  with pytest.raises(OptionError, match='mine.py: .*division by zero'):
    cli.read_config(str(tmp_path / 'mine.py'), [])
