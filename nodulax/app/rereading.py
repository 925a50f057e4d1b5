"""The re-reading page: one radiograph of a queue after the other, and an answer to each.

It shows what the network says only after the reader has answered.
"""

import base64
import datetime
import json
import pathlib
import threading
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nodulax import NOTICE
from nodulax.app import local
from nodulax.csv_files import is_plain
from nodulax.input.shards import Shards
from nodulax.labels import rereading
from nodulax.labels.rereading import ANSWERS, Answer, RereadingError
from nodulax.prediction.prediction import prepare
from nodulax.prediction.reader import Reader, whole_heat_map
from nodulax.radiograph import pictures
from nodulax.radiograph.record import Radiograph

_FILES = {
  '/': 'rereading.html',
  '/page.css': 'page.css',
  '/film.js': 'film.js',
  '/rereading.js': 'rereading.js',
}
_LARGEST = 1 << 16  # bytes of an answer
_LONGEST_NAME = 60
_MOST_BOXES = 50


class Queue:
  """The radiographs to read, and every reader's answers, on disk as soon as they are given.

  Args:
    shards: the split that holds the radiographs.
    image_ids: radiographs to read, in this order.
    path: file of the re-reading; new answers are added to it.

  Raises:
    RereadingError: the split lacks a radiograph, or the file is not a re-reading of this split.
  """

  def __init__(self, shards: Shards, image_ids: Sequence[str], path: pathlib.Path):
    index = {name: number for number, name in enumerate(shards.column('image_id'))}
    where = f'the split {shards.split} of {shards.name}'
    if strangers := [name for name in image_ids if name not in index]:
      raise RereadingError(
        f'{len(strangers)} radiographs of the queue are not in {where}, the first is '
        f'{strangers[0][:60]!r}; choose the --split that they are in'
      )
    self._shards, self._path = shards, path
    self._image_ids = list(image_ids)
    self._index = [index[name] for name in image_ids]
    self._answers: dict[tuple[str, str], Answer] = {}
    self._writing = threading.Lock()
    if path.exists():
      answers = rereading.read_answers(path)
      rereading.require_known(answers, list(index), where)
      self._answers = {(answer.image_id, answer.reader): answer for answer in answers}

  def __len__(self) -> int:
    return len(self._image_ids)

  def radiograph(self, place: int) -> Radiograph:
    """The radiograph at a place of the queue."""
    _, pixels, _ = self._shards[self._index[place]]
    return Radiograph(pixels)

  def answer(self, place: int, reader: str) -> Answer | None:
    """The answer that a reader gave, if any."""
    return self._answers.get((self._image_ids[place], reader))

  def add(
    self, place: int, reader: str, answer: str, boxes: Sequence[Sequence[float]], seconds: float
  ) -> None:
    """Saves an answer; an earlier one by the reader stays in the file, but no longer counts.

    Raises:
      RereadingError: the answer is invalid.
    """
    if answer not in ANSWERS:
      raise RereadingError(f'answer is {answer[:60]!r}; it must be {" or ".join(ANSWERS)}')
    if len(boxes) > _MOST_BOXES or (boxes and answer != 'nodule'):
      raise RereadingError(f'boxes go with the answer nodule, at most {_MOST_BOXES}')
    height, width = self.radiograph(place).pixels.shape
    drawn = []
    for x_min, y_min, x_max, y_max in boxes:
      within = x_min >= 0 and x_max <= width and y_min >= 0 and y_max <= height
      if not (within and x_max - x_min >= 1 and y_max - y_min >= 1):
        raise RereadingError(
          f'a box must lie within the {width} x {height} pixels, and be at least one wide and high'
        )
      drawn.append((float(x_min), float(y_min), float(x_max), float(y_max)))
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
    given = Answer(self._image_ids[place], reader, answer, tuple(drawn), float(seconds), now)
    with self._writing:
      rereading.append_answer(self._path, given)
      self._answers[given.image_id, reader] = given


def create(queue: Queue, reader: Reader) -> Starlette:
  """The page's server.

  Args:
    queue: the radiographs to read, and where the answers go.
    reader: the network, which reads one radiograph at a time.
  """
  one_at_a_time = threading.Lock()

  def places(request: Request) -> Response:
    name = _name(request.query_params.get('reader', ''))
    given = [queue.answer(place, name) for place in range(len(queue))]
    return JSONResponse(
      {
        'answers': [
          answer and {'answer': answer.answer, 'boxes': answer.boxes} for answer in given
        ],
        'notice': NOTICE,
      }
    )

  def radiograph(request: Request) -> Response:
    pixels = queue.radiograph(_place(request, queue)).pixels
    height, width = pixels.shape
    return JSONResponse({**local.display(pixels), 'stored': [width, height]})

  def heat(request: Request) -> Response:
    place, name = _place(request, queue), _name(request.query_params.get('reader', ''))
    if queue.answer(place, name) is None:
      raise local.Refusal(403, 'the heat map is shown once there is an answer')
    with one_at_a_time:
      return JSONResponse(_network(reader, queue.radiograph(place)))

  async def answer(request: Request) -> Response:
    given = _answer(await local.body(request, 'application/json', _LARGEST), queue)
    await run_in_threadpool(queue.add, *given)
    return JSONResponse({'saved': True})

  return local.page(
    _FILES,
    [
      Route('/queue', places),
      Route('/radiograph/{place:int}', radiograph),
      Route('/heat/{place:int}', heat),
      Route('/answer', answer, methods=['POST']),
    ],
  )


def _network(reader: Reader, radiograph: Radiograph) -> dict[str, Any]:
  """The network's probability, and its heat map as a PNG of the picture's size."""
  reading = prepare(radiograph, reader.description.preprocessing)
  (prediction,) = reader([reading])
  pixels = reading.radiograph.pixels
  height, width = local.size(pixels)
  heat = whole_heat_map(prediction.heat_map, reading.crop, pixels.shape, (width, height))
  lowest = reader.description.thresholds.heat_map.of(prediction.heat_map)
  layer = pictures.png(pictures.heat_layer(heat, lowest))
  return {
    'probability': prediction.probability,
    'heat_map': base64.b64encode(layer).decode(),
  }


def _place(request: Request, queue: Queue) -> int:
  place = int(request.path_params['place'])
  if place >= len(queue):
    raise local.Refusal(404, f'the queue has {len(queue)} radiographs')
  return place


def _name(text: str) -> str:
  """A reader's name.

  Raises:
    Refusal: it is empty, long, or would do harm in a file.
  """
  name = text.strip()
  if not name or len(name) > _LONGEST_NAME or not is_plain(name):
    raise local.Refusal(422, 'give your name or initials, in letters and digits')
  return name


def _answer(data: bytes, queue: Queue) -> tuple[int, str, str, list[list[float]], float]:
  """The answer that a request brings, as `Queue.add` takes it."""
  try:
    given = json.loads(data)
    place, seconds = int(given['place']), float(given['seconds'])
    boxes = [[float(edge) for edge in box] for box in given['boxes']]
    name, answer = _name(str(given['reader'])), str(given['answer'])
    if not all(len(box) == 4 for box in boxes) or not 0 <= place < len(queue) or seconds < 0:
      raise ValueError
  except (ValueError, KeyError, TypeError):
    raise local.Refusal(422, 'this is not an answer') from None
  return place, name, answer, boxes, seconds
