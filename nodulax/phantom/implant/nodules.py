"""Nodules as changes of a radiograph: real ones, projected from CT, and simulated ones."""

import csv
import dataclasses
import hashlib
import os
import pathlib

import cv2
import numpy as np

from nodulax.phantom.anatomy.nodule import Nodule, draw_nodule, nodule_chord
from nodulax.phantom.implant.attenuation import LUNG_DENSITY, effective
from nodulax.phantom.implant.errors import ImplantError

TABLE, VOLUMES = 'luna_nodules.csv', 'luna_nodules.npz'
DIAMETERS_MM = (3.0, 60.0)
_VOXEL_MM = 1.0
_LARGEST_SIDE, _MOST_NODULES = 128, 20_000  # voxels, nodules: far beyond LUNA16's
_HOUNSFIELD = (-1024, 1500)  # clips metal and its reconstruction artefacts
_LUNG_HU = -850.0  # if a cut-out holds too little lung to measure it
# Pixels across which a simulated nodule is drawn before it is scaled.
_CANVAS = (48, 96)
# Nodules fade into the lung around them: least and greatest standard deviation of the blur, as a
# share of the radius; CT itself adds some blur. Chosen so that implants are hard to tell from
# JSRT's real nodules (tests/phantom/implant_realism.py).
SOFTNESS, CT_SOFTNESS = (0.1, 0.45), (0.0, 0.3)
# Excess attenuation in 1/cm beyond which a nodule is solid.
_SOLID = 0.14
# Eight points around a voxel's centre, closer to it than the centres of its eighths: misaligned
# layers make a voxelised edge too wide. With these points the diameter of a ball of voxels is
# right within 1 %.
_EIGHTHS = (np.indices((2, 2, 2)).reshape(3, 8).T.astype(np.float32) - 0.5) / 8
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
# Attenuation coefficient times this is what one cm of water takes at the same energy.
_WATER_OVER_SOFT = 1.0 / 1.06


@dataclasses.dataclass(frozen=True, eq=False)
class Opacity:
  """The change that a nodule makes to a radiograph, before blur.

  Attributes:
    change: f32[h, w], to add to the negative logarithm of the primary beam.
    mask: bool[h, w], its projected outline, which does not touch the edges.
    diameter_mm: that of a circle of the mask's area. spacing_mm: spacing of these pixels.
    source: 'ct' or 'simulated'. name: the CT nodule's, or ''.
    zone: where to place it (one of nodule.ZONES); None for a random zone.
  """

  change: np.ndarray
  mask: np.ndarray
  diameter_mm: float
  spacing_mm: float
  source: str
  name: str = ''
  zone: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class _Voxels:
  """A nodule's voxels.

  Attributes:
    place: f32[N, 3], in voxels from its centre.
    excess: f32[N], attenuation in 1/cm above that of the surrounding lung.
    shell: f32[M, 3], the places of the voxels on the surface of its outline.
    density: mean excess within the outline.
  """

  place: np.ndarray
  excess: np.ndarray
  shell: np.ndarray
  density: float


