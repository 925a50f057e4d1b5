"""Runs a config: one experiment, or a study of several.

  python -m nodulax.main --config=configs/nih_image.py --workdir=runs/nih_image

Any knob of configs/default.py can be changed: --config.optimizer.learning_rate=3e-4
The same command goes on where the last one stopped. On several hosts each runs the same command,
with a workdir that all of them see; see --coordinator. For research, not a medical device.
"""

from collections.abc import Sequence

from absl import app, flags, logging
from ml_collections import config_flags

from nodulax import train
from nodulax.checkpoints.checkpoint import CheckpointError
from nodulax.distributed import hosts
from nodulax.input.shards import ShardsError
from nodulax.storage import folders
from nodulax.study import dry_run
from nodulax.study import run as study
from nodulax.training.interruption import Interrupted, interruptible

CONFIG = config_flags.DEFINE_config_file('config', None, 'File of the config to run.')
DRY_RUN = flags.DEFINE_bool('dry_run', False, 'Print what a study would do, and how long.')
WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the run: checkpoints, logs, results.')
COORDINATOR = flags.DEFINE_string(
  'coordinator',
  '',
  'Address and port of the first of several processes; `auto` on a TPU pod. Not for SLURM.',
)
PROCESSES = flags.DEFINE_integer('processes', 0, 'How many processes there are.')
PROCESS_ID = flags.DEFINE_integer('process_id', -1, 'Which of them this is, from 0.')


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
    with interruptible():
      hosts.join(COORDINATOR.value, PROCESSES.value, PROCESS_ID.value)
      if hosts.several() and folders.is_remote(WORKDIR.value):
        raise ValueError(
          f'{WORKDIR.value}: several hosts need a workdir on a disk that all of them see'
        )
      folder = folders.check_out(WORKDIR.value)
      if 'experiments' in config:
        study.run(config, folder)
      else:
        train.train(config, folder)
        if hosts.is_first():
          study.print_results(folder, ('.',))
      folders.publish(folder)
  except Interrupted as stopped:
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
