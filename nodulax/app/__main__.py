"""A page on this machine to try a trained network on.

  python -m nodulax.app [--checkpoint=RUN]

Reads with the network that comes with nodulax, or with that of a training run. Needs the extra
`app`. Answers this machine alone, needs no network, and keeps nothing: a radiograph is read in
memory and forgotten; a structured report, where one is asked for, passes through a temporary file.
For research, not a medical device.
"""

import argparse
import socket

import jax
from absl import logging

from nodulax import NOTICE, cli
from nodulax.checkpoints.evaluations import evaluations
from nodulax.errors import NodulaxError
from nodulax.prediction.reader import Reader

HOST = '127.0.0.1'


def add_arguments(parser: cli.Parser) -> None:
  cli.add_checkpoint(parser)
  add = parser.add_argument
  add('--port', type=int, default=8000, help='port on this machine; 0 for any (default: 8000)')
  add('--largest_mb', type=int, default=64, help='largest file to accept, in MB (default: 64)')


def main(given: argparse.Namespace) -> None:
  logging.set_verbosity(logging.WARNING)
  try:
    import uvicorn

    from nodulax.app import server
  except ImportError as error:
    raise NodulaxError(f"the page needs the extra: pip install -e '.[app]' ({error})") from error
  reader = Reader(given.checkpoint, 1, jax.local_devices()[:1])
  listening = socket.create_server((HOST, given.port))
  server.warm_up(reader)
  page = server.create(reader, given.largest_mb * 2**20, evaluations(given.checkpoint))
  print(f'http://{HOST}:{listening.getsockname()[1]} (Ctrl-C ends it)', flush=True)
  print(NOTICE, flush=True)
  uvicorn.Server(uvicorn.Config(page, log_level='warning', access_log=False)).run([listening])


if __name__ == '__main__':
  cli.run('app', prog='python -m nodulax.app')