class CTNodules:
  """Lung nodules cut out of CT scans, 1 mm voxels.

  The folder holds luna_nodules.csv (columns nodule, scan, equivalent_diameter_mm, ...) and
  luna_nodules.npz with NAME_hu i16[z, y, x], NAME_mask (packed bits) and NAME_shape for each.

  Args:
    folder: where they are.
    scans: 'all', or one part of a split by scan: 'train' or 'tune' (one scan in five). The split
      depends only on a hash of the scan's name.

  Raises:
    ImplantError: a file is missing, or an array is invalid.
  """

  def __init__(self, folder: str | os.PathLike, scans: str = 'all') -> None:
    if scans not in ('all', 'train', 'tune'):
      raise ImplantError(f"scans is {scans!r}; it must be 'all', 'train' or 'tune'")
    folder = pathlib.Path(folder)
    self._path = folder / VOLUMES
    names, parts, diameters = _read_table(folder / TABLE)
    keep = [scans in ('all', part_of(part)) for part in parts]
    self.names = tuple(name for name, kept in zip(names, keep, strict=True) if kept)
    self.scans = tuple(part for part, kept in zip(parts, keep, strict=True) if kept)
    self.equivalent_diameter_mm = np.array(diameters)[keep]
    if not self.names:
      raise ImplantError(f'{folder / TABLE}: no nodule in the part {scans!r}')
    try:
      with np.load(self._path, allow_pickle=False) as file:
        self._voxels = [_read_voxels(file, name, self._path) for name in self.names]
    except (OSError, ValueError, KeyError) as error:
      if isinstance(error, ImplantError):
        raise
      raise ImplantError(f'{self._path} cannot be read: {error}') from None

    self._density = np.array([voxels.density for voxels in self._voxels])

  def __len__(self) -> int:
    return len(self.names)

  def choose(self, rng: np.random.Generator, diameter_mm: float) -> int:
    """Index of a random nodule of about this size, which needs little scaling.

    Dense nodules are drawn more often than ground glass, which few radiographs show.
    """
    ratio = np.abs(np.log(self.equivalent_diameter_mm / diameter_mm))
    near = np.flatnonzero(ratio <= np.log(1.4))
    if len(near) < 20:
      near = np.argsort(ratio, kind='stable')[:20]
    weight = np.minimum(self._density[near], _SOLID) ** 2
    return int(rng.choice(near, p=weight / weight.sum()))

  def opacity(
    self,
    index: int,
    rng: np.random.Generator,
    diameter_mm: float,
    spacing_mm: float,
    softness: float | None = None,
  ) -> Opacity:
    """A nodule seen from a random direction, scaled to a diameter.

    Args:
      index: index in `names`.
      diameter_mm: diameter of a circle of its projected area, at the detector.
      spacing_mm: pixel spacing of the radiograph.
      softness: standard deviation of the margin's blur as a share of the radius; None for a random
        one.
    """
    _check_size(diameter_mm, spacing_mm)
    voxels = self._voxels[index]
    axes = _random_axes(rng)
    if softness is None:
      softness = float(rng.uniform(*CT_SOFTNESS))
    flat = voxels.place @ axes
    reach = int(np.ceil(np.abs(flat).max())) + 3
    excess = _splat(flat, voxels.excess * np.float32(_VOXEL_MM / 10), reach)
    outline = _silhouette(voxels.shell, axes, reach)
    scale = diameter_mm / (np.sqrt(np.count_nonzero(outline) / np.pi) * _VOXEL_MM)
    pixels_per_voxel = scale * _VOXEL_MM / spacing_mm
    softened = _softened(excess, 0.5 * softness * diameter_mm / (scale * _VOXEL_MM))
    change = _scaled(softened, pixels_per_voxel) * np.float32(scale)
    mask = _scaled(outline, pixels_per_voxel / 2) > 0.5
    return Opacity(
      change=np.maximum(change, 0),
      mask=_not_empty(mask),
      diameter_mm=float(diameter_mm),
      spacing_mm=float(spacing_mm),
      source='ct',
      name=self.names[index],
    )


def simulated_opacity(nodule: Nodule, spacing_mm: float, softness: float = 0.25) -> Opacity:
  """The simulator's nodule (solid, part solid, spiculated, calcified) as an opacity.

  Args:
    nodule: from phantom.nodule.draw_nodule; its zone is kept.
    spacing_mm: pixel spacing of the radiograph.
    softness: standard deviation of the margin's blur as a share of the nodule's radius.
  """
  _check_size(nodule.diameter_mm, spacing_mm)
  reach_mm = 0.5 * nodule.diameter_mm * (1.5 + 2 * softness) + 2 * spacing_mm
  canvas = int(np.clip(2 * reach_mm / spacing_mm, *_CANVAS))
  side = 2 * reach_mm / canvas
  at = ((np.arange(canvas) + 0.5) * side - reach_mm).astype(np.float32)
  x, y = np.meshgrid(at, at)
  extent = nodule_chord(nodule, x, y, (0.0, 0.0))
  core = np.zeros_like(extent)
  if nodule.core > 0:
    core = np.maximum(extent - np.float32((1 - nodule.core) * nodule.diameter_mm), 0)
  lung = effective('lung', LUNG_DENSITY)
  change = (extent - core) * (effective('soft', nodule.density) - lung)
  change += core * (effective('soft') - lung)
  change += nodule.calcium * extent * (effective('bone') - effective('soft'))
  change = _softened(change, softness * 0.5 * nodule.diameter_mm / side)
  outline = (extent > 0).astype(np.float32)
  return Opacity(
    change=_scaled(change * np.float32(0.1), side / spacing_mm),
    mask=_not_empty(_scaled(outline, side / spacing_mm) > 0.5),
    diameter_mm=nodule.diameter_mm,
    spacing_mm=float(spacing_mm),
    source='simulated',
    zone=nodule.zone,
  )


