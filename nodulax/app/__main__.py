"""A page on this machine to try a trained network on.

  python -m nodulax.app [--checkpoint=RUN]

Reads with the network that comes with nodulax, or with that of a training run. Needs the extra
`app`. Answers this machine alone, needs no network, and keeps nothing: a radiograph is read in
memory and forgotten. For research, not a medical device.
"""

import socket
from collections.abc import Sequence

import jax
from absl import app, flags, logging

from nodulax import NOTICE
from nodulax.checkpoints import shipped
from nodulax.checkpoints.checkpoint import CheckpointError
from nodulax.prediction.reader import Reader

HOST = '127.0.0.1'


def main(arguments: Sequence[str]) -> None:
  logging.set_verbosity(logging.WARNING)
  values = flags.FLAGS
  if len(arguments) > 1:
    raise app.UsageError(f'unexpected: {" ".join(arguments[1:])}')
  try:
    import uvicorn

    from nodulax.app import server
  except ImportError as error:
    raise SystemExit(
      f"nodulax: the page needs the extra: pip install -e '.[app]' ({error})"
    ) from error
  try:
    reader = Reader(values.checkpoint, 1, jax.local_devices()[:1])
    listening = socket.create_server((HOST, values.port))
  except (CheckpointError, OSError) as error:
    raise SystemExit(f'nodulax: {error}') from error
  server.warm_up(reader)
  page = server.create(reader, values.largest_mb * 2**20)
  print(f'http://{HOST}:{listening.getsockname()[1]} (Ctrl-C ends it)', flush=True)
  print(NOTICE, flush=True)
  uvicorn.Server(uvicorn.Config(page, log_level='warning', access_log=False)).run([listening])


if __name__ == '__main__':
  flags.DEFINE_string(
    'checkpoint',
    shipped.NAME,
    'Workdir of a run; nodulax is the network that comes along.',
  )
  flags.DEFINE_integer('port', 8000, 'Port on this machine; 0 for any that is free.')
  flags.DEFINE_integer('largest_mb', 64, 'Largest file to accept, in MB.')
  app.run(main)
