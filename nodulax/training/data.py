"""Prepares the splits train and tune as the config says."""

from collections import Counter

from etils import epath
from ml_collections import ConfigDict

from nodulax.checkpoints import typed_json
from nodulax.distributed import hosts
from nodulax.errors import OptionError
from nodulax.input.degraded import Noise, degraded, reduced
from nodulax.input.folds import out_of_fold
from nodulax.input.prepared import Prepared, prepare
from nodulax.input.relabelled import relabelled
from nodulax.input.shards import Shards
from nodulax.labels import rereading
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.training import workdir

# With fewer of either class the AUC on the tune split has a standard error above 0.05, and may
# reach 1 by chance.
_FEWEST_TO_CHOOSE = 20


def training_data(
  config: ConfigDict, folder: epath.Path, shards: Shards, preprocessing: Preprocessing
) -> tuple[Prepared, Prepared]:
  """Relabels, reduces and degrades the splits train and tune, and leaves out a fold, as configured.

  Args:
    config: as `configs/default.py` describes it.
    folder: the workdir, which is claimed for these data.
    shards: the split train.
    preprocessing: preprocessing of every radiograph.

  Raises:
    OptionError: a split lacks a class, or has too few radiographs.
    RereadingError: config.data.labels is not a re-reading of these splits.
    WorkdirError: the workdir belongs to other data.
  """
  data, seed = config.data, config.seed
  splits = (shards, Shards(shards.directory, 'tune'))
  # On a shared cache the first host prepares, and the others read its result.
  if others := hosts.share_folder(data.cache_dir) and not hosts.is_first():
    hosts.wait('data prepared')
  training, tune = (prepare(split, preprocessing, data.cache_dir) for split in splits)
  if not others:
    hosts.wait('data prepared')
  if data.labels:
    training, tune = _read_again(config, training, tune, preprocessing)
  if data.fold[1] > 1:
    patients = [case.patient_id for case in training.cases]
    training = training.subset(out_of_fold(patients, data.fold))
  if data.train_images:
    training = reduced(training, data.train_images, seed)
  noise = typed_json.construct(Noise, data.noise.to_dict(), 'config.data.noise')
  training, tune = (degraded(part, noise, seed) for part in (training, tune))
  for part in (training, tune):
    _require_both_classes(part)
  digests = {part.split: part.digest() for part in (training, tune)}
  workdir.claim_data(folder, digests, hosts.is_first(), 'cases.json')
  fewest = min(Counter(case.label for case in tune.cases).values())
  if fewest < _FEWEST_TO_CHOOSE:
    hosts.tell(
      f'{config.name}: the tune split has {len(tune)} radiographs, {fewest} of the rarer class: '
      'the choice of the best epoch and the thresholds are mostly chance'
    )
  return training, tune


def _read_again(
  config: ConfigDict, training: Prepared, tune: Prepared, preprocessing: Preprocessing
) -> tuple[Prepared, Prepared]:
  """The splits with the labels of config.data.labels."""
  file = config.data.labels
  answers = rereading.read_answers(file)
  known = [case.image_id for part in (training, tune) for case in part.cases]
  where = f'the splits train and tune of {training.name}'
  rereading.require_known(answers, known, where)
  settled = rereading.settle(answers)
  hosts.tell(f'{config.name}: {len(settled):,} labels of {where} come from {file}')
  train_again, tune_again = (
    relabelled(part, settled, preprocessing, keep_unread=True) for part in (training, tune)
  )
  return train_again, tune_again


def _require_both_classes(prepared: Prepared) -> None:
  labels = {case.label for case in prepared.cases}
  if len(labels) < 2:
    kind = 'nodule' if labels == {1} else 'normal'
    raise OptionError(
      f'{prepared.name}: every radiograph of the split {prepared.split} is {kind}; training '
      'needs both classes in train and in tune'
    )
