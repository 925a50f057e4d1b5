"""What a trained network needs beside its weights; its checkpoint holds it as JSON."""

import dataclasses
from typing import Any, Self

from nodulax.checkpoints import typed_json
from nodulax.errors import NodulaxError
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.statistics.overlap import OverlapThreshold


@dataclasses.dataclass(frozen=True)
class Thresholds:
  """Frozen on the tune split.

  Attributes:
    probability: at or above it a radiograph is called positive (Youden).
    heat_map: at or above it a pixel is called nodule.
    tune_images: how many radiographs the probability threshold rests on.
    tune_auc: AUC on the tune split.
    temperature: by which logits are divided to calibrate the probability; None where the tune split
      tells none, and in checkpoints older than it.
  """

  probability: float
  heat_map: OverlapThreshold
  tune_images: int
  tune_auc: float
  temperature: float | None = None

  def __post_init__(self) -> None:
    if not (0 <= self.probability <= 1 and 0 <= self.heat_map.value <= 1):
      raise NodulaxError('the thresholds must lie in [0, 1]')
    if self.temperature is not None and not self.temperature > 0:
      raise NodulaxError('the temperature must be above 0')


@dataclasses.dataclass(frozen=True)
class Description:
  """What a trained network needs beside its weights.

  Attributes:
    name: of the run.
    model: keyword arguments of `build_network`.
    preprocessing: of every image it ever sees.
    thresholds: frozen on the tune split.
    step: training steps behind it.
    weights_sha256: `checkpoint.digest` of its weights; '' in checkpoints older than it.
  """

  name: str
  model: dict[str, Any]
  preprocessing: Preprocessing
  thresholds: Thresholds
  step: int
  weights_sha256: str = ''

  @classmethod
  def from_json(cls, values: Any) -> Self:
    """The inverse of `dataclasses.asdict` after a trip through JSON.

    Raises:
      ValueError: something is missing, unknown, of another type or out of range.
    """
    return typed_json.construct(cls, values)
