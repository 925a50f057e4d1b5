"""DICOM objects that go back to the hospital; dicom3tools and dcmtk judge them where installed."""

import pathlib
import shutil
import subprocess

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

pytest.importorskip('highdicom', reason='the extra `dicom` is not installed')

from nodulax import predict
from nodulax.checkpoints import description
from nodulax.prediction import dicom_objects, findings, prediction, reader
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.statistics.overlap import OverlapThreshold

DESCRIPTION = description.Description(
  name='pixel',
  model={},
  preprocessing=Preprocessing(64, 0.05, (0, 100), 2.0, 8),
  thresholds=description.Thresholds(0.5, OverlapThreshold(0.5, True, 3), 6, 0.7),
  step=26,
)
SHAPE = (640, 480)
NODULE = (130, 420, 20)  # column, row and radius of a disc in the file


def run(*command) -> str:
  """What an independent checker or viewer prints; skips where it is not installed."""
  if shutil.which(str(command[0])) is None:
    pytest.skip(f'{command[0]} is not installed (Debian: dicom3tools, dcmtk)')
  finished = subprocess.run([str(part) for part in command], capture_output=True, text=True)
  assert finished.returncode == 0, finished.stdout + finished.stderr
  return finished.stdout + finished.stderr


def source(**attributes) -> Dataset:
  """A computed radiograph with a bright disc, as a hospital's archive might hold it."""
  data = Dataset()
  data.SOPClassUID = ComputedRadiographyImageStorage
  for keyword in ('SOPInstanceUID', 'StudyInstanceUID', 'SeriesInstanceUID'):
    setattr(data, keyword, generate_uid(entropy_srcs=[keyword]))
  data.PatientName, data.PatientID = 'Zyxwvut^Hong', 'PID-8123377'
  data.PatientBirthDate, data.PatientSex, data.PatientAge = '19430726', 'F', '062Y'
  data.StudyDate, data.StudyTime, data.StudyID = '20260102', '030405', 'S1'
  data.AccessionNumber, data.ReferringPhysicianName = 'ACC-5550199', 'Referrer'
  data.Modality, data.PatientOrientation = 'CR', ['L', 'F']
  data.PixelSpacing = ['0.3', '0.2']
  data.Rows, data.Columns = SHAPE
  data.SamplesPerPixel, data.PhotometricInterpretation = 1, 'MONOCHROME2'
  data.BitsAllocated = data.BitsStored = 8
  data.HighBit, data.PixelRepresentation = 7, 0
  column, row, radius = NODULE
  data.PixelData = cv2.circle(np.zeros(SHAPE, np.uint8), (column, row), radius, 255, -1).tobytes()
  for keyword, value in attributes.items():
    if value is None:
      del data[keyword]
    else:
      setattr(data, keyword, value)
  data.file_meta = FileMetaDataset()
  data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
  return data


