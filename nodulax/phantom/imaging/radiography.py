"""One radiograph of one patient: the body, the beam, the detector, the workstation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nodulax.phantom.anatomy.extras import EXTRAS, LASTING
from nodulax.phantom.anatomy.frame import Frame
from nodulax.phantom.anatomy.nodule import (
  Nodule,
  PlacedNodule,
  add_nodule,
  conspicuity,
  nodule_chord,
  place_nodule,
  zone_at,
)
from nodulax.phantom.anatomy.patient import Patient, Pose
from nodulax.phantom.anatomy.scene import Scene
from nodulax.phantom.anatomy.skeleton import build_skeleton
from nodulax.phantom.anatomy.surface import add_breasts
from nodulax.phantom.anatomy.thorax import build_thorax
from nodulax.phantom.anatomy.vessels import build_vessels
from nodulax.phantom.imaging.physics import Detector, beam_spectrum, blur, detect, transmission
from nodulax.phantom.imaging.vendor import Processing, annotated, process, shuttered


@dataclass(frozen=True)
class Equipment:
  """A hospital's X-ray room.

  Attributes:
    field_mm: width and height of the exposed field that becomes the image.
    kilovolts: 125 kV is recommended for the chest (European guidelines, EUR 16260).
    shutter_share: how often black borders hide what lies outside the collimated field.
    text_share: how often a bedside image has burnt-in text that says so.
  """

  field_mm: tuple[float, float]
  kilovolts: float
  detector: Detector
  processing: Processing
  shutter_share: float
  text_share: float


@dataclass(frozen=True)
class Simulated:
  """A simulated radiograph and its truth.

  Attributes:
    pixels: u8 or u16[H, W], bright where dense.
    primary: f32[H, W] in (0, 1], the unscattered beam that arrives, before noise and blur.
    lungs: bool[H, W], the outlines of both lungs without heart and diaphragm.
    heart: bool[H, W].
    nodules: the lesions for which there was room.
    spacing_mm: x and y, of these pixels, at the detector.
  """

  pixels: np.ndarray
  primary: np.ndarray
  lungs: np.ndarray
  heart: np.ndarray
  nodules: tuple[PlacedNodule, ...]
  spacing_mm: tuple[float, float]
  patient: Patient
  pose: Pose

  @property
  def mask(self) -> np.ndarray:
    """All nodules together, bool[H, W]."""
    total = np.zeros(self.pixels.shape, bool)
    for nodule in self.nodules:
      total |= nodule.mask
    return total


# Our choice.
_MOST_BLOOD_MM = np.float32(14)


def make_frame(
  patient: Patient, pose: Pose, field_mm: tuple[float, float], shape: tuple[int, int]
) -> Frame:
  """The detector plane, centred on the patient's lungs except for the pose's shift."""
  rng = np.random.default_rng([patient.seed, 0])
  irregularity = rng.normal(0, 1.6, (2, 7, 7)).astype(np.float32)
  spacing = (field_mm[0] / shape[1], field_mm[1] / shape[0])
  left = -field_mm[0] / 2 + pose.shift[0]
  top = 0.60 * patient.lung_height - field_mm[1] / 2 + pose.shift[1]
  return Frame(shape, spacing, (left, top), pose.tilt, irregularity)


def simulate(
  patient: Patient,
  pose: Pose,
  equipment: Equipment,
  image_size: int | tuple[int, int],
  nodules: Sequence[Nodule] = (),
  extras: Sequence[str] = (),
) -> Simulated:
  """Takes a radiograph.

  Args:
    image_size: pixels per side, or rows and columns.
    nodules: lesions to add; one for which the lung has no room is left out.
    extras: names in extras.EXTRAS: look-alikes, other findings, devices.
  """
  shape = (image_size, image_size) if isinstance(image_size, int) else image_size
  frame = make_frame(patient, pose, equipment.field_mm, shape)
  body = build_thorax(patient, pose, frame)
  heart = (body.heart > 0) & (body.dome <= 0)
  lungs = (body.lung > 12) & (body.dome <= 0) & ~heart
  # Only the parts of the trees that lie in air: the rest of the chord is heart or abdomen.
  airy = np.clip(1.15 * body.lung / np.maximum(body.chest, 1), 0, 1)
  blood = build_vessels(patient, pose, frame) * airy
  # Vessels that cross pass beside each other, not through each other.
  body.replace_lung(_MOST_BLOOD_MM * np.tanh(blood / _MOST_BLOOD_MM))
  body.add_bone(build_skeleton(patient, pose, frame))
  scene = Scene(patient, pose, frame, body)
  add_breasts(scene)
  for name in extras:
    number, add = EXTRAS[name]
    seed = patient.seed if name in LASTING else pose.seed
    add(scene, np.random.default_rng([seed, 100, number]))

  spectrum = beam_spectrum(equipment.kilovolts)
  primary = transmission(body.paths_cm(), spectrum, patient.lung_density)
  placed = []
  for nodule in nodules:
    place = place_nodule(nodule, scene)
    if place is not None:
      placed.append(_put_in(nodule, place, scene, primary, spectrum))

  rng = np.random.default_rng([pose.seed, 1])
  signal = detect(primary * _heel(frame, rng), equipment.detector, frame.spacing_mm, rng)
  covered = blur(primary, 3 / frame.spacing_mm[0]) < 0.5
  pixels = process(signal, covered, frame.spacing_mm, equipment.processing)
  at_the_desk = np.random.default_rng([pose.seed, 2])
  if at_the_desk.random() < equipment.shutter_share:
    pixels = shuttered(pixels, at_the_desk)
  if pose.view == 'AP' and at_the_desk.random() < equipment.text_share:
    pixels = annotated(pixels, at_the_desk)
  return Simulated(
    pixels=pixels,
    primary=primary,
    lungs=lungs,
    heart=heart,
    nodules=tuple(placed),
    spacing_mm=frame.spacing_mm,
    patient=patient,
    pose=pose,
  )


def _put_in(
  nodule: Nodule,
  place: tuple[int, int],
  scene: Scene,
  primary: np.ndarray,
  spectrum: np.ndarray,
) -> PlacedNodule:
  """Adds a lesion at a row and column to the body and to the primary beam, in place."""
  frame, body = scene.frame, scene.body
  # Only the lesion's surroundings change.
  window = frame.window(*place, max(1.2 * nodule.diameter_mm, 16.0))
  x, y = frame.grid
  centre = (float(x[place]), float(y[place]))
  extent = nodule_chord(nodule, x[window], y[window], centre)
  near = body.cut(window)
  mask = np.zeros(frame.shape, bool)
  mask[window] = (extent > 0) & (near.lung > 0)
  before = -np.log(primary[window])
  add_nodule(near, nodule, extent)
  primary[window] = transmission(near.paths_cm(), spectrum, scene.patient.lung_density)
  change = -np.log(primary[window]) - before
  inside = mask[window]
  return PlacedNodule(
    mask=mask,
    centre=(place[1] + 0.5, place[0] + 0.5),
    diameter_mm=nodule.diameter_mm,
    zone=zone_at(scene, *place),
    conspicuity=conspicuity(change, before, inside, nodule.diameter_mm),
    contrast=float(change.max()),
  )


def _heel(frame: Frame, rng: np.random.Generator) -> np.ndarray:
  """Uneven brightness of the open field: the heel effect and a slightly off-centre tube."""
  height, width = frame.shape
  slope = rng.normal(0, 0.04, 2)
  down = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(slope[0])
  across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * np.float32(slope[1])
  return 1 + down + across
