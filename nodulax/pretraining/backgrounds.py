"""The normal radiographs that nodules are put into, read once and kept in memory."""

import concurrent.futures
import os
from collections.abc import Sequence

import cv2
from rich.progress import track

from nodulax.phantom.implant import Background, ImplantError, prepare_background
from nodulax.phantom.implant.inputs import Picture, find_pictures
from nodulax.radiograph.reading import RadiographError, read_radiograph

_SHOWN = 20  # left-out radiographs whose reason is printed
LARGEST_SIDE = 1024  # pixels; larger radiographs are averaged down to it


def read_backgrounds(
  sources: Sequence[str], tune_images: int
) -> tuple[list[Background], list[Background]]:
  """Reads normal radiographs, and keeps some patients apart to tune on.

  Args:
    sources: folders or hospital manifests.
    tune_images: about how many radiographs to tune on, of patients spread over the sources.

  Returns:
    Backgrounds to train on and to tune on; no patient of a manifest is in both.

  Raises:
    ImplantError: a source cannot be read, or too few radiographs are fit for implants. Others are
      left out, and the reason is printed.
  """
  pictures: list[tuple[str, Picture]] = [
    (f'{number} {picture.patient}', picture)
    for number, source in enumerate(sources)
    for picture in find_pictures(source)
  ]
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
    results = threads.map(lambda pair: _read(pair[1]), pictures)
    read = list(track(results, 'reading backgrounds', total=len(pictures)))
  usable, left_out = [], []
  for (patient, _), background in zip(pictures, read, strict=True):
    if isinstance(background, Background):
      usable.append((patient, background))
    else:
      left_out.append(background)
  for reason in left_out[:_SHOWN]:
    print(f'left out: {reason}')
  if len(left_out) > _SHOWN:
    print(f'left out: {len(left_out) - _SHOWN} more')
  # Every so-many-th patient, so that every source is in both parts.
  patients = sorted({patient for patient, _ in usable})
  every = max(2, len(usable) // max(tune_images, 1))
  tuning = set(patients[::every])
  train = [background for patient, background in usable if patient not in tuning]
  tune = [background for patient, background in usable if patient in tuning]
  if not train or not tune:
    raise ImplantError(
      f'{", ".join(map(str, sources))}: {len(usable)} radiographs fit for implants; give a few '
      'hundred normal ones of several patients'
    )
  return train, tune


def _read(picture: Picture) -> Background | str:
  """The background, or why there is none."""
  if picture.refused:
    return f'{picture.name}: {picture.refused}'
  try:
    pixels = read_radiograph(picture.path).pixels
    shrink = LARGEST_SIDE / max(pixels.shape)
    spacing = picture.spacing_mm
    if shrink < 1:
      size = (round(pixels.shape[1] * shrink), round(pixels.shape[0] * shrink))
      pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
      spacing = spacing and (spacing[0] / shrink, spacing[1] / shrink)
    return prepare_background(pixels, spacing and sum(spacing) / 2, picture.name)
  except (RadiographError, ImplantError) as error:
    return str(error)
