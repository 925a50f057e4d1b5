"""Radiograph shards from raw downloads: `python -m tfds_builders cohort|validate|build SOURCE`."""

import logging
import os
import signal
import sys

if __name__ == '__main__':
  # Libraries speak of their own affairs unless told otherwise before they are imported.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  logging.getLogger('absl').setLevel(logging.ERROR)
  # Every core has a process of ours already.
  os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
  # The same end as Ctrl-C, which removes what is half built.
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

  from tfds_builders.commands import main

  sys.exit(main(sys.argv[1:]))
