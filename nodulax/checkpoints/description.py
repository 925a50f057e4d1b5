"""What a trained network needs beside its weights: the one schema of it.

Checkpoints, exported files, the bundled network, findings.json, the page and the DICOM
objects hold it, or parts of it, as JSON.
"""

import dataclasses
from typing import Any, Self

from nodulax.checkpoints import typed_json
from nodulax.errors import NodulaxError
from nodulax.radiograph import lungs, preprocessing
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
    specificity_90: at or above it a radiograph is called positive where 90 % of the normal tune
      radiographs shall be called negative; None in checkpoints older than it.
  """

  probability: float
  heat_map: OverlapThreshold
  tune_images: int
  tune_auc: float
  temperature: float | None = None
  specificity_90: float | None = None

  def __post_init__(self) -> None:
    if not 0 <= self.probability <= 1:
      raise NodulaxError(f'the probability threshold is {self.probability}; it must lie in [0, 1]')
    if self.specificity_90 is not None and not self.specificity_90 >= 0:
      raise NodulaxError(
        f'the threshold at 90 % specificity is {self.specificity_90}; it must be 0 or more'
      )
    if self.temperature is not None and not self.temperature > 0:
      raise NodulaxError(f'the temperature is {self.temperature}; it must be above 0')


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
    lung_network_sha256: of the lung network that found its crops; '' in older checkpoints.
    input_fingerprint: `input_fingerprint` of the program that trained it; '' likewise.
    seen: builder of a public set whose radiographs the weights that it started from were trained
      on, so that this set tests it less strictly; '' for none.
  """

  name: str
  model: dict[str, Any]
  preprocessing: Preprocessing
  thresholds: Thresholds
  step: int
  weights_sha256: str = ''
  lung_network_sha256: str = ''
  input_fingerprint: str = ''
  seen: str = ''

  @classmethod
  def from_json(cls, values: Any) -> Self:
    """The inverse of `dataclasses.asdict` after a trip through JSON.

    Raises:
      ValueError: something is missing, unknown, of another type or out of range.
    """
    return typed_json.construct(cls, values)

  def to_json(self) -> dict[str, Any]:
    """All of it, for JSON."""
    return dataclasses.asdict(self)

  def with_inputs(self) -> Self:
    """The same with what this program makes of a radiograph before the network sees it."""
    return dataclasses.replace(
      self,
      lung_network_sha256=lungs.weights_sha256(),
      input_fingerprint=preprocessing.input_fingerprint(),
    )

  def check_inputs(self) -> None:
    """Checks that this program finds the lungs with the network that the training used.

    Raises:
      NodulaxError: it does not, so that the network would see other crops.
    """
    if self.lung_network_sha256 not in ('', lungs.weights_sha256()):
      raise NodulaxError(
        f'{self.name} was trained on crops of another lung network '
        f'({self.lung_network_sha256[:12]}; here {lungs.weights_sha256()[:12]}); use the release '
        'of nodulax that trained it'
      )

  @property
  def title(self) -> str:
    """The network in a few words."""
    return f'nodulax {self.name}, step {self.step}'

  def summary(self) -> dict[str, Any]:
    """The network as findings.schema.json names it."""
    heat_map = self.thresholds.heat_map
    return {
      'run': self.name,
      'step': self.step,
      'probability_threshold': self.thresholds.probability,
      'temperature': self.thresholds.temperature,
      'heat_map_threshold': {'value': heat_map.value, 'relative': heat_map.relative},
    }
