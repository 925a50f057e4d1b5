"""Scalars and pictures for TensorBoard, written without TensorFlow."""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.pr_curve import metadata as pr_metadata
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util

from nodulax.radiograph import pictures

_THRESHOLDS = 101  # of a precision-recall curve
_PLAIN = (bool, int, float, str)  # types of a hyperparameter


class EventFile:
  """Writes one TensorBoard event file.

  It writes in the caller's thread, so that a full disk raises OSError at the call that met it;
  TensorBoard's own writer reports from a thread, and imports TensorFlow where it is installed.

  Args:
    path: path of the file; TensorBoard finds names such as `new_name` makes.
  """

  def __init__(self, path: epath.Path):
    self._records = RecordWriter(path.open('wb'))
    self._write(Event(file_version='brain.Event:2'))

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Adds a point to the curve of each tag."""
    event = Event(step=step)
    for tag, value in values.items():
      event.summary.value.add(tag=tag, simple_value=value)
    self._write(event)

  def images(self, step: int, tag: str, images: Sequence[np.ndarray]) -> None:
    """Adds images u8[H, W, 3] of one size under one tag."""
    height, width, _ = images[0].shape
    content = [b'%d' % width, b'%d' % height, *map(pictures.png, images)]
    event = Event(step=step)
    event.summary.value.add(
      tag=tag,
      tensor=tensor_util.make_tensor_proto(content),
      metadata=image_metadata.create_summary_metadata(display_name=None, description=None),
    )
    self._write(event)

  def hyperparameters(self, values: Mapping[str, Any]) -> None:
    """Adds a run's options, for the tab HPARAMS."""
    plain = {name: value for name, value in values.items() if isinstance(value, _PLAIN)}
    self._write(Event(summary=hparams.hparams_pb(plain)))

  def precision_recall(
    self, step: int, tag: str, labels: Sequence[int], scores: np.ndarray
  ) -> None:
    """Adds a precision-recall curve at evenly spaced thresholds in [0, 1]."""
    positive = np.asarray(labels, bool)
    called = scores >= np.linspace(0, 1, _THRESHOLDS)[:, np.newaxis]
    hits, alarms = (called & positive).sum(axis=1), (called & ~positive).sum(axis=1)
    misses, rejections = positive.sum() - hits, (~positive).sum() - alarms
    # By the plugin's convention precision is 0 where nothing is called.
    precision = hits / np.maximum(hits + alarms, 1)
    recall = hits / max(int(positive.sum()), 1)
    curve = np.stack([hits, alarms, rejections, misses, precision, recall]).astype(np.float32)
    event = Event(step=step)
    event.summary.value.add(
      tag=tag,
      tensor=tensor_util.make_tensor_proto(curve),
      metadata=pr_metadata.create_summary_metadata(
        display_name='', description='', num_thresholds=_THRESHOLDS
      ),
    )
    self._write(event)

  def flush(self) -> None:
    """Writes what is buffered."""
    self._records.flush()

  def close(self) -> None:
    """Writes what is buffered and closes the file."""
    self._records.close()

  def _write(self, event: Event) -> None:
    event.wall_time = time.time()
    self._records.write(event.SerializeToString())


def new_name() -> str:
  """A file name that no other process, or other start of this one, uses."""
  return f'events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}'
