"""Scalars and pictures for TensorBoard, written without TensorFlow."""

import os
import socket
import time
from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util

from nodulax.radiograph import pictures


class EventFile:
  """Writes one TensorBoard event file.

  It writes in the caller's thread, so that a full disk raises OSError at the call that met it;
  TensorBoard's own writer reports from a thread, and imports TensorFlow where it is installed.

  Args:
    path: of the file, which TensorBoard finds by a name such as `new_name` makes.
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
  """A name that no other start of any process gives its event file."""
  return f'events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}'