def draw_opacity(
  rng: np.random.Generator,
  spacing_mm: float,
  nodules: CTNodules | None = None,
  ct_share: float = 0.6,
) -> Opacity:
  """A random lesion with the simulator's sizes and zones, from CT or simulated.

  Args:
    nodules: None for only simulated ones.
    ct_share: share of the nodules from CT; masses (over 30 mm), which the CT set lacks, are
      simulated.
  """
  drawn = draw_nodule(rng)
  if nodules is None or drawn.diameter_mm > 30 or rng.random() >= ct_share:
    return simulated_opacity(drawn, spacing_mm, float(rng.uniform(*SOFTNESS)))
  index = nodules.choose(rng, drawn.diameter_mm)
  opacity = nodules.opacity(index, rng, drawn.diameter_mm, spacing_mm)
  return dataclasses.replace(opacity, zone=drawn.zone)


def part_of(scan: str) -> str:
  """'tune' for one scan in five, by a hash of its name, else 'train'."""
  return 'tune' if hashlib.sha256(scan.encode()).digest()[0] % 5 == 0 else 'train'


def _check_size(diameter_mm: float, spacing_mm: float) -> None:
  if not DIAMETERS_MM[0] <= diameter_mm <= DIAMETERS_MM[1]:
    raise ImplantError(
      f'a diameter of {diameter_mm} mm; it must lie between {DIAMETERS_MM[0]:g} and '
      f'{DIAMETERS_MM[1]:g} mm'
    )
  if not 0.05 <= spacing_mm <= 4:
    raise ImplantError(f'a pixel spacing of {spacing_mm} mm; it must lie between 0.05 and 4 mm')


def _read_table(path: pathlib.Path) -> tuple[list[str], list[str], list[float]]:
  try:
    with path.open(newline='') as file:
      rows = list(csv.DictReader(file))[: _MOST_NODULES + 1]
    if len(rows) > _MOST_NODULES:
      raise ValueError(f'more than {_MOST_NODULES} rows')
    names = [row['nodule'] for row in rows]
    scans = [row['scan'] for row in rows]
    diameters = [float(row['equivalent_diameter_mm']) for row in rows]
    if not all(0.5 < diameter < 200 for diameter in diameters):
      raise ValueError('an equivalent_diameter_mm outside 0.5 to 200')
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise ImplantError(f'{path} cannot be read as a table of CT nodules: {error}') from None
  return names, scans, diameters


