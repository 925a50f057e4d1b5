"""Building on Apache Beam, and with the `tfds` command; both come with the extra `beam`."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from tfds_builders.nih_chestxray14.nih_chestxray14_dataset_builder import Builder

ROOT = pathlib.Path(__file__).parents[2]


def contents(folder: pathlib.Path) -> dict[str, bytes]:
  """Everything in the folder of a data set but what TFDS says of the machine that built it."""
  return {
    path.name: path.read_bytes()
    for path in folder.iterdir()
    if path.name not in ('dataset_info.json', 'features.json')
  }


@pytest.fixture
def here(nih, build):
  """What `python -m tfds_builders build` makes of a small download."""
  return build('nih_chestxray14', nih).folder


# Beam and what it stands on warn of their own affairs.
@pytest.mark.filterwarnings('default')
def test_beam_writes_the_same_bytes(nih, here, tmp_path):
  pytest.importorskip('apache_beam', reason="needs the extra 'beam'")
  builder = Builder(data_dir=tmp_path / 'beam')
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=nih, beam_runner='DirectRunner')
  )
  there = pathlib.Path(builder.data_dir)
  assert len(contents(there)) == 6
  assert contents(there) == contents(here)
  one, other = (tfds.builder_from_directory(folder).info for folder in (here, there))
  for split in ('train', 'tune', 'test'):
    assert one.splits[split].shard_lengths == other.splits[split].shard_lengths
    assert one.splits[split].num_bytes == other.splits[split].num_bytes
  assert one.features.to_json() == other.features.to_json()


@pytest.mark.filterwarnings('default')
def test_the_tfds_command_builds_the_same_bytes(nih, here, tmp_path):
  pytest.importorskip('apache_beam', reason="needs the extra 'beam'")
  pytest.importorskip('mlcroissant', reason="needs the extra 'beam'")
  command = shutil.which('tfds', path=pathlib.Path(sys.executable).parent)
  assert command
  finished = subprocess.run(
    [command, 'build', '--data_dir', tmp_path / 'tfds', '--manual_dir', nih],
    cwd=ROOT / 'tfds_builders' / 'nih_chestxray14',
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
    capture_output=True,
    text=True,
  )
  assert finished.returncode == 0, finished.stderr
  assert contents(tmp_path / 'tfds/nih_chestxray14/default/1.0.0') == contents(here)
