"""Reads spoilt files in a process of its own, which is watched: for time, memory and writes."""

import dataclasses
import multiprocessing
import os
import pathlib
import resource
import sys
import tempfile
import time
import traceback
import warnings
import zlib

import numpy as np

from tests.fuzz.subject import Files, spoilt, write
from tests.fuzz.subjects import SUBJECTS

COLUMNS = (
  'inputs', 'refused', 'read', 'tracebacks', 'hangs', 'crashes', 'memory', 'writes',
  'slowest, ms', 'most memory, MiB',
)  # fmt: skip
KINDS = COLUMNS[3:8]
# What a process that only reads has no business with (docs.python.org/3/library/audit_events).
_FORBIDDEN = (
  'os.chmod', 'os.chown', 'os.exec', 'os.fork', 'os.forkpty', 'os.kill', 'os.link', 'os.mkdir',
  'os.posix_spawn', 'os.putenv', 'os.remove', 'os.rename', 'os.rmdir', 'os.spawn', 'os.symlink',
  'os.system', 'os.truncate', 'pickle.find_class', 'pty.spawn', 'shutil.copyfile', 'shutil.move',
  'shutil.rmtree', 'socket.connect', 'subprocess.Popen',
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclasses.dataclass(frozen=True)
class Fault:
  """An input that a reader did not take as it should."""

  number: int
  kind: str  # one of KINDS
  what: str


@dataclasses.dataclass
class Outcome:
  """What came of a reader's inputs."""

  refused: int = 0
  read: int = 0
  faults: list[Fault] = dataclasses.field(default_factory=list)
  slowest: float = 0.0  # seconds
  memory: float = 0.0  # MiB beyond what the process had before

  def row(self) -> list[str]:
    counts = [sum(fault.kind == kind for fault in self.faults) for kind in KINDS]
    total = self.refused + self.read + len(self.faults)
    numbers = (total, self.refused, self.read, *counts, 1000 * self.slowest, self.memory)
    return [f'{number:,.0f}' for number in numbers]


class OutsideError(BaseException):
  """A reader did what no reader may; no `except Exception` catches it."""


class Guard:
  """Raises OutsideError where the process, while `armed`, does more than read."""

  def __init__(self) -> None:
    self.armed = False
    sys.addaudithook(self._hook)

  def _hook(self, event: str, arguments: tuple) -> None:
    if not self.armed:
      return
    if event == 'open':
      path, mode, flags = arguments
      writes = flags & _WRITING if mode is None else set(mode) & set('wax+')
      if writes and path not in ('/dev/null',) and not isinstance(path, int):
        raise OutsideError(f'opens {path} for writing')
    elif event in _FORBIDDEN:
      raise OutsideError(f'{event} {arguments}')


class Reader:
  """One subject, ready to read its inputs in this process."""

  def __init__(
    self,
    name: str,
    seed: int,
    box: pathlib.Path,
    guard: Guard | None = None,
    valid: list[Files] | None = None,
  ):
    self.subject = SUBJECTS[name]
    self._seed = (seed, zlib.crc32(name.encode()))
    self._valid = self.subject.valid() if valid is None else valid
    self._refusals = self.subject.refusals()
    self.folder = box / 'input'
    self._box = box
    self.guard = guard or Guard()
    (box / 'beside.txt').write_text('stays as it is')
    for files in self._valid[:1]:  # the libraries are imported, and make their caches
      write(files, self.folder)
      self.subject.read(self.folder)

  def make(self, number: int) -> Files:
    return spoilt(self.subject, self._valid, np.random.default_rng((*self._seed, number)))

  def read(self, number: int) -> str:
    """'read' or 'refused'; whatever else happens is raised."""
    files = self.make(number)
    write(files, self.folder)
    self.guard.armed = True
    try:
      with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        self.subject.read(self.folder)
      result = 'read'
    except self._refusals as error:
      assert str(error).strip(), 'the error says nothing'
      result = 'refused'
    finally:
      self.guard.armed = False
    there = {
      str(path.relative_to(self._box)) for path in self._box.rglob('*') if path.is_file()
    } - {f'input/{name}' for name in files}
    if there != {'beside.txt'}:
      raise OutsideError(f'there are new files: {sorted(there)}')
    return result


def fuzz(name: str, seed: int, inputs: int, keep: pathlib.Path | None) -> Outcome:
  """Reads the inputs 0 to `inputs` of a subject, in processes that may end at any of them."""
  outcome = Outcome()
  valid = SUBJECTS[name].valid()  # once: Orbax names its files by chance
  number = 0
  while number < inputs:
    number = _watch(name, seed, valid, number, inputs, outcome)
  if keep and outcome.faults:
    with tempfile.TemporaryDirectory() as box:
      reader = Reader(name, seed, pathlib.Path(box), valid=valid)
      for fault in outcome.faults:
        write(reader.make(fault.number), keep / name.replace(' ', '_') / str(fault.number))
  return outcome


def _watch(
  name: str, seed: int, valid: list[Files], start: int, stop: int, outcome: Outcome
) -> int:
  """Starts a process at an input, and returns at which one to go on."""
  limit = SUBJECTS[name].seconds
  context = multiprocessing.get_context('spawn')
  ours, theirs = context.Pipe(duplex=False)
  arguments = (name, seed, valid, start, stop, theirs)
  process = context.Process(target=_work, args=arguments, daemon=True)
  process.start()
  theirs.close()
  number, ready, patience = start, False, 300.0  # to import everything
  while True:
    if not ours.poll(patience):
      process.kill()
      process.join()
      outcome.faults.append(Fault(number, 'hangs', f'more than {limit:g} s'))
      return number + 1
    try:
      message = ours.recv()
    except EOFError:
      process.join()
      if not ready:
        raise RuntimeError(f'{name}: the process ended before it had read anything') from None
      if number < stop:
        outcome.faults.append(Fault(number, 'crashes', f'exit status {process.exitcode}'))
      return number + 1
    if message is None:
      process.join()
      return stop
    result, what, seconds, megabytes = message
    patience = limit
    if result == 'ready':
      ready = True
      continue
    if result == 'unfit':
      raise RuntimeError(f'{name}: the valid files are not read: {what}')
    outcome.slowest = max(outcome.slowest, seconds)
    outcome.memory = max(outcome.memory, megabytes)
    if result in ('read', 'refused'):
      setattr(outcome, result, getattr(outcome, result) + 1)
    else:
      outcome.faults.append(Fault(number, result, what))
    number += 1
    if megabytes > SUBJECTS[name].megabytes:
      if result in ('read', 'refused'):
        setattr(outcome, result, getattr(outcome, result) - 1)
        outcome.faults.append(Fault(number - 1, 'memory', f'{megabytes:.0f} MiB'))
      process.join()
      return number


def _work(name: str, seed: int, valid: list[Files], start: int, stop: int, pipe) -> None:
  """Runs in the watched process: sends (result, what, seconds, MiB) for every input."""
  with tempfile.TemporaryDirectory() as box:
    os.chdir(box)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
      reader = Reader(name, seed, pathlib.Path(box), valid=valid)
    except BaseException:
      pipe.send(('unfit', traceback.format_exc(), 0.0, 0.0))
      return
    before = _peak()
    # Enough for every right answer; keeps the machine alive where a reader takes all it can.
    bound = _address_space() + (8 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    pipe.send(('ready', '', 0.0, 0.0))
    for number in range(start, stop):
      began = time.perf_counter()
      what = ''
      try:
        result = reader.read(number)
      except OutsideError as error:
        result, what = 'writes', str(error)
      except BaseException as error:
        result = 'memory' if isinstance(error, MemoryError) else 'tracebacks'
        where = traceback.extract_tb(error.__traceback__)[-1]
        what = f'{type(error).__name__}: {error} ({where.filename}:{where.lineno})'[:600]
      taken = _peak() - before
      pipe.send((result, what, time.perf_counter() - began, taken))
      if taken > SUBJECTS[name].megabytes:
        return  # the peak of a process never falls again
    pipe.send(None)


def _peak() -> float:
  """The most memory that this process has had so far, in MiB."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _address_space() -> int:
  return int(pathlib.Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()


def reproduce(name: str, seed: int, number: int, keep: pathlib.Path) -> None:
  """Reads one input in this process, with its traceback, and keeps its files."""
  with tempfile.TemporaryDirectory() as box:
    reader = Reader(name, seed, pathlib.Path(box))
    write(reader.make(number), keep / 'input')
    print(f'{name} {number}: {keep / "input"}')
    print(reader.read(number))
