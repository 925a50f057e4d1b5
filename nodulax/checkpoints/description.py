"""The schema of what a trained network needs beside its weights.

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
  """Thresholds and temperature, frozen on the tune split.

  Attributes:
    probability: at or above it a radiograph is called positive (Youden).
    heat_map: at or above it a pixel is called nodule.
    tune_images: number of radiographs from which the probability threshold was chosen.
    tune_auc: AUC on the tune split.
    temperature: divisor of the logits that calibrates the probability; None if the tune split
      allows no estimate, and in older checkpoints.
    specificity_90: probability threshold at which 90 % of the normal tune radiographs are called
      negative; None in older checkpoints.
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
    name: name of the run.
    model: keyword arguments of `build_network`.
    preprocessing: preprocessing of every image that it sees.
    thresholds: frozen on the tune split.
    step: number of training steps.
    weights_sha256: `checkpoint.digest` of its weights; '' in older checkpoints.
    lung_network_sha256: SHA-256 of the lung network that found its crops; '' in older checkpoints.
    input_fingerprint: `input_fingerprint` of the program that trained it; '' in older checkpoints.
    seen: builder of the public set that its first weights were trained on, which is therefore a
      less strict test of it; '' for none.
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
    """The description as a JSON object."""
    return dataclasses.asdict(self)

  def with_inputs(self) -> Self:
    """The description with the digests of this program's lung network and preprocessing."""
    return dataclasses.replace(
      self,
      lung_network_sha256=lungs.weights_sha256(),
      input_fingerprint=preprocessing.input_fingerprint(),
    )

  def check_inputs(self) -> None:
    """Checks that this program finds the lungs with the network that the training used.

    Raises:
      NodulaxError: it uses another, so that the network would see other crops.
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
