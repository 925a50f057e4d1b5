"""Patients, their exposures and their lesions: what the four hospitals share."""

import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nodulax.phantom.anatomy.extras import FINDINGS
from nodulax.phantom.anatomy.nodule import draw_nodule
from nodulax.phantom.hospitals.profiles import Hospital
from nodulax.phantom.hospitals.writing import write_folder
from nodulax.phantom.imaging.radiography import Simulated, simulate

# The first word of every random seed, so that no two hospitals share a patient.
HOSPITAL_NUMBERS = {'nih': 1, 'aihub': 2, 'gmc': 3, 'vindr': 4}
_PLAN, _PERSON, _EXPOSURE = range(3)


@dataclass(frozen=True)
class Visit:
  """One exposure of one patient.

  Attributes:
    number: number of the patient. follow_up: number of the exposure, from 0.
    lesions: each 'Nodule' or 'Mass'; the same on all of the patient's exposures that show them.
    findings: other diseases, named as in extras.FINDINGS.
    square: whether the field is squeezed into a square image, as in ChestX-ray14.
  """

  hospital: str
  seed: int
  image_size: int
  number: int
  follow_up: int = 0
  lesions: tuple[str, ...] = ()
  findings: tuple[str, ...] = ()
  square: bool = False

  def generator(self, purpose: int) -> np.random.Generator:
    """Random numbers for this patient only, and except for _PERSON for this exposure only."""
    follow_up = 0 if purpose == _PERSON else self.follow_up
    return np.random.default_rng(
      [HOSPITAL_NUMBERS[self.hospital], self.seed, self.number, purpose, follow_up]
    )


def planner(hospital: str, seed: int, number: int) -> np.random.Generator:
  """Random numbers for a patient's lesions and findings."""
  return np.random.default_rng([HOSPITAL_NUMBERS[hospital], seed, number, _PLAN])


def write_single_visits(
  hospital: str,
  write_image: Callable[[pathlib.Path, Visit], dict[str, Any]],
  write_tables: Callable[[pathlib.Path, list[dict[str, Any]]], None],
  output: str | os.PathLike,
  images: int,
  image_size: int = 1024,
  seed: int = 0,
  *,
  nodule_share: float,
  finding_share: float = 0.0,
  masses_only: bool = False,
  processes: int | None = None,
) -> pathlib.Path:
  """Writes a hospital's folder with one exposure for each of `images` patients; returns the folder.

  Args:
    hospital: a key of HOSPITAL_NUMBERS.
    write_image, write_tables, output: see `write_folder`.
    images: number of images, one per patient.
    image_size: pixels along the longer side.
    seed: seed of the patients and their exposures.
    nodule_share: share with a nodule or a mass.
    finding_share: share with another disease, whether or not they have a nodule.
    masses_only: make every nodule a mass (over 30 mm), which is easy to find, for demonstrations.
    processes: number of processes; None for one per core. The bytes do not depend on it.
  """
  visits = []
  for number in range(1, images + 1):
    rng = planner(hospital, seed, number)
    lesions: tuple[str, ...] = ()
    if rng.random() < nodule_share:
      lesions = ('Mass' if rng.random() < 0.15 else 'Nodule',)
      if rng.random() < 0.08:
        lesions += ('Nodule',)
      if masses_only:
        lesions = ('Mass',)
    findings = (str(rng.choice(list(FINDINGS))),) if rng.random() < finding_share else ()
    visits.append(Visit(hospital, seed, image_size, number, 0, lesions, findings))
  recipe = {
    'hospital': hospital, 'images': images, 'image_size': image_size, 'seed': seed,
    'nodule_share': nodule_share, 'masses_only': masses_only,
  }  # fmt: skip
  return write_folder(output, recipe, visits, write_image, write_tables, processes)


def take_radiograph(hospital: Hospital, visit: Visit) -> tuple[Simulated, np.random.Generator]:
  """The radiograph of a visit, and random numbers for reading and filing it."""
  person, exposure = visit.generator(_PERSON), visit.generator(_EXPOSURE)
  patient = hospital.patient(person)
  lesions = [draw_nodule(person, mass=kind == 'Mass') for kind in visit.lesions]
  pose = hospital.pose(exposure)
  equipment = hospital.equipment(exposure, bedside=pose.view == 'AP')
  width, height = equipment.field_mm
  longer = max(width, height)
  shape = (round(visit.image_size * height / longer), round(visit.image_size * width / longer))
  radiograph = simulate(
    patient,
    pose,
    equipment,
    visit.image_size if visit.square else shape,
    lesions,
    (*visit.findings, *hospital.draw_extras(exposure, pose)),
  )
  return radiograph, exposure
