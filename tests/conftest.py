"""What every test shares: real data where it is there, a virtual hospital, several devices."""

import csv
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable

# Before JAX starts: several devices on one CPU, so that every test can ask for 1, 2 or 4.
os.environ.setdefault('XLA_FLAGS', '--xla_force_host_platform_device_count=4')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ.setdefault(
  'JAX_COMPILATION_CACHE_DIR', os.path.join(tempfile.gettempdir(), 'nodulax-test-compilations')
)
# As many processes as processors run already, and threads of a product wait for one another busily.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')

# In every process that a test starts, an import of TensorFlow fails.
os.environ['PYTHONPATH'] = os.pathsep.join(
  [str(pathlib.Path(__file__).parent / 'without'), *filter(None, [os.environ.get('PYTHONPATH')])]
)

import hypothesis
import pydicom
import pytest
from absl import flags
from ml_collections import ConfigDict

from configs import default
from nodulax import train

flags.FLAGS.mark_as_parsed()

# How long an example takes says how busy the machine is, and nothing of the code.
hypothesis.settings.register_profile('unhurried', deadline=None)
hypothesis.settings.load_profile('unhurried')


@pytest.fixture(scope='session')
def real_data() -> pathlib.Path:
  """The folder of real radiographs and tables: `$NODULAX_TEST_DATA`, else `../shared/data`."""
  beside = pathlib.Path(__file__).parents[2] / 'shared' / 'data'
  folder = pathlib.Path(os.environ.get('NODULAX_TEST_DATA', beside))
  if not (folder / 'nih').is_dir():
    pytest.skip(f'no real data in {folder}; point NODULAX_TEST_DATA at it')
  return folder


@pytest.fixture(autouse=True)
def hash_key(tmp_path_factory, monkeypatch) -> None:
  """A key for hashed identifiers of the tests' own, so that none is made in the user's home."""
  monkeypatch.setenv(
    'NODULAX_HASH_KEY', str(tmp_path_factory.getbasetemp() / 'nodulax-key' / 'hash.key')
  )


# What a hospital's download says of its patients, each thing in another place.
IDENTIFIERS = {
  'patient_id': 'MRN-7734201',
  'folder': 'WardNarwhal_Kim',
  'PatientName': 'Zyxwvut^Hong',
  'PatientID': 'PID-8123377',
  'AccessionNumber': 'ACC-5550199',
  'PatientBirthDate': '19430726',
  'InstitutionName': 'Wombat General',
  'StudyDescription': 'QuokkaRemark',
}


@pytest.fixture(scope='session')
def hospital(tmp_path_factory) -> pathlib.Path:
  """The raw download of a virtual hospital: 48 radiographs of 96 pixels, with masks.

  `IDENTIFIERS` stand in its manifest, its paths and the tags of its DICOM files.
  """
  folder = tmp_path_factory.mktemp('raw') / 'hospital'
  command('nodulax.phantom', 'gmc', f'--output={folder}', '--images=48', '--image_size=96')
  with (folder / 'manifest.csv').open(newline='') as file:
    rows = list(csv.DictReader(file))
  (folder / IDENTIFIERS['folder']).mkdir()
  for row in rows:
    image = folder / row['image']
    row['image'] = f'{IDENTIFIERS["folder"]}/{image.name}'
    row['patient_id'] = f'{IDENTIFIERS["patient_id"]}-{row["patient_id"]}'
    image = image.rename(folder / row['image'])
    if image.suffix == '.dcm':
      dataset = pydicom.dcmread(image)
      for keyword, value in IDENTIFIERS.items():
        if keyword[0].isupper():
          setattr(dataset, keyword, value)
      dataset.save_as(image)
  with (folder / 'manifest.csv').open('w', newline='') as file:
    writer = csv.DictWriter(file, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
  return folder


@pytest.fixture(scope='session')
def identifiers() -> list[str]:
  """What no output may hold of the virtual hospital's patients, its own names for them included."""
  return [*IDENTIFIERS.values(), *(f'G{number:05d}' for number in range(1, 49))]


@pytest.fixture(scope='session')
def shards(hospital, tmp_path_factory) -> pathlib.Path:
  """Its shards, with the splits train, tune and test."""
  folder = tmp_path_factory.mktemp('shards')
  options = (f'--manual_dir={hospital}', f'--data_dir={folder}', '--config=hospital')
  key = str(tmp_path_factory.getbasetemp() / 'nodulax-key' / 'hash.key')
  command('tfds_builders', 'build', 'gmc_nodule', *options, NODULAX_HASH_KEY=key)
  return folder


def small_config(shards: pathlib.Path) -> ConfigDict:
  """The real config, shrunk: network 2, tiny, at 64 pixels, 2 epochs of 4 steps."""
  config = default.get_config()
  config.name = 'small'
  config.data.shards.hospital = str(shards)
  config.data.train = 'hospital'
  config.data.evaluate = ('hospital',)
  config.preprocessing.image_size = 64
  config.model.head = 'pixel'
  config.model.size = 'tiny'
  config.model.cell_prior = 0.3  # so that a network that has hardly learned has findings
  config.train.epochs = 2
  config.train.batch_size = 8
  config.train.log_every = 1
  config.train.devices = 2
  config.train.pictures = 2
  return config


@pytest.fixture
def config(shards) -> ConfigDict:
  """A config of one's own, to be changed."""
  return small_config(shards)


@pytest.fixture(scope='session')
def trained_run(shards, tmp_path_factory) -> pathlib.Path:
  """The workdir of a finished run of `config`."""
  folder = tmp_path_factory.mktemp('run') / 'small'
  train.train(small_config(shards), folder)
  return folder


@pytest.fixture(scope='session', name='command')
def command_fixture() -> Callable[..., str]:
  """`command(module, *arguments)` runs one of the project's commands."""
  return command


def command(module: str, *arguments: str, **environment: str) -> str:
  """What `python -m module arguments` prints; fails where it fails."""
  finished = subprocess.run(
    [sys.executable, '-m', module, *arguments],
    env={**os.environ, **environment},
    cwd=pathlib.Path(__file__).parents[1],
    capture_output=True,
    text=True,
  )
  assert finished.returncode == 0, finished.stdout + finished.stderr
  return finished.stdout
