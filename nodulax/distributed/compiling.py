"""Compiles a step before its first run: shows the elapsed time, and computes its need of memory."""

import math
import pathlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from nodulax.distributed import hosts

_NAME = 'compiling'  # of the thread
_SPARE = 0.05  # share of the free memory that a step must leave to everything else


def compile_ahead(function: Any, *arguments: Any, what: str) -> Any:
  """The compiled program of a function.

  Compiling takes a minute for a large network and cannot be interrupted, so it runs in a thread of
  its own: a signal that comes meanwhile is handled at once.

  Args:
    function: result of `jax.jit` or `parallel.map_devices`.
    arguments: its arguments or their shapes, with the leading axis of devices if it is mapped.
    what: name of what is compiled, for the progress that the first host shows.
  """
  outcome: dict[str, Any] = {}

  def work() -> None:
    try:
      outcome['program'] = function.lower(*arguments).compile()
    except BaseException as error:  # raised where the program is waited for
      outcome['error'] = error

  thread = threading.Thread(target=work, name=_NAME, daemon=True)
  columns = (SpinnerColumn(), TextColumn('{task.description}'), TimeElapsedColumn())
  console = Console()
  hidden = not (hosts.is_first() and console.is_terminal)  # a file would get an empty line
  with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
    progress.add_task(f'compiling {what}')
    thread.start()
    while thread.is_alive():
      thread.join(0.1)
  if 'error' in outcome:
    raise outcome['error']
  return outcome['program']


def forget() -> None:
  """Drops every compiled program that the process holds.

  Each training compiles programs of its own, about 0.1 GB for a tiny network, which JAX would keep
  to the end of the process.
  """
  jax.clear_caches()


def at_work() -> bool:
  """Whether a program that nobody waits for any more is still being compiled."""
  return any(thread.name == _NAME for thread in threading.enumerate())


def needed_bytes(program: Any, devices: Sequence[jax.Device]) -> float:
  """The memory that a compiled step takes on a device, or on the machine if the devices are CPUs.

  0 if the compiler does not report it.
  """
  analysis = program.memory_analysis()
  if analysis is None:
    return 0
  each = (
    analysis.argument_size_in_bytes
    + analysis.output_size_in_bytes
    - analysis.alias_size_in_bytes
    + analysis.temp_size_in_bytes
  )
  return each * (len(devices) if devices[0].platform == 'cpu' else 1)


def free_bytes(device: jax.Device) -> float:
  """The free memory of a device; for a CPU, what this process may take of the machine's.

  Infinite if neither the device nor the system reports it.
  """
  if device.platform == 'cpu':
    return _free_in_machine()
  stats = device.memory_stats() or {}
  if 'bytes_limit' not in stats:
    return math.inf
  return stats['bytes_limit'] - stats.get('bytes_in_use', 0)


def fits(needed: float, free: float) -> bool:
  """Whether a step that needs `needed` bytes leaves enough for everything else."""
  return needed <= free * (1 - _SPARE)


def seconds_a_call(program: Callable, *arguments: Any, calls: int = 2) -> float:
  """The shortest time of some calls of a compiled step on zeros, which it may take as donated.

  Args:
    program: compiled by `compile_ahead`.
    arguments: shapes of its arguments.
  """
  seconds = []
  for _ in range(calls):
    zeros = jax.tree.map(lambda shape: np.zeros(shape.shape, shape.dtype), arguments)
    start = time.perf_counter()
    jax.block_until_ready(program(*zeros))
    seconds.append(time.perf_counter() - start)
  return min(seconds)


def _free_in_machine() -> float:
  """What Linux can give without swapping, within the process's control group."""
  free = []
  try:
    lines = pathlib.Path('/proc/meminfo').read_text().splitlines()
    (available,) = (line.split()[1] for line in lines if line.startswith('MemAvailable:'))
    free.append(int(available) * 1024)
  except (OSError, ValueError):
    return math.inf
  group = pathlib.Path('/sys/fs/cgroup')
  for limit, used in (
    ('memory.max', 'memory.current'),
    ('memory/memory.limit_in_bytes', 'memory/memory.usage_in_bytes'),
  ):
    try:
      free.append(int((group / limit).read_text()) - int((group / used).read_text()))
    except (OSError, ValueError):  # no such group, or 'max'
      continue
  return min(free)
