"""Radiographs in, findings out.

  python -m nodulax.predict --checkpoint=RUN --output=DIR image.dcm folder/ 'scans/*/*.png'

Reads DICOM, PNG, JPEG, TIFF, BMP and MetaImage (.mha). Writes findings.csv (one row a radiograph),
locations.csv (one row a finding), findings.json (both; findings.schema.json says what it holds),
nodules.json (the form of NODE21) and overlays/; for DICOM radiographs, with --dicom_sr, --dicom_seg
and --dicom_sc, objects for the archive that they came from, which name the patient. Run again it
resumes where it stopped. Exit status 1 says that some files, listed at the end, could not be read,
or that not all of their output could be written. For research, not a medical device.
"""

import errno
import glob
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import jax
from absl import app, flags, logging
from rich.progress import Progress

from nodulax import NOTICE
from nodulax.checkpoints.checkpoint import CheckpointError
from nodulax.prediction.files import Journal, OutputError, record
from nodulax.prediction.prediction import Prediction, Reading, as_stored
from nodulax.prediction.reader import Reader, draw, read
from nodulax.radiograph import pictures
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.radiograph.reading import FORMATS, RadiographError, begins_as_radiograph
from nodulax.storage import folders

DICOM_KINDS = ('dicom_sr', 'dicom_seg', 'dicom_sc')
# In folders, taken whatever is in them.
SUFFIXES = ('.bmp', '.dcm', '.dicom', '.jpeg', '.jpg', '.mha', '.png', '.tif', '.tiff')
# After these nothing can be written any more. What else keeps findings from being written, a name
# that is too long for example, is a fault of one file.
FATAL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
SECONDS_UNSENT = 300  # of work at most that a lost machine costs, where the output is in a bucket


class Unwritten(str):
  """Why something of a radiograph that was read could not be written beside its findings."""


def radiographs_in(
  paths: Sequence[str], listed: Sequence[str] = (), *, numbered: bool = False
) -> dict[str, pathlib.Path]:
  """The files to read, by the name they go by in the output.

  A file goes by its name; one in a folder, of a glob pattern or of a list by its path from the
  innermost folder that holds them all. Files of equal names are numbered.

  Args:
    paths: files, folders and glob patterns.
    listed: more files, whether they exist or not.
    numbered: call them 000001, 000002 and so on in this order, so that no file name, which might
      name a patient, reaches the output.

  Raises:
    FileNotFoundError: a path does not exist, or a folder or pattern holds no radiograph.
  """
  named: dict[str, pathlib.Path] = {}

  def add(name: str, path: pathlib.Path) -> None:
    # File names that are not text in this system's encoding could not be written to a table.
    name = name.encode('utf-8', 'backslashreplace').decode()
    unique, number = f'{len(named) + 1:06d}' if numbered else name, 2
    while unique in named:
      unique, number = f'{name} ({number})', number + 1
    named[unique] = path

  def add_all(files: list[pathlib.Path]) -> None:
    # Without '..', so that no name leads out of the output.
    whole = [pathlib.Path(os.path.abspath(file)) for file in files]
    common = os.path.commonpath([file.parent for file in whole])
    for name, file in zip(whole, files, strict=True):
      add(name.relative_to(common).as_posix(), file)

  for text in paths:
    path = pathlib.Path(text)
    if path.is_dir():
      inside = _images(text, path.rglob('*'))
      if not inside:
        raise FileNotFoundError(f'{path}: no {FORMATS} file in this folder')
      for file in inside:
        add(file.relative_to(path).as_posix(), file)
    elif path.is_file():
      add(path.name, path)
    elif glob.has_magic(text):
      matching = _images(text, map(pathlib.Path, glob.glob(text, recursive=True)))
      if not matching:
        raise FileNotFoundError(f'{text}: no {FORMATS} file matches')
      add_all(matching)
    else:
      raise FileNotFoundError(f'{path}: no such file or folder')
  if listed:
    add_all([pathlib.Path(line) for line in listed])
  return named


