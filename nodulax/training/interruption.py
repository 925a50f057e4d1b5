"""Handles SIGINT and SIGTERM: a run ends cleanly, after a step and with everything saved."""

import contextlib
import signal
from collections.abc import Iterator


class Interrupted(KeyboardInterrupt):
  """The user or the machine asked the run to stop; its progress is saved."""


class Interruption:
  """Records a signal, and raises `Interrupted` at once, except within `held`.

  Attributes:
    asked: whether a signal came.
  """

  def __init__(self) -> None:
    self.asked = False
    self._held = False

  @contextlib.contextmanager
  def held(self) -> Iterator[None]:
    """A signal within this block only sets `asked`; `Interrupted` is raised at the end.

    A second SIGINT, from a user who will not wait, raises it at once.
    """
    self._held = True
    try:
      yield
    finally:
      self._held = False
    if self.asked:
      raise Interrupted('stopped')

  def receive(self, number: int, _: object) -> None:
    again, self.asked = self.asked and number == signal.SIGINT, True
    if again or not self._held:
      raise Interrupted(f'stopped by {signal.Signals(number).name}')


@contextlib.contextmanager
def interruptible() -> Iterator[Interruption]:
  """Handles SIGINT and SIGTERM within this block, in place of the earlier handlers."""
  interruption = Interruption()
  before = {
    number: signal.signal(number, interruption.receive)
    for number in (signal.SIGINT, signal.SIGTERM)
  }
  try:
    yield interruption
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
