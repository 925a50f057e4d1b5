"""Code that the builders share: options, and the steps from a download to shards.

Tables -> cohort -> inspection of every image -> shards. A builder defines only how its tables are
read and which of the study's rules apply.
"""

import abc
import dataclasses
import hashlib
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import tensorflow_datasets.public_api as tfds
from etils import epath
from rich.console import Console
from tensorflow_datasets.core import splits
from tensorflow_datasets.core.constants import INCOMPLETE_PREFIX
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder

from tfds_builders import schema
from tfds_builders.against import parse_sets, without_known
from tfds_builders.cohort import MISSING, Cohort, Normals, Splitting, select
from tfds_builders.cohort_table import Paper, print_cohort, write_cohort
from tfds_builders.examples import Entry, Shard, divide, write_on_beam, write_shard
from tfds_builders.identifiers import Hasher, key_path, load_key
from tfds_builders.processes import map_images
from tfds_builders.records import Fault, Record, SourceError, Table, read_text
from tfds_builders.relabelling import relabelled
from tfds_builders.validation import FaultySource, Validation, validate


def option(
  default: Any, explanation: str, shows: Literal['value', 'content', 'sets', 'not'] = 'value'
) -> Any:
  """A field of a builder's options.

  Args:
    default: its value if none is given.
    explanation: its text in `--help`.
    shows: how it appears in the name of the shards' folder: by its value, by a hash of the
      content of the file or of the shard sets that it names, or not at all. Every option that
      changes the shards must appear.
  """
  return dataclasses.field(default=default, metadata={'explanation': explanation, 'shows': shows})


@dataclasses.dataclass(eq=False)
class Options(tfds.core.BuilderConfig):
  """Options of every builder."""

  seed: int = option(0, 'seed for drawing normal images and splits')
  exclude: str = option(
    '', 'text file of images to leave out, one per line, as the table names them', shows='content'
  )
  allow_missing: bool = option(
    False, 'build the part of the download that is there; list what is left out'
  )
  allow_faulty: bool = option(False, 'continue without faulty images; list what is left out')
  against: str = option(
    '',
    'folders of other shard sets, separated by commas: radiographs that look like one of theirs '
    'are left out',
    shows='sets',
  )
  labels: str = option(
    '',
    'CSV file of a re-reading (docs/labels.md), whose answers replace the labels',
    shows='content',
  )
  hash_key: str = option(
    '',
    'file of the secret key that hashes identifiers; made at first use '
    '(default: $NODULAX_HASH_KEY, else ~/.config/nodulax/hash.key)',
    shows='not',
  )
  processes: int = option(0, 'parallel processes (default: one per core)', shows='not')

  def __post_init__(self) -> None:
    if self.seed < 0 or self.processes < 0:
      raise SourceError('--seed and --processes must not be negative')

  @classmethod
  def explained_fields(cls) -> list[dataclasses.Field]:
    """The fields that a user sets; those that TFDS adds have no explanation."""
    return [field for field in dataclasses.fields(cls) if 'explanation' in field.metadata]

  def differences(self, other: 'Options') -> list[str]:
    """How shards with these options differ from those with others, as parts of a folder's name.

    Raises:
      SourceError: a file that an option names cannot be read.
    """
    parts = []
    for field in self.explained_fields():
      name, value = field.name, getattr(self, field.name)
      if value == getattr(other, name):
        continue
      match field.metadata['shows']:
        case 'value':
          parts.append(name if value is True else f'{name}_{value}')
        case 'content':
          content = read_text(value, f'--{name}').encode()
          parts.append(f'{name}_{hashlib.sha256(content).hexdigest()[:8]}')
        case 'sets':
          infos = [(path / 'dataset_info.json').read_bytes() for path in parse_sets(value)]
          parts.append(f'{name}_{hashlib.sha256(b"".join(infos)).hexdigest()[:8]}')
    return parts

  def tolerates(self, fault: Fault) -> bool:
    """Whether to continue without the images that have this fault."""
    return self.allow_missing if fault.kind == MISSING else self.allow_faulty

  def excluded_images(self) -> frozenset[str]:
    """The entries of the exclusion list; lines that start with # are remarks."""
    if not self.exclude:
      return frozenset()
    lines = read_text(self.exclude, '--exclude').splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith('#'))


