"""A hospital's names and numbers leave it in no file that nodulax writes."""

import re

from nodulax import predict


def test_what_training_and_evaluation_write_names_no_patient(trained_run, shards, hospital):
  # The virtual hospital's patients are called G00001 and so on, in its manifest and file names.
  patient = re.compile(rb'G0{3}\d\d')
  assert patient.search((hospital / 'manifest.csv').read_bytes())
  written = [path for folder in (trained_run, shards) for path in folder.rglob('*')]
  assert len(written) > 50
  for path in written:
    assert not patient.search(str(path.name).encode())
    if path.is_file():
      assert not patient.search(path.read_bytes()), path


def test_prediction_takes_nothing_from_dicom_text(trained_run, hospital, tmp_path):
  import pydicom

  source = next((hospital / 'images').glob('*.dcm'))
  dataset = pydicom.dcmread(source)
  dataset.PatientName = 'Planted^Name'
  dataset.PatientID = 'PLANTED17'
  dataset.AccessionNumber = 'PLANTED18'
  (tmp_path / 'in').mkdir()
  dataset.save_as(tmp_path / 'in' / 'scan.dcm')
  files = predict.radiographs_in([str(tmp_path / 'in')])
  assert predict.predict(trained_run, files, tmp_path / 'out', batch_size=1) == {}
  for path in (tmp_path / 'out').rglob('*'):
    assert path.is_dir() or b'planted' not in path.read_bytes().lower()