def _read_voxels(file: np.lib.npyio.NpzFile, name: str, path: pathlib.Path) -> _Voxels:
  hounsfield, packed = file[f'{name}_hu'], file[f'{name}_mask']
  if (
    hounsfield.ndim != 3
    or hounsfield.dtype != np.int16
    or max(hounsfield.shape) > _LARGEST_SIDE
    or packed.dtype != np.uint8
    or packed.size != -(-hounsfield.size // 8)
  ):
    raise ImplantError(
      f'{path}: {name} must be i16[z, y, x] of at most {_LARGEST_SIDE} voxels per side '
      'with a mask of packed bits for it'
    )
  mask = np.unpackbits(packed)[: hounsfield.size].reshape(hounsfield.shape).astype(bool)
  if not mask.any():
    raise ImplantError(f'{path}: the mask of {name} is empty')
  return _voxels(hounsfield, mask)


def _voxels(hounsfield: np.ndarray, mask: np.ndarray) -> _Voxels:
  """The nodule's excess over the surrounding lung, faded out within two voxels of its mask."""
  padded = np.pad(mask, 2)
  values = np.pad(np.clip(hounsfield, *_HOUNSFIELD).astype(np.float32), 2, mode='edge')
  outside = values[~_dilated(_dilated(padded))]
  lung = outside[outside < -500]
  around = float(np.median(lung)) if lung.size >= 50 else _LUNG_HU
  weight = np.where(padded, 1.0, np.where(_dilated(padded), 0.5, 0.0)).astype(np.float32)
  water = effective('soft') * _WATER_OVER_SOFT
  # Beyond the mask, vessels or chest wall that touch it are capped at the nodule's density.
  ceiling = np.where(padded, _HOUNSFIELD[1], np.median(values[padded]))
  excess = np.maximum(np.minimum(values, ceiling) - around, 0) * (water / 1000) * weight
  # Readers outline generously; the edge is where the density is half that of the core.
  core = np.percentile(values[padded], 90)
  solid = padded & (values > around + 0.5 * (core - around))
  at = np.argwhere(weight > 0)
  middle = np.argwhere(solid).mean(0)
  return _Voxels(
    place=(at - middle).astype(np.float32),
    excess=excess[tuple(at.T)].astype(np.float32),
    shell=(np.argwhere(solid & _dilated(~solid)) - middle).astype(np.float32),
    density=float(excess[solid].mean()),
  )


def _dilated(mask: np.ndarray) -> np.ndarray:
  """The mask bool[z, y, x] together with the six neighbours of each voxel."""
  grown = mask.copy()
  for axis in range(3):
    for step in (-1, 1):
      grown |= np.roll(mask, step, axis)
  return grown


def _random_axes(rng: np.random.Generator) -> np.ndarray:
  """The two axes, f32[3, 2], of a detector under a random rotation."""
  rotation, triangle = np.linalg.qr(rng.standard_normal((3, 3)))
  return (rotation * np.sign(np.diag(triangle)))[:, :2].astype(np.float32)


def _splat(place: np.ndarray, value: np.ndarray, reach: int) -> np.ndarray:
  """Sums values at points (x, y) on a grid of voxel-size cells, f32[2 reach + 1, 2 reach + 1]."""
  side = 2 * reach + 1
  at = place + np.float32(reach)
  low = np.floor(at).astype(np.int32)
  part = at - low
  index = low[:, 1] * side + low[:, 0]
  total = np.zeros(side * side)
  for down in (0, 1):
    for across in (0, 1):
      weight = np.abs(1 - down - part[:, 1]) * np.abs(1 - across - part[:, 0])
      total += np.bincount(index + down * side + across, weight * value, side * side)
  # Removes the stripes of a rotated lattice; about the resolution of the scanner.
  return cv2.GaussianBlur(total.reshape(side, side).astype(np.float32), (0, 0), 0.7)


def _silhouette(shell: np.ndarray, axes: np.ndarray, reach: int) -> np.ndarray:
  """The silhouette of a surface, 0 or 1, f32[2 (2 reach + 1)] squared, in cells of half a voxel.

  A solid has the silhouette of its surface. Each voxel counts as eight points.
  """
  side = 2 * (2 * reach + 1)
  points = ((shell @ axes)[:, None] + (_EIGHTHS @ axes)[None]).reshape(-1, 2)
  cells = np.floor(2 * (points + np.float32(reach + 0.5))).astype(np.int32)
  seen = np.zeros(side * side, np.uint8)
  seen[cells[:, 1] * side + cells[:, 0]] = 1
  closed = cv2.morphologyEx(seen.reshape(side, side), cv2.MORPH_CLOSE, _CROSS)
  return closed.astype(np.float32)


def _scaled(image: np.ndarray, factor: float) -> np.ndarray:
  """The same picture on finer (factor above 1) or coarser pixels, with the same centre."""
  if factor < 1:
    # Averages over the area of a pixel.
    image = cv2.GaussianBlur(image, (0, 0), 0.3 / factor, borderType=cv2.BORDER_CONSTANT)
  # Rounded so that a picture with cells half as large, at half the factor, gets the same size.
  size = int(np.ceil(round(image.shape[0] * factor, 6))) + 4
  inverse = 1 / factor
  shift = (image.shape[0] - 1) / 2 - inverse * (size - 1) / 2
  matrix = np.array([[inverse, 0, shift], [0, inverse, shift]])
  return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _softened(image: np.ndarray, sigma: float) -> np.ndarray:
  if sigma < 0.2:
    return image
  return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)


def _not_empty(mask: np.ndarray) -> np.ndarray:
  """The mask, or its middle pixel if the lesion is smaller than a pixel."""
  if not mask.any():
    mask = mask.copy()
    mask[mask.shape[0] // 2, mask.shape[1] // 2] = True
  return mask
