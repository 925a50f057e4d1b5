"""A hospital's names and numbers leave it in no file that nodulax writes, and in no message."""

import pathlib

import pytest
from array_record.python.array_record_data_source import ArrayRecordDataSource

from nodulax import predict, train
from nodulax.report import write_report


def everything_in(*folders: pathlib.Path) -> list[tuple[str, bytes]]:
  """The path below its folder and the bytes of every file, shards unpacked."""
  found = []
  for folder in folders:
    for path in folder.rglob('*'):
      name = str(path.relative_to(folder))
      found.append((name, path.read_bytes() if path.is_file() else b''))
      if '.array_record' in path.name:
        source = ArrayRecordDataSource(str(path))
        found += [(name, source[index]) for index in range(len(source))]
  return found


def assert_silent(identifiers: list[str], written: list[tuple[str, bytes]]) -> None:
  for name, content in written:
    for identifier in identifiers:
      assert identifier not in name
      assert identifier.encode() not in content, f'{identifier} in {name}'


def test_the_hospital_says_whose_images_they_are(hospital, identifiers):
  """Else the tests below would find nothing for want of anything to find."""
  text = b'\n'.join(name.encode() + content for name, content in everything_in(hospital))
  assert all(identifier.encode() in text for identifier in identifiers)


def test_validation_names_no_patient(hospital, identifiers, command, tmp_path):
  options = (f'--manual_dir={hospital}', '--config=hospital', f'--output={tmp_path / "report"}')
  said = command('tfds_builders', 'validate', 'gmc_nodule', *options)
  # The user names the folder of the report, and is told it.
  assert_silent(identifiers, [('said', said.encode()), *everything_in(tmp_path / 'report')])


def test_shards_training_and_evaluation_name_no_patient(trained_run, shards, identifiers):
  written = everything_in(trained_run, shards)
  assert len(written) > 100
  assert any('predictions.csv' in name for name, _ in written)
  assert_silent(identifiers, written)


def test_the_report_names_no_patient(trained_run, identifiers, tmp_path, capfd):
  write_report(trained_run, tmp_path / 'report')
  written = everything_in(tmp_path / 'report')
  assert any(name == 'index.html' for name, _ in written)
  said = ''.join(capfd.readouterr())
  assert_silent(identifiers, [('said', said.encode()), *written])


def test_training_says_nothing_of_patients(config, identifiers, tmp_path, capfd, caplog):
  caplog.set_level('DEBUG')
  config.train.epochs = 1
  train.train(config, tmp_path / 'run')
  said = ''.join(capfd.readouterr()) + caplog.text
  assert 'auc' in said
  assert_silent(identifiers, [('said', said.encode())])


@pytest.mark.parametrize('folder', [True, False])
def test_prediction_tells_of_a_file_its_name_and_pixels_alone(
  trained_run, hospital, identifiers, tmp_path, folder
):
  source = next(hospital.glob('*/*.dcm'))
  (tmp_path / 'in').mkdir()
  named = tmp_path / 'in' / 'scan.dcm'
  named.write_bytes(source.read_bytes())
  files = predict.radiographs_in([str(named.parent if folder else named)])
  assert predict.predict(trained_run, files, tmp_path / 'out', batch_size=1) == {}
  assert_silent(identifiers, everything_in(tmp_path / 'out'))
