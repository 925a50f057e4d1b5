"""Findings: where a heat map points, in the stored image and in the patient.

The same findings serve evaluation and prediction.
"""

import dataclasses

import numpy as np

from nodulax.radiograph.lungs import LungBox
from nodulax.radiograph.preprocessing import Crop
from nodulax.statistics import findings
from nodulax.statistics.findings import Finding

# A finding is a peak of the heat map no lower than this: low enough for a free-response curve.
LOWEST = 0.05


@dataclasses.dataclass(frozen=True)
class Place:
  """Where a finding lies in the patient.

  Both are 'unknown' if the lungs were not found, or if left and right are unknown.

  Attributes:
    laterality: the patient's side, 'right' or 'left' of the middle of the lung box.
    zone: 'upper', 'middle' or 'lower' third of the lung box, or 'outside' it.
  """

  laterality: str
  zone: str


def locate(heat_map: np.ndarray, crop: Crop) -> list[Finding]:
  """The peaks of a heat map, the hottest first, in pixels of the radiograph.

  Args:
    heat_map: f[h, h] in [0, 1], the heat map of the crop.
    crop: what the network saw of the radiograph.
  """
  found = findings.peaks(heat_map, LOWEST, separation=1)
  pixels = crop.width * crop.height / heat_map.size

  def stored(peak: Finding) -> Finding:
    points = np.array([(peak.x, peak.y), peak.box[:2], peak.box[2:]])
    (x, y), low, high = crop.to_stored(points, len(heat_map)).tolist()
    return Finding(peak.score, x, y, (*low, *high), round(peak.area * pixels))

  return [stored(peak) for peak in found]


def place(finding: Finding, lungs: LungBox, orientation: str) -> Place:
  """Where a finding lies in the patient.

  Args:
    finding: as `locate` gives it.
    lungs: lungs of the same radiograph.
    orientation: `Radiograph.orientation` of the radiograph; empty if unknown.
  """
  if not lungs.found or not orientation:
    return Place('unknown', 'unknown')
  x_min, y_min, x_max, y_max = lungs.box
  on_first_side = finding.x < (x_min + x_max) / 2
  inside = x_min <= finding.x < x_max and y_min <= finding.y < y_max
  third = int(np.clip((finding.y - y_min) / (y_max - y_min) * 3, 0, 2))
  zones = ('upper', 'middle', 'lower') if orientation[1] == 'F' else ('lower', 'middle', 'upper')
  return Place(
    # Rows that run to the patient's left begin at the patient's right.
    laterality='right' if on_first_side == (orientation[0] == 'L') else 'left',
    zone=zones[third] if inside else 'outside',
  )


def marked(found: list[Finding], positive: bool, threshold: float) -> list[bool]:
  """Which findings to show: in a positive radiograph, the hottest and all at the threshold.

  Args:
    found: as `locate` gives them.
    positive: whether the radiograph's probability reaches its threshold.
    threshold: threshold of the heat map, as in `Thresholds.heat_map`.
  """
  return [
    positive and (number == 0 or finding.score >= threshold) for number, finding in enumerate(found)
  ]