class RadiographBuilder(FileReaderBuilder):
  """A builder of radiograph shards.

  Attributes:
    PAPER: the paper's numbers for this source.
    ONE_A_PATIENT: whether only one image of each patient is taken.
    DEPTH: bits of the deepest images of the source.
    PUBLIC_NAMES: whether image names may be shown; those of a hospital may not.
    EXAMPLE: options that `--help` shows as an example.
  """

  VERSION = tfds.core.Version('1.0.0')
  PAPER: ClassVar[Paper]
  ONE_A_PATIENT: ClassVar[bool] = False
  DEPTH: ClassVar[Literal[8, 16]] = 16
  PUBLIC_NAMES: ClassVar[bool] = False
  EXAMPLE: ClassVar[str]

  def __init__(self, *, file_format: str = 'array_record', **arguments: Any):
    super().__init__(file_format=file_format, **arguments)

  def _create_builder_config(self, builder_config: Any, version: Any) -> Any:
    # TFDS accepts a registered name only with exactly the registered options, but another key or
    # number of processes does not make different shards.
    if isinstance(builder_config, Options):
      registered = self.builder_configs.get(builder_config.name, builder_config)
      if not builder_config.differences(registered):
        return builder_config
    return super()._create_builder_config(builder_config, version)

  @classmethod
  @abc.abstractmethod
  def read_table(cls, folder: pathlib.Path, options: Any) -> Table:
    """Reads the source's tables in the folder of the unpacked download."""

  @classmethod
  @abc.abstractmethod
  def rules(cls, options: Any) -> tuple[Normals, Splitting]:
    """Which normal images are taken, and how splits are made."""

  @classmethod
  def where_missing(cls, record: Record) -> str:
    """Where to get a missing image."""
    return 'copy the image to where the table says, or correct the table'

  @classmethod
  def cohort(cls, folder: pathlib.Path, options: Options) -> Cohort:
    """Selects the cohort, from the tables only.

    Raises:
      SourceError: the tables cannot be used.
    """
    normals, splitting = cls.rules(options)
    return select(
      cls.read_table(folder, options),
      seed=options.seed,
      normals=normals,
      splitting=splitting,
      exclude=options.excluded_images(),
      allow_missing=options.allow_missing,
      one_a_patient=cls.ONE_A_PATIENT,
      where_missing=cls.where_missing,
    )

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      features=schema.features(self.DEPTH), supervised_keys=('image', 'label')
    )

  def _download_and_prepare(
    self, dl_manager: tfds.download.DownloadManager, download_config: tfds.download.DownloadConfig
  ) -> None:
    """Validates and writes into a temporary folder, which TFDS renames when it is complete."""
    options = self.builder_config
    self._remove_leftovers()
    key = load_key(key_path(options.hash_key), pathlib.Path(self._data_dir_root))
    cohort = self.cohort(pathlib.Path(dl_manager.manual_dir), options)
    validation = validate(cohort, processes=options.processes)
    if refused := [fault for fault in validation.faults if not options.tolerates(fault)]:
      raise FaultySource(refused, cohort.table)
    cohort = cohort.without_faulty(validation.faults)
    if options.against:
      cohort = without_known(cohort, validation.inspections, parse_sets(options.against))
    print_cohort(cohort, self.name, self.PAPER, Console())
    if validation.suspects:
      print(f'{len(validation.suspects):,} suspects; the command validate shows them')
    entries = self._entries(cohort, validation, Hasher(key, self.name))
    reading: dict[str, Any] = {}
    if options.labels:
      entries, reading = relabelled(entries, options.labels)
      read_again = {split: [entry.record for entry in of] for split, of in entries.items()}
      cohort = dataclasses.replace(cohort, splits=read_again)
    shards = self._plan(entries)
    everything = [shard for of_split in shards.values() for shard in of_split]
    if download_config.beam_runner or download_config.beam_options:
      write_on_beam(everything, download_config.beam_runner, download_config.beam_options)
    else:
      map_images(
        write_shard,
        everything,
        processes=options.processes,
        doing='Writing shards',
        weights=[len(shard.entries) for shard in everything],
      )
    self.info.set_splits(splits.SplitDict([self._split(*of_split) for of_split in shards.items()]))
    # In this file a virtual hospital's download states how it was made.
    simulated = (pathlib.Path(dl_manager.manual_dir) / 'phantom.json').exists()
    write_cohort(
      cohort, self.name, self.PAPER, self.data_path, simulated=simulated, reading=reading
    )

  def _entries(
    self, cohort: Cohort, validation: Validation, hasher: Hasher
  ) -> dict[str, list[Entry]]:
    """Makes the entries of each split."""
    if empty := cohort.empty_splits():
      raise FaultySource(empty, cohort.table)
    return {
      split: [
        Entry(
          record,
          validation.inspections[record.name],
          image_id=record.key if self.PUBLIC_NAMES else hasher.hash('image', record.key),
          patient_id=hasher.hash('patient', record.patient),
          source=self.name,
        )
        for record in records
      ]
      for split, records in cohort.splits.items()
    }

  def _plan(self, splits: dict[str, list[Entry]]) -> dict[str, list[Shard]]:
    """Decides which example goes into which file, whatever the number of processes."""
    shards = {}
    for split, entries in splits.items():
      template = self._get_filename_template(split)
      files = divide(entries)
      shards[split] = [
        Shard(
          str(template.sharded_filepath(shard_index=index, num_shards=len(files))),
          tuple(of_file),
          self.DEPTH,
        )
        for index, of_file in enumerate(files)
      ]
    return shards

  def _split(self, name: str, shards: Sequence[Shard]) -> splits.SplitInfo:
    return splits.SplitInfo(
      name=name,
      shard_lengths=[len(shard.entries) for shard in shards],
      num_bytes=sum(epath.Path(shard.path).stat().length for shard in shards),
      filename_template=self._get_filename_template(name),
    )

  def _remove_leftovers(self) -> None:
    """Removes TFDS's temporary folders, which builds that were killed have left."""
    for folder in self.data_path.parent.glob(f'{INCOMPLETE_PREFIX}*'):
      if folder.name != self.data_path.name:
        folder.rmtree()

  # TFDS would announce a download of unknown size, and its success at the end.
  def _log_download_bytes(self) -> None:
    pass

  def _log_download_done(self) -> None:
    pass
