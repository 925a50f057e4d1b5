"""Runs a config: one experiment, or a study of several.

  python -m nodulax.main --config=configs/nih_image.py --workdir=runs/nih_image

Any knob of configs/default.py can be changed: --config.optimizer.learning_rate=3e-4
The same command goes on where the last one stopped. For research, not a medical device.
"""

from collections.abc import Sequence

from absl import app, flags, logging
from ml_collections import config_flags

from nodulax import dry_run, storage, study, train
from nodulax.checkpoint import CheckpointError
from nodulax.input.shards import ShardsError

CONFIG = config_flags.DEFINE_config_file('config', None, 'File of the config to run.')
DRY_RUN = flags.DEFINE_bool('dry_run', False, 'Print what a study would do, and how long.')
WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the run: checkpoints, logs, results.')


def main(arguments: Sequence[str]) -> None:
  if len(arguments) > 1:
    raise app.UsageError(f'unexpected argument: {arguments[1]}')
  logging.set_verbosity(logging.WARNING)
  config = CONFIG.value
  try:
    if DRY_RUN.value and 'experiments' not in config:
      raise ValueError('--dry_run is for studies, such as configs/study.py')
    if DRY_RUN.value:
      dry_run.print_plan(config, WORKDIR.value)
      return
    folder = storage.check_out(WORKDIR.value)
    if 'experiments' in config:
      study.run(config, folder)
    else:
      train.train(config, folder)
      study.print_results(folder, ('.',))
    storage.publish(folder)
  except train.Interrupted as stopped:
    raise SystemExit(f'{stopped}; the same command goes on from there') from None
  except (
    CheckpointError,
    ShardsError,
    study.StudyError,
    train.TrainingError,
    ValueError,
    OSError,
  ) as error:
    raise SystemExit(f'nodulax: {error}') from error


if __name__ == '__main__':
  flags.mark_flags_as_required(['config', 'workdir'])
  app.run(main)
