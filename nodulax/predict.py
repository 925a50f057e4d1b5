"""Reads radiographs and writes the findings.

  python -m nodulax.predict --output=DIR image.dcm folder/ 'scans/*/*.png'

Reads DICOM, PNG, JPEG, TIFF, BMP and MetaImage (.mha) with the network bundled with nodulax, or
with that of a training run, an exported file or the Hugging Face Hub (--checkpoint). Writes
findings.csv (one row per radiograph), locations.csv (one row per finding), findings.json (both, as
findings.schema.json describes), nodules.json (the format of the NODE21 challenge) and overlays/.
Of DICOM radiographs --dicom_sr, --dicom_seg and --dicom_sc also write DICOM objects for the archive
that they came from; these name the patient.

A picture that does not look like an upright frontal chest radiograph is refused: it gets no
probability, and findings.csv gives the reason. --force reads it anyway. The same command resumes
where it stopped. Exit status 1 means that some files, listed at the end, could not be read, were
refused, or lack part of their output. For research, not a medical device.
"""

import argparse
import functools
import itertools
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

import jax
from absl import logging
from rich.progress import Progress

from nodulax import NOTICE, cli
from nodulax.checkpoints.description import Description
from nodulax.errors import OptionError, missing_extra
from nodulax.prediction.discovery import radiographs_in, read_list
from nodulax.prediction.files import FATAL, Journal, OutputError, Refused, record
from nodulax.prediction.prediction import Prediction, Reading, as_stored
from nodulax.prediction.reader import Reader, draw, read
from nodulax.radiograph import pictures
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.radiograph.reading import RadiographError
from nodulax.readers import open_reader
from nodulax.storage import folders

T = TypeVar('T')
DICOM_KINDS = ('dicom_sr', 'dicom_seg', 'dicom_sc')
SECONDS_UNSENT = 300  # of work at most are lost with a machine, if the output is in a bucket


class Unwritten(str):
  """Why an overlay or DICOM object of a radiograph could not be written."""


def predict(
  run: str | os.PathLike,
  files: dict[str, pathlib.Path],
  output: str | os.PathLike,
  batch_size: int,
  dicom: Sequence[str] = (),
  *,
  force: bool = False,
) -> dict[str, str]:
  """Reads radiographs with a run's best network, except those that `output` holds already.

  Args:
    run: the network, as `open_reader` takes it.
    files: as `radiographs_in` gives them.
    output: the folder to write; a copy that `folders.check_out` made is sent back repeatedly.
    batch_size: radiographs at a time.
    dicom: kinds of DICOM objects to write, from `DICOM_KINDS`, each in its own folder.
    force: also read what does not look like an upright frontal chest radiograph.

  Returns:
    What was wrong with each file that could not be read, by its name; `Refused` where it does not
    look like an upright frontal chest radiograph; `Unwritten` where it was read and its findings
    are in the tables, but an overlay or a DICOM object could not be written.

  Raises:
    CheckpointError, ExportError, StorageError: there is no such network.
    OutputError: `output` holds the findings of another network, or the extra `dicom` is missing.
  """
  write_dicom = _dicom_writer() if dicom else None
  output = pathlib.Path(output)
  reader = open_reader(run, batch_size, jax.local_devices())
  (output / 'overlays').mkdir(parents=True, exist_ok=True)
  (output / 'NOTICE.txt').write_text(NOTICE + '\n')
  journal = Journal(output, reader.description, dicom, files)
  if not force:
    journal.drop_forced()
  left = {name: path for name, path in files.items() if name not in journal.records}
  faults: dict[str, str] = {}
  sent = time.monotonic()
  threads = ThreadPoolExecutor(os.cpu_count())
  batches = _batches(threads, left, reader.description.preprocessing, reader.batch_size, force)
  beside = functools.partial(
    _write_beside, output, files, dicom, write_dicom, reader.description
  )  # fmt: skip
  try:
    with Progress() as progress:
      task = progress.add_task('Reading radiographs', total=len(files))
      progress.advance(task, len(files) - len(left))
      for batch, answers in _one_ahead(_answered(reader, batches)):
        faults |= {name: what for name, what in batch.items() if isinstance(what, str)}
        for name, (reading, prediction) in answers.items():
          for doubt in reading.radiograph.doubts:
            logging.warning('%s: %s', name, doubt)
          journal.records[name] = record(name, reading, prediction)
        unwritten = threads.map(beside, answers, *zip(*answers.values(), strict=True))
        for name, why in zip(answers, unwritten, strict=True):
          if why is None:
            journal.add(files[name], journal.records[name])  # or the next start tries again
          else:
            faults[name] = why
        progress.advance(task, len(batch))
        if time.monotonic() - sent > SECONDS_UNSENT:
          folders.publish(output)
          sent = time.monotonic()
  finally:
    threads.shutdown(cancel_futures=True)
    journal.write_tables(output, faults)
    folders.publish(output)
  return faults


def _dicom_writer() -> Callable[..., None]:
  try:
    from nodulax.prediction.dicom_objects import write
  except ImportError as error:
    raise OutputError(missing_extra('DICOM output', 'dicom', error)) from error
  return write


def _with_suffix(name: str, suffix: str, files: Mapping[str, pathlib.Path]) -> str:
  """A radiograph's name, ending with a suffix once, and different from all other names."""
  stem = name.removesuffix(suffix)
  return name if stem != name and stem not in files else f'{name}{suffix}'


