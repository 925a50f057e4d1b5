"""Compiling ahead: interruptible, and held against the memory there is."""

import signal
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nodulax.distributed import compiling, parallel
from nodulax.training.interruption import Interrupted, interruptible


def mapped(size):
  devices = parallel.devices(1)
  return parallel.map_devices(lambda x: jnp.sin(x @ x).sum(), devices), parallel.shapes(
    jax.ShapeDtypeStruct((size, size), jnp.float32), devices
  )


def test_a_compiled_step_gives_what_the_step_gives():
  step, shapes = mapped(8)
  program = compiling.compile_ahead(step, shapes, what='a product')
  x = np.arange(64, dtype=np.float32).reshape(1, 8, 8)
  np.testing.assert_array_equal(np.asarray(program(x)), np.asarray(step(x)))
  assert compiling.seconds_a_call(program, shapes) > 0


def test_progress_is_for_terminals(capfd):
  step, shapes = mapped(8)
  compiling.compile_ahead(step, shapes, what='a product')
  assert capfd.readouterr().out == ''


def test_the_need_holds_the_arguments_and_what_lies_between():
  step, shapes = mapped(1024)
  needed = compiling.needed_bytes(
    compiling.compile_ahead(step, shapes, what='a product'), parallel.devices(1)
  )
  matrix = 1024 * 1024 * 4
  assert 2 * matrix <= needed < 4 * matrix  # the argument and the product


def test_the_memory_of_the_machine_is_told_by_linux():
  free = compiling.free_bytes(jax.local_devices()[0])
  assert 2**24 < free < 2**45
  assert compiling.fits(95, 100) and not compiling.fits(96, 100)


def test_an_error_of_the_compiler_is_raised_where_it_is_waited_for():
  step, _ = mapped(8)
  not_square = jax.ShapeDtypeStruct((1, 8, 7), jnp.float32)
  with pytest.raises(TypeError):
    compiling.compile_ahead(step, not_square, what='nothing')


class Slow:
  """A program that takes half a minute to compile."""

  def lower(self, *_):
    time.sleep(30)
    raise AssertionError('nobody waits for this')


def test_a_signal_while_compiling_is_answered_at_once():
  began = time.monotonic()
  with interruptible(), pytest.raises(Interrupted):
    threading.Timer(0.3, signal.raise_signal, [signal.SIGTERM]).start()
    compiling.compile_ahead(Slow(), what='something large')
  assert time.monotonic() - began < 20