def written(folder: pathlib.Path, **attributes) -> dict[str, pathlib.Path]:
  """The objects of a radiograph whose heat map shows just its disc, by kind."""
  path = folder / 'source.dcm'
  source(**attributes).save_as(path, enforce_file_format=True)
  reading = reader.read(path, DESCRIPTION.preprocessing)
  view = DESCRIPTION.preprocessing.mask(reading.radiograph.pixels, reading.lungs.box)
  heat_map = cv2.resize(view, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
  found = findings.locate(heat_map, reading.crop)
  places = [findings.Place('right', 'lower')] * len(found)
  said = prediction.Prediction(0.876, 0.7, 0.5, True, heat_map, found, places, [True])
  files = {kind: folder / kind / 'x.dcm' for kind in dicom_objects.KINDS}
  dicom_objects.write(files, path, reading, said, DESCRIPTION)
  return files


def items(dataset: Dataset, name: str) -> list[Dataset]:
  """Every content item of a structured report of that concept name, in order."""
  found = []
  for item in dataset.get('ContentSequence', []):
    if item.ConceptNameCodeSequence[0].CodeMeaning == name:
      found.append(item)
    found += items(item, name)
  return found


def test_each_object_refers_to_the_radiograph_and_carries_its_patient_and_study(tmp_path):
  original = source()
  for kind, path in written(tmp_path).items():
    made = pydicom.dcmread(path)
    for keyword in (
      *('PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex', 'StudyInstanceUID'),
      *('StudyDate', 'StudyTime', 'StudyID', 'AccessionNumber', 'ReferringPhysicianName'),
    ):
      assert made[keyword].value == original[keyword].value, (kind, keyword)
    assert made.SeriesInstanceUID != original.SeriesInstanceUID
    assert made.SOPInstanceUID != original.SOPInstanceUID
    assert 'not a medical device' in made.SeriesDescription
    if kind != 'dicom_sc':  # a picture refers to its study
      referred = [element.value for element in made.iterall() if element.VR == 'UI']
      assert original.SOPInstanceUID in referred


def test_a_planted_nodule_lies_where_it_was_in_every_object(tmp_path):
  files = written(tmp_path)
  column, row, radius = NODULE
  # To a pixel of the heat map, which is 480 / 32 = 15 by 640 / 32 = 20 pixels of the file at most.
  report = pydicom.dcmread(files['dicom_sr'])
  (region,) = items(report, 'Image Region')
  points = np.array(region.GraphicData).reshape(-1, 2)
  assert region.GraphicType == 'POLYLINE' and np.array_equal(points[0], points[-1])
  x_min, y_min, x_max, y_max = *points.min(axis=0), *points.max(axis=0)
  assert abs((x_min + x_max) / 2 - column) < 7.5 and abs((y_min + y_max) / 2 - row) < 10
  assert abs(x_max - x_min - 2 * radius) < 15 and abs(y_max - y_min - 2 * radius) < 20
  values = {
    name: [float(item.MeasuredValueSequence[0].NumericValue) for item in items(report, name)]
    for name in ('Certainty of Impression', 'Certainty of Finding', 'Width', 'Height')
  }
  assert values['Certainty of Impression'] == [87.6]
  assert values['Width'][0] == pytest.approx((x_max - x_min) * 0.2, abs=1e-3)
  assert values['Height'][0] == pytest.approx((y_max - y_min) * 0.3, abs=1e-3)
  (side,) = items(report, 'Laterality')
  assert side.ConceptCodeSequence[0].CodeMeaning == 'Right'

  heat = pydicom.dcmread(files['dicom_seg']).pixel_array.reshape(SHAPE).astype(float)
  rows, columns = np.indices(SHAPE)
  assert (heat * columns).sum() / heat.sum() == pytest.approx(column, abs=2)
  assert (heat * rows).sum() / heat.sum() == pytest.approx(row, abs=2)
  assert heat.max() == 255 and np.count_nonzero(heat[:200]) == 0

  picture = pydicom.dcmread(files['dicom_sc']).pixel_array
  assert picture.shape == (*SHAPE, 3)
  # The frame of the finding is the only colour far from the disc's centre.
  assert np.ptp(picture[row - radius * 3 :][: radius * 6].astype(int), axis=-1).max() > 50
  assert np.ptp(picture[:200].astype(int), axis=-1).max() == 0


@pytest.mark.parametrize('kind', sorted(dicom_objects.KINDS))
@pytest.mark.parametrize(
  'attributes',
  [
    {},
    {'PatientID': None, 'StudyDate': None, 'AccessionNumber': None, 'PixelSpacing': None},
    {'PatientAge': '62', 'PatientOrientation': None},
  ],
)
def test_an_independent_checker_finds_no_error(tmp_path, kind, attributes):
  import warnings

  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # pydicom's, about the age
    path = written(tmp_path, **attributes)[kind]
  assert 'Error' not in run('dciodvfy', path)


def test_independent_viewers_open_them(tmp_path):
  files = written(tmp_path)
  report = run('dsrdump', '+Pl', files['dicom_sr'])
  assert 'Imaging Measurement Report' in report and '"87.6" (%,UCUM,"percent")' in report
  assert 'For research. Not a medical device.' in report
  for kind, channels in (('dicom_seg', 1), ('dicom_sc', 3)):
    picture = tmp_path / f'{kind}.ppm'
    run('dcm2pnm', '--write-raw-pnm', files[kind], picture)
    seen = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)
    assert seen.shape[:2] == SHAPE and seen[..., None].squeeze().ndim == (2 if channels == 1 else 3)


def test_the_same_radiograph_and_network_give_the_same_uids(tmp_path):
  (tmp_path / 'a').mkdir()
  (tmp_path / 'b').mkdir()
  one, two = written(tmp_path / 'a'), written(tmp_path / 'b')
  for kind in dicom_objects.KINDS:
    assert pydicom.dcmread(one[kind]).SOPInstanceUID == pydicom.dcmread(two[kind]).SOPInstanceUID


def test_a_radiograph_without_identity_is_a_fault_that_names_no_patient(tmp_path):
  with pytest.raises(dicom_objects.DicomOutputError, match='no StudyInstanceUID') as caught:
    written(tmp_path, StudyInstanceUID=None)
  assert 'Zyxwvut' not in str(caught.value)
  assert [path.name for path in tmp_path.iterdir()] == ['source.dcm']


def test_the_command_writes_them_for_dicom_files_alone(trained_run, hospital, tmp_path):
  from tests.prediction.test_predict import images_in

  images = images_in(hospital)
  some = [next(path for path in images if path.suffix == suffix) for suffix in ('.dcm', '.png')]
  source(StudyInstanceUID=None).save_as(tmp_path / 'lacks.dcm', enforce_file_format=True)
  files = predict.radiographs_in([*map(str, some), str(tmp_path / 'lacks.dcm')])
  output = tmp_path / 'out'
  faults = predict.predict(trained_run, files, output, 4, predict.DICOM_KINDS)
  assert faults.keys() == {'lacks.dcm'}
  for kind in predict.DICOM_KINDS:
    assert [path.name for path in (output / kind).iterdir()] == [f'{some[0].name}.dcm']
  # The findings of the third are there, and its objects are tried again.
  assert 'lacks.dcm' in (output / 'findings.csv').read_text()
  assert predict.predict(trained_run, files, output, 4, predict.DICOM_KINDS) == faults
