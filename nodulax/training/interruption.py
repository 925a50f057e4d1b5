"""SIGINT and SIGTERM: a run leaves cleanly, and after a step with everything saved."""

import contextlib
import signal
from collections.abc import Iterator


class Interrupted(KeyboardInterrupt):
  """The user or the machine asked to stop; what was done is saved."""


class Interruption:
  """Whether a signal came. It raises `Interrupted` where it comes, except within `held`.

  Attributes:
    asked: whether one came.
  """

  def __init__(self) -> None:
    self.asked = False
    self._held = False

  @contextlib.contextmanager
  def held(self) -> Iterator[None]:
    """Within it, a signal sets `asked` and does nothing else; what was held comes at its end.

    A second SIGINT, of a user who will not wait, raises all the same.
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
  """Answers to SIGINT and SIGTERM until its end, in place of whoever did before."""
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
