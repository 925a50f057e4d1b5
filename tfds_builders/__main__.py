"""Radiograph shards from raw downloads: `python -m tfds_builders cohort|validate|build SOURCE`."""

import logging
import os
import signal
import sys

if __name__ == '__main__':
  # Libraries print messages of their own unless this is set before they are imported.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  logging.getLogger('absl').setLevel(logging.ERROR)
  # Every core already runs one of our processes.
  os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
  # Ends as Ctrl-C does, which removes what is half built.
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

  from tfds_builders.commands import main

  sys.exit(main(sys.argv[1:]))
