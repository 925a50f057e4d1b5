"""One training of the study of wrong labels."""

import dataclasses
from collections.abc import Mapping
from typing import Any

# Baselines of all other lines.
RIGHT = 'all labels right'
AS_LABELLED, ALL_READ = 'as labelled', 'all read again'


@dataclasses.dataclass(frozen=True)
class Training:
  """What one network of the study learns from, and where its result is drawn.

  Attributes:
    line: the line of a figure that it belongs to: a way of choosing, a loss, a kind of noise, or
      one of the baselines above.
    amount: radiographs read again, or a rate of noise; 0 for neither.
    changes: the options that differ from the study's, by dotted name.
    wrong: share of the training labels that are wrong, if counted.
  """

  line: str
  amount: float
  changes: Mapping[str, Any]
  wrong: float | None = None

  @property
  def name(self) -> str:
    amount = f' {self.amount:g}' if self.amount else ''
    return f'{self.line}{amount}'.replace(' ', '_')