def _batches(
  threads: Executor,
  files: dict[str, pathlib.Path],
  preprocessing: Preprocessing,
  batch_size: int,
  force: bool,
) -> Iterator[dict[str, Reading | str]]:
  """The files, `batch_size` at a time: a reading each, or what is wrong with it."""

  def attempt(path: pathlib.Path) -> Reading | str:
    try:
      reading = read(path, preprocessing)
      if reading.objection and not force:
        return Refused('; '.join((reading.objection, *reading.radiograph.doubts)))
      return reading
    except (RadiographError, OSError) as error:
      return str(error).removeprefix(f'{path}: ')
    except Exception as error:  # one file, however odd, must not cost the others
      return f'cannot be read ({type(error).__name__}); exclude it, and please report this'

  def start(names: Sequence[str]) -> dict[str, Future[Reading | str]]:
    return {name: threads.submit(attempt, files[name]) for name in names}

  names = list(files)
  parts = [names[at : at + batch_size] for at in range(0, len(names), batch_size)]
  # While the devices work on one batch, the next is read.
  coming = start(parts[0]) if parts else {}
  for following in [*parts[1:], []]:
    batch, coming = coming, start(following)
    yield {name: future.result() for name, future in batch.items()}


def _answered(
  reader: Reader, batches: Iterable[dict[str, Reading | str]]
) -> Iterator[tuple[dict[str, Reading | str], dict[str, tuple[Reading, Prediction]]]]:
  """Batches, each with the network's answers to its readings, both as the files are stored."""
  for batch in batches:
    readable = {name: what for name, what in batch.items() if isinstance(what, Reading)}
    predictions = reader(list(readable.values())) if readable else []
    pairs = zip(readable.values(), predictions, strict=True)
    yield batch, dict(zip(readable, itertools.starmap(as_stored, pairs), strict=True))


def _one_ahead(items: Iterator[T]) -> Iterator[T]:
  """The same items, each made while the one before is worked on."""
  with ThreadPoolExecutor(1) as thread:
    coming = thread.submit(next, items, None)
    while (item := coming.result()) is not None:
      coming = thread.submit(next, items, None)
      yield item


def _write_beside(
  output: pathlib.Path,
  files: Mapping[str, pathlib.Path],
  dicom: Sequence[str],
  write_dicom: Callable[..., None] | None,
  description: Description,
  name: str,
  reading: Reading,
  prediction: Prediction,
) -> Unwritten | None:
  """Writes the overlay and DICOM objects of one radiograph; returns what could not be written.

  Raises:
    OSError: nothing more can be written.
  """
  kinds = {kind: output / kind / _with_suffix(name, '.dcm', files) for kind in dicom}
  try:
    _write_overlay(
      output / 'overlays' / _with_suffix(name, '.png', files), reading, prediction
    )  # fmt: skip
    if write_dicom:
      write_dicom(kinds, files[name], reading, prediction, description)
  except ValueError as error:
    return Unwritten(error)
  except OSError as error:
    if error.errno in FATAL:
      raise
    return Unwritten(f'{error.strerror}; rename the file, or use --numbered')
  return None


def _write_overlay(path: pathlib.Path, reading: Reading, prediction: Prediction) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(pictures.png(draw(reading, prediction)))


def add_arguments(parser: cli.Parser) -> None:
  cli.add_checkpoint(parser, exported=True)
  add = parser.add_argument
  add('paths', nargs='*', metavar='FILE', help='radiographs, folders and glob patterns')
  add('--output', required=True, help='folder to write')
  add('--list', help='text file that names more files and folders, one per line')
  add(
    '--numbered', action='store_true', help='number the radiographs instead of naming their files'
  )
  add('--force', action='store_true', help='also read what is refused otherwise')
  add('--dicom_sr', action='store_true', help='write a DICOM structured report (TID 1500) of each')
  add('--dicom_seg', action='store_true', help='write each heat map as a DICOM segmentation')
  add('--dicom_sc', action='store_true', help='write each overlay as a DICOM secondary capture')
  add('--batch_size', type=cli.at_least(1), default=8, help='radiographs at a time (default: 8)')


def main(given: argparse.Namespace) -> None:
  logging.set_verbosity(logging.WARNING)
  if not given.paths and not given.list:
    raise OptionError('name at least one file or folder, or a --list of files')
  listed = read_list(given.list) if given.list else ()
  files = radiographs_in(given.paths, listed, numbered=given.numbered)
  kinds = [kind for kind in DICOM_KINDS if getattr(given, kind)]
  output = folders.check_out(given.output)
  faults = predict(given.checkpoint, files, output, given.batch_size, kinds, force=given.force)
  unwritten = {name: why for name, why in faults.items() if isinstance(why, Unwritten)}
  refused = {name: why for name, why in faults.items() if isinstance(why, Refused)}
  unread = {name: why for name, why in faults.items() if name not in {**unwritten, **refused}}
  read_well = len(files) - len(unread) - len(refused)
  print(f'{read_well} of {len(files)} radiographs: {given.output}/findings.csv, overlays/')
  print(NOTICE)
  faulty = _listed('with a fault', unread)
  faulty += _listed('refused as not an upright frontal chest (--force reads them anyway)', refused)
  faulty += _listed('read, but not all of it written', unwritten)
  if faulty:
    raise SystemExit('\n'.join(faulty))


def _listed(what: str, faults: Mapping[str, str]) -> list[str]:
  """The lines that name files and their faults; none if there are none."""
  lines = [f'  {name}: {fault}' for name, fault in faults.items()]
  return [f'{len(faults)} {what}:', *lines] if faults else []


if __name__ == '__main__':
  cli.run('predict', prog='python -m nodulax.predict')
