"""Trains one network and evaluates it: an experiment from top to bottom."""

from etils import epath
from ml_collections import ConfigDict

from nodulax import evaluate
from nodulax.checkpoints import checkpoint
from nodulax.distributed import hosts, parallel
from nodulax.errors import OptionError
from nodulax.input.folds import out_of_fold
from nodulax.input.shards import Shards, describe_splits
from nodulax.training import workdir
from nodulax.training.fit import fit
from nodulax.training.interruption import interruptible
from nodulax.training.options import check_options


def train(config: ConfigDict, folder: epath.PathLike) -> None:
  """Runs an experiment, or resumes it; what is finished is not done again.

  On several hosts each calls this with the same arguments.

  Args:
    config: as `configs/default.py` describes it.
    folder: the workdir; holds checkpoints, TensorBoard logs and evaluations afterwards.

  Raises:
    Interrupted: after SIGINT or SIGTERM; the run is saved.
    TrainingError: the loss is not finite.
    WorkdirError, ShardsError, CheckpointError, ValueError: the folder, the data, the weights to
      start from, or the config do not fit; the message says what to do.
  """
  with interruptible() as interruption:
    folder = workdir.claim(folder, config, write=hosts.is_first())
    check_options(config)
    devices = parallel.devices(config.train.devices)
    parallel.require_divisible(config.train.batch_size, devices, config.train.accumulate or 1)
    shards, radiographs = training_split(config)
    workdir.claim_data(folder, describe_splits(shards.directory), write=hosts.is_first())
    if config.init.checkpoint and checkpoint.latest_step(folder) is None:
      checkpoint.describe(config.init.checkpoint)  # refuses a run that has no network yet
    steps_per_epoch = radiographs // config.train.batch_size
    total_steps = config.train.epochs * steps_per_epoch
    if checkpoint.finished(folder, total_steps):
      hosts.tell(f'{config.name}: trained already')
    else:
      fit(config, folder, shards, devices, steps_per_epoch, total_steps, interruption)

    # The held-out sets.
    for source in config.data.evaluate:
      if not config.data.shards[source]:
        hosts.tell(
          f'{config.name}: no shards of {source} (config.data.shards.{source}), not evaluated'
        )
        continue
      evaluate.evaluate(
        folder,
        config.data.shards[source],
        'test',
        folder / 'evaluation' / source,
        cache_dir=config.data.cache_dir,
        **config.evaluation,
      )


def training_split(config: ConfigDict) -> tuple[Shards, int]:
  """The split that a config trains on, and the number of radiographs that it uses.

  Raises:
    ShardsError: there are none.
    OptionError: there are fewer than `config.data.train_images`, or than one batch.
  """
  shards = Shards(_training_shards(config), 'train')
  kept = len(shards)
  if config.data.fold[1] > 1:  # only the whole split shows who is left out
    kept = len(out_of_fold(shards.column('patient_id'), config.data.fold))
  radiographs = config.data.train_images or kept
  if radiographs > kept:
    raise OptionError(
      f'--config.data.train_images={radiographs} is more than the {kept} radiographs of '
      f'the split train in {shards.directory}'
    )
  if radiographs < config.train.batch_size:
    raise OptionError(
      f'{shards.directory} has {radiographs} radiographs to train on, fewer than one batch; '
      f'lower --config.train.batch_size={config.train.batch_size}'
    )
  return shards, radiographs


def _training_shards(config: ConfigDict) -> str:
  directory = config.data.shards[config.data.train]
  if not directory:
    raise OptionError(
      f'no training data: build the shards of {config.data.train} with python -m tfds_builders '
      f'build, and name their folder in --config.data.shards.{config.data.train}=DIR'
    )
  return directory
