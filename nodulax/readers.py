"""Opens trained networks from runs and exported files, on disk, in buckets or on the Hub."""

import os
import pathlib
from collections.abc import Sequence

import jax

from nodulax import exported
from nodulax.prediction.prediction import Prediction, Reading
from nodulax.prediction.reader import Reader
from nodulax.storage import folders, hub


class ExportedReader(Reader):
  """An exported network that reads like that of a run.

  Args:
    model: the network.
    batch_size: radiographs at a time.
  """

  def __init__(self, model: exported.Model, batch_size: int):
    self.description = model.description
    self.batch_size = batch_size
    self._model = model

  def __call__(self, readings: Sequence[Reading]) -> list[Prediction]:
    """Predictions for one to `batch_size` radiographs."""
    return [self._model.read(reading) for reading in readings]


def open_reader(
  source: str | os.PathLike, batch_size: int, devices: Sequence[jax.Device]
) -> Reader:
  """Opens the network that `source` names.

  Args:
    source: 'nodulax', the bundled network; the workdir of a training run; a file that
      `nodulax export` wrote; the address of either in a bucket; or hf://OWNER/NAME or
      hf://OWNER/NAME@REVISION, an exported network on the Hugging Face Hub.
    batch_size: radiographs at a time.
    devices: devices to run on; an exported network chooses its own.

  Raises:
    CheckpointError, ExportError: there is no network there, or it is damaged.
    StorageError: it cannot be downloaded.
  """
  text = os.fspath(source)
  if hub.is_address(text):
    file = hub.fetch(text, exported.LARGEST)
  elif text.endswith('.nodulax') or pathlib.Path(text).is_file():
    file = pathlib.Path(folders.fetch_file(text))
  else:
    return Reader(text, batch_size, devices)
  return ExportedReader(exported.load(file), batch_size)
