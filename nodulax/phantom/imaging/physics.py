"""From centimetres of tissue to counts on the detector.

Beer-Lambert in a few energy bins, scatter, quantum noise and the blur of the scintillator.
Coefficients are those of NIST (Hubbell and Seltzer, Tables of X-Ray Mass Attenuation Coefficients,
NISTIR 5632, https://dx.doi.org/10.18434/T4D01F); tissue compositions are those of ICRU Report 44.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

ENERGIES_KEV = np.array([40.0, 50.0, 60.0, 80.0, 100.0])
_BIN_EDGES_KEV = np.array([30.0, 45.0, 55.0, 70.0, 90.0, 120.0])

# Mass attenuation coefficient, cm2/g, at ENERGIES_KEV.
MASS_ATTENUATION: Mapping[str, np.ndarray] = {
  'soft': np.array([0.2688, 0.2264, 0.2048, 0.1823, 0.1693]),
  'lung': np.array([0.2699, 0.2270, 0.2053, 0.1826, 0.1695]),
  'fat': np.array([0.2396, 0.2123, 0.1974, 0.1800, 0.1688]),
  'bone': np.array([0.6655, 0.4242, 0.3148, 0.2229, 0.1855]),
  'metal': np.array([2.2140, 1.2130, 0.7661, 0.4052, 0.2721]),  # titanium
  'aluminium': np.array([0.5685, 0.3681, 0.2778, 0.2018, 0.1704]),
}
# g/cm3. Lung: inflated, ICRU Report 44 (0.26), unless the patient has another density.
DENSITY: Mapping[str, float] = {
  'soft': 1.06,
  'lung': 0.26,
  'fat': 0.95,
  'bone': 1.92,
  'metal': 4.54,
  'aluminium': 2.699,
}


def linear_attenuation(tissue: str, density: float | None = None) -> np.ndarray:
  """Linear attenuation coefficient of a tissue at ENERGIES_KEV, in 1/cm: f64[5]."""
  return MASS_ATTENUATION[tissue] * (DENSITY[tissue] if density is None else density)


def beam_spectrum(kilovolts: float, aluminium_mm: float = 3.0) -> np.ndarray:
  """Share of the detected signal in each energy bin, with nothing in the beam: f64[5], sum 1.

  Kramers' bremsstrahlung (fluence per keV proportional to kV / E - 1), hardened by the tube's
  filtration, weighted by E because the detector integrates energy.

  Args:
    kilovolts: tube voltage, 60 to 150 kV.
    aluminium_mm: total filtration; IEC 60601-1-3 asks for at least 2.5 mm.
  """
  upper = np.clip(_BIN_EDGES_KEV[1:], None, kilovolts)
  width = np.clip(upper - _BIN_EDGES_KEV[:-1], 0, None)
  fluence = np.clip(kilovolts / ENERGIES_KEV - 1, 0, None) * width
  hardened = fluence * np.exp(-linear_attenuation('aluminium') * aluminium_mm / 10)
  signal = hardened * ENERGIES_KEV
  return signal / signal.sum()


def transmission(
  paths_cm: Mapping[str, np.ndarray], spectrum: np.ndarray, lung_density: float = 0.26
) -> np.ndarray:
  """The share of the primary beam that passes through the body: f32[H, W] in (0, 1].

  Args:
    paths_cm: path length of each tissue in each pixel, f32[H, W] in cm.
    spectrum: from beam_spectrum.
    lung_density: g/cm3 of aerated lung.
  """
  shape = np.broadcast_shapes(*(path.shape for path in paths_cm.values()))
  present = {tissue: path for tissue, path in paths_cm.items() if path.any()}
  total = np.zeros(shape, np.float32)
  for energy in np.flatnonzero(spectrum):
    depth = np.zeros(shape, np.float32)
    for tissue, path in present.items():
      density = lung_density if tissue == 'lung' else None
      depth += np.float32(linear_attenuation(tissue, density)[energy]) * path
    total += np.float32(spectrum[energy]) * np.exp(-depth)
  return total


@dataclass(frozen=True)
class Detector:
  """How a hospital's detector responds to the beam.

  Attributes:
    quanta_per_mm2: detected quanta in the open beam. Behind the patient about 2.5 uGy arrive (speed
      class 400), at some 31 000 quanta per mm2 and uGy (IEC 62220-1, RQA9); the open beam is some
      25 times brighter.
    scatter_fraction: scattered share of the open-beam signal spread evenly by a wide kernel;
      0.05 to 0.1 gives scatter-to-primary ratios behind a grid near 0.3 in the lungs
      and 1 to 2 in the mediastinum (our choice).
    blur_mm: standard deviation of the scintillator's point spread (0.1 to 0.3 mm).
    electronic_noise: standard deviation in quanta, per pixel.
  """

  quanta_per_mm2: float
  scatter_fraction: float
  blur_mm: float
  electronic_noise: float = 20.0


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
  """Gaussian blur, f32[H, W]; a wide blur is done on a smaller copy, where it is cheap."""
  if sigma < 8:
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
  step = sigma / 4
  height, width = image.shape
  small = cv2.resize(
    image,
    (max(4, round(width / step)), max(4, round(height / step))),
    interpolation=cv2.INTER_AREA,
  )
  small = cv2.GaussianBlur(small, (0, 0), sigma * small.shape[1] / width)
  return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def detect(
  primary: np.ndarray, detector: Detector, spacing_mm: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
  """The detector's raw signal, 1 in the open beam: f32[H, W].

  Primary and scatter arrive as Poisson-distributed quanta, which the scintillator then blurs.

  Args:
    primary: transmission's result, times the brightness of the field.
    spacing_mm: pixel spacing in x and y.
  """
  mean_spacing = float(np.mean(spacing_mm))
  # The root: where little of the primary beam gets through, relatively more scatter arrives from
  # the sides.
  scatter = detector.scatter_fraction * blur(np.sqrt(primary), 45.0 / mean_spacing)
  focal_spot_and_aperture = 0.45
  arriving = cv2.GaussianBlur(primary, (0, 0), focal_spot_and_aperture) + np.clip(scatter, 0, None)
  quanta = detector.quanta_per_mm2 * spacing_mm[0] * spacing_mm[1]
  counted: np.ndarray = rng.poisson(arriving * quanta).astype(np.float32)
  sigma = detector.blur_mm / mean_spacing
  if sigma > 0.2:
    counted = cv2.GaussianBlur(counted, (0, 0), sigma)
  counted += np.float32(detector.electronic_noise) * rng.standard_normal(counted.shape, np.float32)
  return np.maximum(counted, 1) / np.float32(quanta)
