"""Trains the network that comes with nodulax.

  python -m nodulax.pretrain --config=configs/pretrain.py --workdir=runs/pretrain

The same command resumes where the last one stopped. For research, not a medical device.
"""

from collections.abc import Sequence

from absl import app, flags, logging
from ml_collections import config_flags

from nodulax.pretraining.run import Run
from nodulax.training import workdir
from nodulax.training.interruption import Interrupted, interruptible

CONFIG = config_flags.DEFINE_config_file('config', None, 'File of the config to run.')
WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the run: checkpoints and logs.')


def main(arguments: Sequence[str]) -> None:
  if len(arguments) > 1:
    raise app.UsageError(f'unexpected argument: {arguments[1]}')
  logging.set_verbosity(logging.WARNING)
  try:
    with interruptible() as interruption:
      folder = workdir.claim(WORKDIR.value, CONFIG.value)
      Run(CONFIG.value, folder).train(interruption)
  except Interrupted as stopped:
    raise SystemExit(f'{stopped}; the same command resumes there') from None
  except (ValueError, OSError) as error:
    raise SystemExit(f'nodulax: {error}') from error


if __name__ == '__main__':
  flags.mark_flags_as_required(['config', 'workdir'])
  app.run(main)
