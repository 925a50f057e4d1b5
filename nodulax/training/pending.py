"""The last step's numbers, which the devices may still be working on."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import optax

from nodulax.distributed import parallel
from nodulax.errors import NodulaxError
from nodulax.training.logbook import Logbook


class PendingMetrics:
  """The last step's numbers, fetched while the devices work on the next.

  Args:
    log: that takes them.
    learning_rate: of the optimizer, by the steps before.
    refuse: makes the error of numbers that are not finite, from step, radiographs and numbers.
  """

  def __init__(
    self,
    log: Logbook,
    learning_rate: optax.Schedule,
    refuse: Callable[[int, np.ndarray, dict[str, float]], NodulaxError],
  ):
    self._log, self._learning_rate, self._refuse = log, learning_rate, refuse
    self._last: tuple[int, np.ndarray, Any] | None = None

  def put(self, step: int, indices: np.ndarray, metrics: Any) -> None:
    self._last = step, indices, metrics

  def settle(self) -> None:
    """Logs the numbers; raises what `refuse` makes where one of a step taken is not finite."""
    if self._last is None:
      return
    (step, indices, metrics), self._last = self._last, None
    scalars = {name: float(value) for name, value in parallel.first(metrics).items()}
    finite = {name: value for name, value in scalars.items() if math.isfinite(value)}
    if len(finite) < len(scalars) and not scalars.get('skipped'):
      raise self._refuse(step, indices, scalars)
    finite.pop('skipped', None)
    self._log.train(step, {**finite, 'learning_rate': float(self._learning_rate(step - 1))})
