"""The server of the page: its files, facts about the network, and its reading of a radiograph."""

import base64
import functools
import pathlib
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nodulax import NOTICE
from nodulax.app import local
from nodulax.checkpoints import evaluations
from nodulax.errors import NodulaxError, missing_extra
from nodulax.phantom.hospitals.profiles import GMC
from nodulax.phantom.hospitals.visits import Visit, take_radiograph
from nodulax.prediction.files import document, record
from nodulax.prediction.prediction import Prediction, Reading, as_stored, prepare
from nodulax.prediction.reader import Reader, whole_heat_map
from nodulax.radiograph import pictures
from nodulax.radiograph.dicom import is_dicom
from nodulax.radiograph.reading import (
  Radiograph,
  RadiographError,
  decode_radiograph,
  encode_png,
)

COLOURS = 32  # of the colour bar
_EXAMPLE = Visit('gmc', 20, 768, 4, lesions=('Mass',))
_FILES = {
  '/': 'page.html',
  '/page.css': 'page.css',
  '/film.js': 'film.js',
  '/page.js': 'page.js',
}


def create(
  reader: Reader, largest: int, measured: dict[str, evaluations.Metrics] | None
) -> Starlette:
  """The page's server; it keeps nothing on disk and logs nothing.

  Args:
    reader: reads one radiograph at a time.
    largest: largest size of a file in bytes; larger ones are refused.
    measured: metrics of the network's evaluations by name of the set; None if unknown.
  """
  one_at_a_time = threading.Lock()

  async def answered(request: Request, reply: Callable[[bytes], Response]) -> Response:
    """The response that `reply` makes from the file in a request."""
    data = await local.body(request, 'application/octet-stream', largest)

    def alone() -> Response:
      with one_at_a_time:
        return reply(data)

    return await run_in_threadpool(alone)

  async def read_one(request: Request) -> Response:
    return await answered(request, lambda data: JSONResponse(read(reader, data)))

  async def report_one(request: Request) -> Response:
    return await answered(
      request,
      lambda data: Response(structured_report(reader, data), media_type='application/dicom'),
    )

  def example(request: Request) -> Response:
    return Response(simulated(), media_type='image/png')

  def model(request: Request) -> Response:
    thresholds = reader.description.thresholds
    return JSONResponse(
      {
        'name': reader.description.name,
        'step': reader.description.step,
        'tune_images': thresholds.tune_images,
        'calibrated': thresholds.temperature is not None,
        'measured': None
        if measured is None
        else [
          f'{name}: AUC {evaluations.shown(metrics["auc"])}' for name, metrics in measured.items()
        ],
        'colours': pictures.colour_scale(COLOURS),
        'notice': NOTICE,
      }
    )

  return local.page(
    _FILES,
    [
      Route('/model', model),
      Route('/read', read_one, methods=['POST']),
      Route('/sr', report_one, methods=['POST']),
      Route('/example', example),
    ],
  )


def read(reader: Reader, data: bytes) -> dict[str, Any]:
  """Reads a radiograph, and returns what the page shows.

  Args:
    reader: reads one radiograph at a time.
    data: the bytes of a file.

  Returns:
    `radiograph`, as in findings.schema.json but in upright pixels; `findings`, the content of
    findings.json; `dicom`, whether the file is DICOM; `heat_threshold`, below which the heat map is
    transparent; `pixels`, u16 little endian in base64, of a picture `width` x `height`, spread over
    the 16 bits, `black` and `white` its usual window; `heat_map`, a PNG of that size, as opaque as
    it is hot.

  Raises:
    RadiographError: the file is not a readable radiograph, or not an upright frontal chest.
  """
  reading, prediction = _predict(reader, data)
  pixels = reading.radiograph.pixels
  shown = local.display(pixels)
  heat = whole_heat_map(
    prediction.heat_map, reading.crop, pixels.shape, (shown['width'], shown['height'])
  )
  lowest = reader.description.thresholds.heat_map.of(prediction.heat_map)
  stored = record('', *as_stored(reading, prediction))
  return {
    'radiograph': record('', reading, prediction),
    'findings': document(reader.description, [stored], {}),
    'dicom': is_dicom(data),
    'heat_threshold': lowest,
    **shown,
    'heat_map': base64.b64encode(pictures.png(pictures.heat_layer(heat, lowest))).decode(),
  }


def structured_report(reader: Reader, data: bytes) -> bytes:
  """The findings of a DICOM file as a structured report (TID 1500), for its archive.

  Raises:
    NodulaxError: the file is not a readable radiograph, is not DICOM, or lacks what the report must
      refer to; or the extra `dicom` is missing.
  """
  if not is_dicom(data):
    raise NodulaxError('a structured report refers to a DICOM file; this file is not DICOM')
  try:
    from nodulax.prediction import dicom_objects
  except ImportError as error:
    raise NodulaxError(missing_extra('DICOM output', 'dicom', error)) from error
  reading, prediction = as_stored(*_predict(reader, data))
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    source, report = folder / 'source.dcm', folder / 'report.dcm'
    source.write_bytes(data)
    dicom_objects.write({'dicom_sr': report}, source, reading, prediction, reader.description)
    return report.read_bytes()


def _predict(reader: Reader, data: bytes) -> tuple[Reading, Prediction]:
  """Reads the bytes of a file.

  Raises:
    RadiographError: it is not a readable radiograph, or not an upright frontal chest.
  """
  reading = prepare(decode_radiograph(data, 'this file'), reader.description.preprocessing)
  if reading.objection:
    raise RadiographError(f'this file is not read as a chest radiograph: {reading.objection}')
  (prediction,) = reader([reading])
  return reading, prediction


@functools.cache
def simulated() -> bytes:
  """A simulated radiograph with a mass, to try the page on, as a PNG file."""
  radiograph, _ = take_radiograph(GMC, _EXAMPLE)
  return encode_png(radiograph.pixels)


def warm_up(reader: Reader) -> None:
  """Compiles the network, so that the first radiograph need not wait for it."""
  blank = Radiograph(np.zeros((64, 64), np.uint8))
  reader([prepare(blank, reader.description.preprocessing)])
