"""How much a centimetre of tissue attenuates the beam of a chest radiograph."""

import functools

import numpy as np

from nodulax.phantom.imaging.physics import beam_spectrum, linear_attenuation

# The tube voltage that the European guidelines (EUR 16260) recommend for the chest.
_KILOVOLTS = 125.0
# Soft tissue (cm) that has hardened the beam where it shows the lungs.
_BODY_CM = 8.0
LUNG_DENSITY = 0.26  # g/cm3, ICRU Report 44


@functools.cache
def effective(tissue: str, density: float | None = None) -> float:
  """Linear attenuation, in 1/cm, of the beam after the chest wall.

  Args:
    tissue: a name of physics.MASS_ATTENUATION.
    density: g/cm3; None for the tissue's usual density.
  """
  share = beam_spectrum(_KILOVOLTS) * np.exp(-linear_attenuation('soft') * _BODY_CM)
  return float((share * linear_attenuation(tissue, density)).sum() / share.sum())


@functools.cache
def mediastinum_over_lung(
  scatter_lung: float, scatter_mediastinum: float, depth_cm: float
) -> float:
  """How far the negative logarithm of the signal rises from lung to mediastinum.

  Args:
    scatter_lung, scatter_mediastinum: scatter-to-primary ratios. Scatter brightens the
      mediastinum more than the lungs, which reduces the difference.
    depth_cm: thickness of soft tissue in the mediastinum in place of the air of the lung beside it.
  """
  spectrum = beam_spectrum(_KILOVOLTS)
  wall = np.exp(-linear_attenuation('soft') * _BODY_CM)
  more = linear_attenuation('soft') - linear_attenuation('lung', LUNG_DENSITY)
  lung = float((spectrum * wall).sum())
  mediastinum = float((spectrum * wall * np.exp(-more * depth_cm)).sum())
  signal = mediastinum * (1 + scatter_mediastinum) / (lung * (1 + scatter_lung))
  return -float(np.log(signal))