def read_list(path: str | os.PathLike) -> list[str]:
  """The files that a list names, one a line; blank lines are passed over.

  Raises:
    OSError: the list cannot be read.
    ValueError: it is not text, or names no file.
  """
  try:
    lines = pathlib.Path(path).read_text(encoding='utf-8').splitlines()
  except UnicodeDecodeError as error:
    raise ValueError(f'{path}: not a list in UTF-8; write one path a line') from error
  named = [line.strip() for line in lines if line.strip()]
  if not named:
    raise ValueError(f'{path}: the list names no file; write one path a line')
  return named


def predict(
  run: str | os.PathLike,
  files: dict[str, pathlib.Path],
  output: str | os.PathLike,
  batch_size: int,
  dicom: Sequence[str] = (),
) -> dict[str, str]:
  """Reads radiographs with a run's best network, but for those that `output` holds already.

  Args:
    run: the workdir of a training run.
    files: as `radiographs_in` gives them.
    output: the folder to write; a copy that `folders.check_out` made is sent back now and then.
    batch_size: radiographs at a time.
    dicom: which DICOM objects to write, of `DICOM_KINDS`, in a folder each.

  Returns:
    What was wrong with each file that could not be read, by its name; `Unwritten` where it was read
    and its findings stand in the tables, but an overlay or a DICOM object could not be written.

  Raises:
    CheckpointError: there is no such run.
    OutputError: `output` holds the findings of another network, or the extra `dicom` is missing.
  """
  write_dicom = _dicom_writer() if dicom else None
  output = pathlib.Path(output)
  reader = Reader(run, batch_size, jax.local_devices())
  (output / 'overlays').mkdir(parents=True, exist_ok=True)
  (output / 'NOTICE.txt').write_text(NOTICE + '\n')
  journal = Journal(output, reader.description, dicom, files)
  left = {name: path for name, path in files.items() if name not in journal.records}
  faults: dict[str, str] = {}
  sent = time.monotonic()
  try:
    with Progress() as progress:
      task = progress.add_task('Reading radiographs', total=len(files))
      progress.advance(task, len(files) - len(left))
      for batch in _batches(left, reader.description.preprocessing, reader.batch_size):
        readable = {name: what for name, what in batch.items() if isinstance(what, Reading)}
        faults |= {name: what for name, what in batch.items() if isinstance(what, str)}
        predictions = reader(list(readable.values())) if readable else []
        for (name, upright), answer in zip(readable.items(), predictions, strict=True):
          reading, prediction = as_stored(upright, answer)
          for doubt in reading.radiograph.doubts:
            logging.warning('%s: %s', name, doubt)
          done = record(name, reading, prediction)
          journal.records[name] = done
          kinds = {kind: output / kind / f'{name}.dcm' for kind in dicom}
          try:
            _write_overlay(output / 'overlays' / f'{name}.png', reading, prediction)
            if write_dicom:
              write_dicom(kinds, files[name], reading, prediction, reader.description)
            journal.add(files[name], done)  # or the next start tries again
          except ValueError as error:
            faults[name] = Unwritten(error)
          except OSError as error:
            if error.errno in FATAL:
              raise
            faults[name] = Unwritten(f'{error.strerror}; rename the file, or use --numbered')
        progress.advance(task, len(batch))
        if time.monotonic() - sent > SECONDS_UNSENT:
          folders.publish(output)
          sent = time.monotonic()
  finally:
    journal.write_tables(output, faults)
    folders.publish(output)
  return faults


def _dicom_writer() -> Callable[..., None]:
  try:
    from nodulax.prediction.dicom_objects import write
  except ImportError as error:
    raise OutputError(f"DICOM output needs the extra: pip install '.[dicom]' ({error})") from error
  return write


def _images(where: str, paths: Iterable[pathlib.Path]) -> list[pathlib.Path]:
  """The radiographs among `paths`, in order; says how many other files of `where` there are."""
  files = [path for path in sorted(paths) if path.is_file() and not path.name.startswith('.')]
  images = [path for path in files if _is_radiograph(path)]
  if len(images) < len(files):
    skipped = f'{len(files) - len(images):,} of {len(files):,} files'
    logging.warning('%s: skipped %s: no %s', where, skipped, FORMATS)
  return images


