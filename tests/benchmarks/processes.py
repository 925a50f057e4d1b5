"""Commands in processes of their own, with the time that they take."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

HERE = pathlib.Path(__file__).parent


class Spent(NamedTuple):
  """Seconds of the clock and of the processor, and the most memory in GB, of a process.

  Processor time and memory include the processes that it started; memory is that of the largest.
  """

  wall: float
  processor: float
  gigabytes: float


def run(
  command: Sequence[str | os.PathLike], environment: Mapping[str, str] | None = None
) -> Spent:
  """What `python COMMAND...` takes; ends the program where it fails.

  A variable that `environment` gives as '' is not set.
  """
  variables = {**os.environ, **(environment or {})}
  with tempfile.TemporaryFile('w+') as errors:
    start = time.perf_counter()
    process = subprocess.Popen(
      [sys.executable, *map(str, command)],
      env={name: value for name, value in variables.items() if value},
      stdout=subprocess.DEVNULL,
      stderr=errors,
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
      errors.seek(0)
      raise SystemExit(f'{" ".join(map(str, command))[:200]}: {errors.read()[-2000:]}')
  return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6)
