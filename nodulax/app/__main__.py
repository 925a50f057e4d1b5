"""Serves a page on this machine to try a trained network on.

  python -m nodulax.app [--checkpoint=RUN]
  python -m nodulax.app --dataset=DIR --queue=queue.csv --reading=reading.csv

Reads with the network bundled with nodulax, or with that of a training run, an exported file or
the Hugging Face Hub (hf://OWNER/NAME). Needs the extra `app`. The page answers only this machine,
needs no internet, and keeps nothing: a radiograph is read in memory and forgotten; a structured
report passes through a temporary file. With --queue it is the re-reading page: it shows the
radiographs of a queue (`nodulax labels queue`) one after the other, and saves each answer in
--reading at once. Several readers may share that file.
For research, not a medical device.
"""

import argparse
import pathlib
import socket
from typing import TYPE_CHECKING

import jax
from absl import logging

from nodulax import NOTICE, cli
from nodulax.checkpoints.evaluations import evaluations
from nodulax.errors import NodulaxError, OptionError, missing_extra
from nodulax.input.shards import Shards
from nodulax.labels.queue import read_queue
from nodulax.readers import ExportedReader, open_reader

if TYPE_CHECKING:
  from nodulax.app import rereading

HOST = '127.0.0.1'


def add_arguments(parser: cli.Parser) -> None:
  cli.add_checkpoint(parser, exported=True)
  add = parser.add_argument
  add('--port', type=int, default=8000, help='port on this machine; 0 for any (default: 8000)')
  add('--largest_mb', type=int, default=64, help='largest file to accept, in MB (default: 64)')

  add('--queue', default='', help='CSV file of radiographs to read again: the re-reading page')
  add('--dataset', default='', help="folder of the shards that hold the queue's radiographs")
  add('--split', default='train', choices=('train', 'tune', 'test'), help='split of the queue')
  add('--reading', default='', help='CSV file of the answers; an earlier one is resumed')


def main(given: argparse.Namespace) -> None:
  logging.set_verbosity(logging.WARNING)
  try:
    import uvicorn

    from nodulax.app import rereading, server
  except ImportError as error:
    raise NodulaxError(missing_extra('the page', 'app', error)) from error
  reader = open_reader(given.checkpoint, 1, jax.local_devices()[:1])
  listening = socket.create_server((HOST, given.port))
  server.warm_up(reader)
  if given.queue:
    page = rereading.create(_queue(given), reader)
  else:
    measured = None if isinstance(reader, ExportedReader) else evaluations(given.checkpoint)
    page = server.create(reader, given.largest_mb * 2**20, measured)
  print(f'http://{HOST}:{listening.getsockname()[1]} (Ctrl-C ends it)', flush=True)
  print(NOTICE, flush=True)
  uvicorn.Server(uvicorn.Config(page, log_level='warning', access_log=False)).run([listening])


def _queue(given: argparse.Namespace) -> 'rereading.Queue':
  from nodulax.app import rereading

  if not (given.dataset and given.reading):
    raise OptionError('--queue needs --dataset=DIR and --reading=FILE')
  shards = Shards(given.dataset, given.split)
  return rereading.Queue(shards, read_queue(given.queue), pathlib.Path(given.reading))


if __name__ == '__main__':
  cli.run('app', prog='python -m nodulax.app')
