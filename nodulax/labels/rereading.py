"""A second reading of radiographs, as the re-reading page writes it.

It is a CSV file with one line per answer: image_id, reader, answer (nodule, normal or unsure) and
boxes around nodules, 'x_min y_min x_max y_max; ...' in pixels of the stored radiograph. It may also
have the columns seconds and time. If a reader answers a radiograph twice, the later line counts.
"""

import collections
import csv
import dataclasses
import io
import math
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from nodulax.csv_files import CsvFile
from nodulax.errors import NodulaxError

ANSWERS = ('nodule', 'normal', 'unsure')
COLUMNS = ('image_id', 'reader', 'answer', 'boxes', 'seconds', 'time')

Box = tuple[float, float, float, float]


class RereadingError(NodulaxError):
  """A re-reading that cannot be used; says which file and line, and what to do."""


@dataclasses.dataclass(frozen=True)
class Answer:
  """The answer of a reader to a radiograph.

  Attributes:
    image_id: as shards and predictions name it.
    reader: any name.
    answer: one of `ANSWERS`.
    boxes: around the nodules, in pixels of the stored radiograph.
    seconds: time that the reader took; NaN if unknown.
    time: time of the answer, in ISO 8601; '' if unknown.
  """

  image_id: str
  reader: str
  answer: str
  boxes: tuple[Box, ...] = ()
  seconds: float = math.nan
  time: str = ''


@dataclasses.dataclass(frozen=True)
class Settled:
  """What the readers of a radiograph agree on.

  Attributes:
    label: 1 with a nodule, else 0.
    boxes: those of the first reader who drew any, if there is a nodule.
  """

  label: int
  boxes: tuple[Box, ...]


def read_answers(path: str | os.PathLike) -> list[Answer]:
  """Reads the answers of a file, the last of each reader to each radiograph.

  Raises:
    RereadingError: the file cannot be read, has no answers, or a line is invalid.
  """
  file = CsvFile(pathlib.Path(path), COLUMNS[:3], COLUMNS[3:], error=RereadingError)
  answers = {}
  for line, image_id, reader, answer, boxes, seconds, time in zip(
    file.lines,
    file.text('image_id'),
    file.text('reader'),
    file.choice('answer', ANSWERS),
    file.text('boxes', empty=''),
    file.numbers('seconds', 0, math.inf),
    file.text('time', empty=''),
    strict=True,
  ):
    try:
      drawn = parse_boxes(boxes)
    except ValueError as error:
      raise file.fault(line, f'boxes is {boxes[:60]!r}; {error}') from None
    if drawn and answer != 'nodule':
      raise file.fault(line, f'a box goes with the answer nodule, not {answer}')
    answers[image_id, reader] = Answer(image_id, reader, answer, drawn, float(seconds), time)
  if not answers:
    raise RereadingError(f'{path}: it has no answers')
  return list(answers.values())


def parse_boxes(text: str) -> tuple[Box, ...]:
  """Parses boxes written as 'x_min y_min x_max y_max; ...'.

  Raises:
    ValueError: the text is not in this form.
  """
  boxes = []
  for part in text.split(';') if text else ():
    numbers = [float(number) for number in part.split() if number.replace('.', '', 1).isdigit()]
    if len(numbers) != 4 or len(part.split()) != 4:
      raise ValueError("write 'x_min y_min x_max y_max; ...' in pixels")
    x_min, y_min, x_max, y_max = numbers
    if not (x_min < x_max and y_min < y_max):
      raise ValueError('the maxima of a box must lie above its minima')
    boxes.append((x_min, y_min, x_max, y_max))
  return tuple(boxes)


def append_answer(path: str | os.PathLike, answer: Answer) -> None:
  """Adds a line to a file, creating it if needed, and returns once the line is on disk.

  The line has the columns of the file. If it cannot be written, nothing of it is left.

  Raises:
    RereadingError: the answer has boxes, but the file has no column for them.
    OSError: the file cannot be written.
  """
  path = pathlib.Path(path)
  there = path.read_bytes() if path.exists() else b''
  columns: Sequence[str] = COLUMNS
  if there:
    columns = CsvFile(path, COLUMNS[:3], COLUMNS[3:], error=RereadingError).columns
  if answer.boxes and 'boxes' not in columns:
    raise RereadingError(f'{path} has no column boxes; add it to the first line, or use a new file')
  text = io.StringIO()
  if there and not there.endswith(b'\n'):  # some editors leave it out
    text.write('\n')
  writer = csv.DictWriter(text, columns, extrasaction='ignore', lineterminator='\n')
  if not there:
    writer.writeheader()
  writer.writerow(dict(zip(COLUMNS, _row(answer), strict=True)))
  line = text.getvalue().encode()
  file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
  try:
    while line:
      line = line[os.write(file, line) :]
    os.fsync(file)
  except OSError:
    os.ftruncate(file, len(there))
    raise
  finally:
    os.close(file)


def write_answers(path: str | os.PathLike, answers: Iterable[Answer]) -> None:
  """Writes a new file."""
  with pathlib.Path(path).open('w', newline='', encoding='utf-8') as file:
    csv.writer(file, lineterminator='\n').writerows([COLUMNS, *map(_row, answers)])


def _row(answer: Answer) -> tuple[str, ...]:
  boxes = '; '.join(' '.join(f'{edge:.1f}' for edge in box) for box in answer.boxes)
  seconds = '' if math.isnan(answer.seconds) else f'{answer.seconds:.1f}'
  return answer.image_id, answer.reader, answer.answer, boxes, seconds, answer.time


def settle(answers: Sequence[Answer]) -> dict[str, Settled]:
  """Returns the majority answer to each radiograph; leaves out those split or unsure."""
  by_image: dict[str, list[Answer]] = collections.defaultdict(list)
  for answer in answers:
    by_image[answer.image_id].append(answer)
  settled = {}
  for image_id, of_image in by_image.items():
    votes = collections.Counter(answer.answer for answer in of_image)
    if votes['nodule'] == votes['normal']:
      continue
    label = int(votes['nodule'] > votes['normal'])
    drawn = [answer.boxes for answer in of_image if answer.boxes]
    settled[image_id] = Settled(label, drawn[0] if label and drawn else ())
  return settled


def as_table(answers: Sequence[Answer], image_ids: Sequence[str]) -> tuple[list[str], np.ndarray]:
  """Arranges the answers as the statistics take them.

  Args:
    answers: by any readers, to any radiographs.
    image_ids: ids of the n radiographs to include.

  Returns:
    The R readers, sorted, and f64[n, R]: 1 for a nodule, 0 for none, NaN where a reader was unsure
    or did not read.
  """
  readers = sorted({answer.reader for answer in answers})
  row = {image_id: number for number, image_id in enumerate(image_ids)}
  column = {reader: number for number, reader in enumerate(readers)}
  table = np.full((len(row), len(readers)), np.nan)
  for answer in answers:
    if answer.image_id in row and answer.answer != 'unsure':
      table[row[answer.image_id], column[answer.reader]] = answer.answer == 'nodule'
  return readers, table


def require_known(answers: Sequence[Answer], known: Sequence[str], where: str) -> None:
  """Refuses answers to radiographs that are not in a set, which `where` names.

  Raises:
    RereadingError: there are some.
  """
  strangers = sorted({answer.image_id for answer in answers}.difference(known))
  if strangers:
    raise RereadingError(
      f'{len(strangers)} of the radiographs read again are not in {where}, the first is '
      f'{strangers[0][:60]!r}; give the re-reading of this set'
    )
