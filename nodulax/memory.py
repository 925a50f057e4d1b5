"""How the process takes its memory from the system."""

import ctypes
import mmap
import os
import sys
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # of malloc.h, mallopt(3)
_SMALL = 2**30  # bytes


def keep_freed() -> None:
  """Makes glibc keep freed memory for the process, in large pages; does nothing elsewhere.

  On a CPU XLA allocates a network's memory again in every call: half a million pages per training
  step, which the kernel would clear one by one. The memory itself is only taken when it is used.
  """
  if sys.platform != 'linux':
    return
  c_library: Any = ctypes.CDLL(None)
  if not hasattr(c_library, 'mallopt'):
    return
  c_library.mallopt(_M_MMAP_MAX, 0)
  c_library.mallopt(_M_TRIM_THRESHOLD, -1)
  c_library.mallopt(_M_ARENA_MAX, 1)
  page = mmap.PAGESIZE
  size = os.sysconf('SC_PHYS_PAGES') // 2 * page
  c_library.malloc.restype = ctypes.c_void_p
  c_library.malloc.argtypes = [ctypes.c_size_t]
  c_library.free.argtypes = [ctypes.c_void_p]
  c_library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
  # All later allocations lie where this one was.
  if start := c_library.malloc(size):
    first = -(-start // page) * page
    c_library.madvise(first, (start + size - first) // page * page, mmap.MADV_HUGEPAGE)
    c_library.free(start)
    # What is smaller than a step goes here. Elsewhere it would settle where the last step's memory
    # was, and the next step, which no longer fits there, would take as much again.
    small = c_library.malloc(min(_SMALL, size // 4))
    c_library.malloc(_SMALL // 2**9)  # is never freed, and so keeps the two apart
    c_library.free(small)