def _is_radiograph(path: pathlib.Path) -> bool:
  """Whether a file is meant to be one, by its name or by how it begins."""
  if path.suffix.lower() in SUFFIXES:
    return True
  try:
    return begins_as_radiograph(path)
  except OSError:
    return True  # so that it is listed as a file that cannot be read


def _batches(
  files: dict[str, pathlib.Path], preprocessing: Preprocessing, batch_size: int
) -> Iterator[dict[str, Reading | str]]:
  """The files, `batch_size` at a time: a reading each, or what is wrong with it."""

  def attempt(path: pathlib.Path) -> Reading | str:
    try:
      return read(path, preprocessing)
    except (RadiographError, OSError) as error:
      return str(error).removeprefix(f'{path}: ')
    except Exception as error:  # one file, however odd, must not cost the others
      return f'cannot be read ({type(error).__name__}); exclude it, and please report this'

  def start(names: Sequence[str]) -> dict[str, Future[Reading | str]]:
    return {name: threads.submit(attempt, files[name]) for name in names}

  names = list(files)
  parts = [names[at : at + batch_size] for at in range(0, len(names), batch_size)]
  threads = ThreadPoolExecutor(os.cpu_count())
  try:
    # While the devices work on one batch, the next is read.
    coming = start(parts[0]) if parts else {}
    for following in [*parts[1:], []]:
      batch, coming = coming, start(following)
      yield {name: future.result() for name, future in batch.items()}
  finally:
    threads.shutdown(cancel_futures=True)


def _write_overlay(path: pathlib.Path, reading: Reading, prediction: Prediction) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(pictures.png(draw(reading, prediction)))


def main(arguments: Sequence[str]) -> None:
  logging.set_verbosity(logging.WARNING)
  values = flags.FLAGS
  if len(arguments) < 2 and not values.list:
    raise app.UsageError('name at least one file or folder, or a --list of files')
  try:
    listed = read_list(values.list) if values.list else ()
    files = radiographs_in(arguments[1:], listed, numbered=values.numbered)
    kinds = [kind for kind in DICOM_KINDS if values[kind].value]
    output = folders.check_out(values.output)
    faults = predict(values.checkpoint, files, output, values.batch_size, kinds)
  except (CheckpointError, OutputError, ValueError, OSError) as error:
    raise SystemExit(f'nodulax: {error}') from error
  unwritten = {name: why for name, why in faults.items() if isinstance(why, Unwritten)}
  unread = {name: why for name, why in faults.items() if name not in unwritten}
  read_well = len(files) - len(unread)
  print(f'{read_well} of {len(files)} radiographs: {values.output}/findings.csv, overlays/')
  print(NOTICE)
  told = _listed('with a fault', unread) + _listed('read, but not all of it written', unwritten)
  if told:
    raise SystemExit('\n'.join(told))


def _listed(what: str, faults: Mapping[str, str]) -> list[str]:
  """The lines that name files and their faults; none where there are none."""
  lines = [f'  {name}: {fault}' for name, fault in faults.items()]
  return [f'{len(faults)} {what}:', *lines] if faults else []


if __name__ == '__main__':
  flags.DEFINE_string('checkpoint', None, 'Workdir of the training run.', required=True)
  flags.DEFINE_string('output', None, 'Folder to write.', required=True)
  flags.DEFINE_string('list', None, 'Text file that names more radiographs, one a line.')
  flags.DEFINE_bool('numbered', False, 'Number the radiographs in place of their file names.')
  flags.DEFINE_bool('dicom_sr', False, 'Write a DICOM structured report (TID 1500) of each.')
  flags.DEFINE_bool('dicom_seg', False, 'Write the heat map of each as a DICOM segmentation.')
  flags.DEFINE_bool('dicom_sc', False, 'Write the overlay of each as a DICOM secondary capture.')
  flags.DEFINE_integer('batch_size', 8, 'Radiographs at a time.')
  app.run(main)
