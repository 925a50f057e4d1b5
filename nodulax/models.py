"""Trained networks in Python: `nodulax.load()` returns one, and calling it reads radiographs."""

import dataclasses
import io
import os
import pathlib
import tempfile
from typing import Any, overload

import jax
import numpy as np
import pandas as pd

from nodulax.checkpoints import evaluations
from nodulax.errors import NodulaxError
from nodulax.evaluate import evaluate
from nodulax.prediction.findings import Place
from nodulax.prediction.prediction import Prediction as Answer
from nodulax.prediction.prediction import Reading, as_stored, prepare
from nodulax.prediction.reader import Reader, draw, whole_heat_map
from nodulax.radiograph import pictures
from nodulax.radiograph.reading import decode_radiograph, read_radiograph
from nodulax.radiograph.record import Radiograph, RadiographError, as_grey
from nodulax.readers import ExportedReader, open_reader
from nodulax.statistics.findings import Finding

Image = str | os.PathLike | np.ndarray | Any
"""A radiograph: path, array u8 or u16[H, W], PIL image, or pydicom dataset."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Prediction:
  """The answer of a network for a radiograph; notebooks show it as a picture.

  Attributes:
    reading: the radiograph, and the part of it that the network saw.
    answer: the network's probability, heat map and findings.
  """

  reading: Reading
  answer: Answer

  @property
  def probability(self) -> float:
    """Probability of a nodule or mass; calibrated if the network has a temperature."""
    return self.answer.probability

  @property
  def threshold(self) -> float:
    """Probability at or above which the radiograph is called positive."""
    return self.answer.threshold

  @property
  def positive(self) -> bool:
    """Whether the probability reaches the threshold."""
    return self.answer.positive

  @property
  def findings(self) -> list[Finding]:
    """The heat map's peaks, the hottest first, in pixels of the radiograph as stored."""
    return self.answer.findings

  @property
  def places(self) -> list[Place]:
    """Where each finding lies in the patient."""
    return self.answer.places

  @property
  def heat_map(self) -> np.ndarray:
    """f32[H, W] in [0, 1], of the whole radiograph as stored; 0 outside what the network saw."""
    height, width = self.pixels.shape
    return whole_heat_map(self.answer.heat_map, self.reading.crop, (height, width), (width, height))

  @property
  def pixels(self) -> np.ndarray:
    """u8 or u16[H, W], the radiograph as stored, bright where tissue is dense."""
    return self.reading.radiograph.pixels

  def overlay(self) -> np.ndarray:
    """u8[h, w, 3], the radiograph with its heat map and its marked findings."""
    return draw(self.reading, self.answer)

  def show(self) -> Any:
    """Draws the overlay with matplotlib, and returns the axes."""
    from matplotlib import pyplot

    _, axes = pyplot.subplots(figsize=(7, 7))
    axes.imshow(self.overlay())
    axes.set_axis_off()
    sign = 'at or above' if self.positive else 'below'
    axes.set_title(
      f'{self.probability:.2f}, {sign} the threshold {self.threshold:.2f}. Not a medical device.'
    )
    return axes

  def _repr_png_(self) -> bytes:
    return pictures.png(self.overlay())

  def __repr__(self) -> str:
    marked = sum(self.answer.marked)
    return (
      f'Prediction(probability={self.probability:.3f}, positive={self.positive}, '
      f'findings={len(self.findings)}, marked={marked}), for research, not a medical device'
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
  """Results of an evaluation.

  Attributes:
    metrics: the content of metrics.json: AUC with its interval, sensitivity, specificity, Dice.
    predictions: pandas table, one row per radiograph.
  """

  metrics: dict[str, Any]
  predictions: Any

  def __repr__(self) -> str:
    auc = evaluations.shown(self.metrics['auc'])
    return f'Evaluation({self.metrics["images"]} radiographs, AUC {auc})'


class Model:
  """A trained network, ready to read radiographs.

  Attributes:
    name: name of the training run.
    source: what `load` was given.
    description: what the network needs besides its weights, such as thresholds.
  """

  def __init__(self, source: str, network: Reader):
    self.source = source
    self._network = network
    self.description = network.description
    self.name = self.description.name

  def __repr__(self) -> str:
    return f'Model({self.name!r} from {self.source!r})'

  @overload
  def __call__(self, image: list | tuple, *, force: bool = False) -> list[Prediction]: ...
  @overload
  def __call__(self, image: Image, *, force: bool = False) -> Prediction: ...
  def __call__(self, image: Any, *, force: bool = False) -> Prediction | list[Prediction]:
    """Reads one radiograph, or each of a list.

    Args:
      image: path of a file in any supported format, array u8 or u16[H, W] (bright where tissue
        is dense), PIL image or pydicom dataset; or a list of these.
      force: also read what does not look like an upright frontal chest radiograph.

    Raises:
      RadiographError: it cannot be read, or is not an upright frontal chest radiograph.
    """
    if isinstance(image, list | tuple):
      return [self._read(each, force) for each in image]
    return self._read(image, force)

  def _read(self, image: Image, force: bool) -> Prediction:
    reading = prepare(_radiograph(image), self.description.preprocessing)
    if reading.objection and not force:
      raise RadiographError(
        f'{_named(image)}: not an upright frontal chest radiograph: {reading.objection}'
      )
    (answer,) = self._network([reading])
    return Prediction(*as_stored(reading, answer))

  def evaluate(self, shards: str | os.PathLike, split: str = 'test') -> Evaluation:
    """Scores the network on a split of shards, as the command `nodulax evaluate` does.

    Args:
      shards: the folder of a shard set.
      split: 'train', 'tune' or 'test'.

    Raises:
      NodulaxError: the network is an exported file, or there is no such split.
    """
    if isinstance(self._network, ExportedReader):
      raise NodulaxError(f'{self.source}: evaluate the run that it was exported from')
    with tempfile.TemporaryDirectory() as folder:
      output = pathlib.Path(folder) / 'evaluation'
      metrics = evaluate(self.source, shards, split, output, batch_size=16, overlays=0)
      return Evaluation(metrics, pd.read_csv(output / 'predictions.csv'))


def load(source: str | os.PathLike = 'nodulax') -> Model:
  """Loads a trained network.

  Args:
    source: 'nodulax', the bundled network; the workdir of a training run; a file that
      `nodulax export` wrote; the address of either in a bucket; or hf://OWNER/NAME or
      hf://OWNER/NAME@REVISION, an exported network on the Hugging Face Hub.

  Raises:
    CheckpointError, ExportError: there is no network there, or it is damaged.
    StorageError: it cannot be downloaded.
  """
  text = os.fspath(source)
  return Model(text, open_reader(text, 1, jax.local_devices()[:1]))


def _radiograph(image: Any) -> Radiograph:
  """Converts any kind of image to a radiograph."""
  if isinstance(image, str | os.PathLike):
    return read_radiograph(image)
  if hasattr(image, 'save_as') and hasattr(image, 'file_meta'):  # a pydicom dataset
    file = io.BytesIO()
    image.save_as(file, enforce_file_format=True)
    return decode_radiograph(file.getvalue(), 'the dataset')
  pixels = np.asarray(image)  # an array, or a PIL image
  if pixels.ndim == 3:
    pixels = as_grey(pixels, 'the image')
  if pixels.ndim != 2 or pixels.dtype.name not in ('uint8', 'uint16'):
    raise RadiographError(
      f'the image is {pixels.dtype}{list(pixels.shape)}; give u8 or u16[H, W], bright where tissue '
      'is dense, or the path of a file'
    )
  return Radiograph(pixels.astype(pixels.dtype.newbyteorder('='), copy=False))


def _named(image: Any) -> str:
  return os.fspath(image) if isinstance(image, str | os.PathLike) else 'the image'
