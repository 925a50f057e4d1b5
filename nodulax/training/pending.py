"""The last step's metrics, which the devices may still be computing."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import optax

from nodulax.distributed import parallel
from nodulax.errors import NodulaxError
from nodulax.training.logbook import Logbook


class PendingMetrics:
  """The last step's metrics, fetched while the devices work on the next.

  Args:
    log: logbook to write to.
    learning_rate: the optimizer's schedule, as a function of the steps done.
    refuse: makes the error for metrics that are not finite, from step, radiographs and metrics.
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
    """Logs the metrics; raises the error of `refuse` if one is not finite in a step not skipped."""
    if self._last is None:
      return
    (step, indices, metrics), self._last = self._last, None
    scalars = {name: float(value) for name, value in parallel.first(metrics).items()}
    finite = {name: value for name, value in scalars.items() if math.isfinite(value)}
    if len(finite) < len(scalars) and not scalars.get('skipped'):
      raise self._refuse(step, indices, scalars)
    finite.pop('skipped', None)
    self._log.train(step, {**finite, 'learning_rate': float(self._learning_rate(step - 1))})
