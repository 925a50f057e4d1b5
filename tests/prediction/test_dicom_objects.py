"""DICOM objects that go back to the hospital; dicom3tools and dcmtk judge them where installed."""

import pathlib
import shutil
import subprocess
import sys
import warnings

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
  ComputedRadiographyImageStorage,
  DeflatedExplicitVRLittleEndian,
  ExplicitVRLittleEndian,
  generate_uid,
)

pytest.importorskip('highdicom', reason='the extra `dicom` is not installed')

from nodulax import predict
from nodulax.checkpoints import description
from nodulax.prediction import dicom_objects, findings, prediction, reader
from nodulax.radiograph.lungs import LungBox
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


@pytest.fixture(autouse=True)
def no_lungs(monkeypatch):
  """A disc is no chest: it is read all the same, as one whole image."""

  def whole(pixels: np.ndarray) -> LungBox:
    return LungBox((0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0])), found=False)

  monkeypatch.setattr(prediction, 'find_lung_box', whole)
  monkeypatch.setattr(prediction.guard, 'pixel_objection', lambda pixels, lungs: '')


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
  return written_beside(path)


def written_beside(path: pathlib.Path) -> dict[str, pathlib.Path]:
  folder, reading = path.parent, reader.read(path, DESCRIPTION.preprocessing)
  view = DESCRIPTION.preprocessing.mask(reading.radiograph.pixels, reading.lungs.box)
  heat_map = cv2.resize(view, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
  found = findings.locate(heat_map, reading.crop)
  places = [findings.Place('right', 'lower')] * len(found)
  said = prediction.Prediction(0.876, 0.7, 0.5, True, heat_map, found, places, [True])
  reading, said = prediction.as_stored(reading, said)
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


# What the header says of the disc's place in the patient, none of which moves it in the file.
@pytest.mark.parametrize('orientation', ['LF', 'RF', 'FL', 'HR', None])
def test_a_planted_nodule_lies_where_it_was_in_every_object(tmp_path, orientation):
  letters = list(orientation) if orientation else None
  files = written(tmp_path, PatientOrientation=letters)
  column, row, radius = NODULE
  for kind in ('dicom_seg', 'dicom_sc'):
    stated = pydicom.dcmread(files[kind]).PatientOrientation
    assert (list(stated) if stated else None) == letters
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
  assert heat.max() >= 250 and np.count_nonzero(heat[:200]) == 0

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
  with pytest.raises(dicom_objects.DicomOutputError, match='no valid StudyInstanceUID') as caught:
    written(tmp_path, StudyInstanceUID=None)
  assert 'Zyxwvut' not in str(caught.value)
  assert [path.name for path in tmp_path.iterdir()] == ['source.dcm']


NAME = 'Hong^Gildong=洪^吉洞=홍^길동'
YAMADA = 'Yamada^Tarou=山田^太郎=やまだ^たろう'
ESCAPED = b'Gil=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6'
# The character sets of the file, its PatientName as it lies there, and how that reads.
CHARACTER_SETS = {
  'standard Korean': (['', 'ISO 2022 IR 149'], NAME, NAME),
  'Korean beside ASCII': (['ISO 2022 IR 6', 'ISO 2022 IR 149'], NAME, NAME),
  'Korean alone': (['ISO 2022 IR 149'], '홍^길동'.encode('euc_kr'), '홍^길동'),
  'wrong term, escapes': ('ISO_IR 149', ESCAPED, 'Gil=홍^길'),
  'no term, escapes': ('ISO_IR 6', ESCAPED, 'Gil=홍^길'),
  'wrong term': ('ISO_IR 149', '홍^길동'.encode('euc_kr'), '홍^길동'),
  'local term': ('KSC5601', '홍^길동'.encode('euc_kr'), '홍^길동'),
  'ASCII': ('ISO_IR 6', 'Hong^Gildong', 'Hong^Gildong'),
  'Korean in ASCII': ('ISO_IR 6', '홍^길동'.encode('euc_kr'), '홍^길동'),
  'UTF-8 in ASCII': ('ISO_IR 6', '洪^吉洞'.encode(), '洪^吉洞'),
  'Korean with Hanja without a term': (None, NAME.encode('euc_kr'), NAME),
  'Korean without a term': (None, '홍^길동'.encode('euc_kr'), '홍^길동'),
  'Korean that claims to be UTF-8': ('ISO_IR 192', '홍^길동'.encode('euc_kr'), '홍^길동'),
  'standard Japanese': (['', 'ISO 2022 IR 87'], YAMADA, YAMADA),
  'Latin': ('ISO_IR 100', 'Müller^Jörg', 'Müller^Jörg'),
  'Latin without a term': (None, 'Müller^Jörg'.encode('latin-1'), 'Müller^Jörg'),
  'unknown': ('KLINGON', b'Doe^Jane', 'Doe^Jane'),
  'UTF-8': ('ISO_IR 192', NAME, NAME),
}


def with_values(path: pathlib.Path, values: dict[str, str | bytes]) -> pathlib.Path:
  """A radiograph whose attributes have these values, bytes as they are, however invalid."""
  dataset, exact = source(), {}
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # pydicom's, about the values
    for keyword, value in values.items():
      if isinstance(value, bytes):
        tag = pydicom.tag.Tag(keyword)
        value += b' ' * (len(value) % 2)
        # pydicom would encode text anew: it gets another one, of the same length.
        instead = value if value.isascii() else b'~' * len(value)
        exact[instead] = value
        vr = dictionary_VR(tag)
        dataset[tag] = RawDataElement(tag, vr, len(value), instead, 0, False, True)
      else:
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
  data = path.read_bytes()
  for instead, value in exact.items():
    assert instead in data
    data = data.replace(instead, value)
  path.write_bytes(data)
  return path


@pytest.mark.parametrize('case', CHARACTER_SETS)
def test_names_in_any_character_set_are_the_same_in_unicode(tmp_path, case):
  character_set, name, reads = CHARACTER_SETS[case]
  values = {'SpecificCharacterSet': character_set} if character_set else {}
  path = with_values(tmp_path / 'source.dcm', {**values, 'PatientName': name})
  for kind, file in written_beside(path).items():
    made = pydicom.dcmread(file)
    assert made.SpecificCharacterSet == 'ISO_IR 192', kind
    assert str(made.PatientName) == reads
    assert reads.encode() in file.read_bytes()
    if shutil.which('dciodvfy'):
      assert 'Error' not in run('dciodvfy', file)


@pytest.mark.parametrize(
  ('keyword', 'value'),
  [
    ('PatientSex', b'U'),
    ('PatientSex', b'Female'),
    ('PatientSex', b'F\\M'),
    ('StudyDate', b'00000000'),
    ('StudyDate', b'2020-01-31'),
    ('StudyDate', b'20200230'),
    ('StudyDate', b'00001231'),
    ('PatientBirthDate', b'19500230'),
    ('StudyDate', b'20200101-20200131'),
    ('StudyTime', b'12:30:01'),
    ('StudyTime', b'996101'),
    ('PatientBirthDate', b'1950'),
    ('PatientName', b'Zyxwvut^Hong\\Doe^Jane'),
    ('PatientID', b'one\\two'),
    ('PatientAge', b'62'),
    ('PatientWeight', b'70 kg'),
    ('PatientOrientation', b'L'),
    ('PixelSpacing', b'0.143'),
    ('PixelSpacing', b'0.143 mm\\0.143 mm'),
  ],
)
def test_an_invalid_value_is_empty_in_every_object(tmp_path, keyword, value):
  path = with_values(tmp_path / 'source.dcm', {keyword: value})
  original = source()
  for kind, file in written_beside(path).items():
    made = pydicom.dcmread(file)
    if keyword not in ('PixelSpacing', 'PatientOrientation') or kind != 'dicom_sr':
      assert not made.get(keyword), kind
    others = {'PatientName', 'PatientID', 'StudyDate', 'PatientSex', 'StudyTime'} - {keyword}
    assert all(made[other].value == original[other].value for other in others)
    if shutil.which('dciodvfy'):
      assert 'Error' not in run('dciodvfy', file)


def test_text_that_is_too_long_stays_as_it_is_in_the_archive(tmp_path):
  path = with_values(tmp_path / 'source.dcm', {'AccessionNumber': b'A' * 20})
  assert b'A' * 20 in written_beside(path)['dicom_sr'].read_bytes()


def test_items_and_deflated_files_are_read_as_well(tmp_path):
  dataset = source(SpecificCharacterSet=['', 'ISO 2022 IR 149'])
  issuer = Dataset()
  issuer.PatientID, issuer.IssuerOfPatientID = 'P2', '길동병원'
  dataset.OtherPatientIDsSequence = [issuer]
  dataset.add_new(0x00090010, 'LO', 'SECRET OF A MAKER')
  dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
  dataset.save_as(tmp_path / 'source.dcm', enforce_file_format=True)
  made = pydicom.dcmread(written_beside(tmp_path / 'source.dcm')['dicom_seg'])
  assert made.OtherPatientIDsSequence[0].IssuerOfPatientID == '길동병원'
  assert 0x00090010 not in made


def test_one_kind_that_fails_stops_no_other(tmp_path, monkeypatch):
  def fail(*_):
    raise ValueError('Zyxwvut^Hong is not a name')

  monkeypatch.setitem(dicom_objects.KINDS, 'dicom_sr', fail)
  with pytest.raises(dicom_objects.DicomOutputError, match='--dicom_sr .ValueError') as caught:
    written(tmp_path)
  assert 'Zyxwvut' not in str(caught.value) and 'dicom_seg' not in str(caught.value)
  assert {path.name for path in tmp_path.iterdir()} == {'source.dcm', 'dicom_seg', 'dicom_sc'}


def test_a_kind_that_cannot_be_written_stops_no_other(tmp_path):
  kinds = written(tmp_path)
  for path in kinds.values():
    path.unlink()
  blocked = kinds['dicom_sr'].parent
  blocked.rmdir()
  blocked.write_text('a file where a folder should be')
  with pytest.raises(dicom_objects.DicomOutputError, match='could not be written: --dicom_sr'):
    written_beside(tmp_path / 'source.dcm')
  assert kinds['dicom_seg'].exists() and kinds['dicom_sc'].exists()


def test_a_radiograph_counts_as_read_where_only_an_object_fails(trained_run, tmp_path):
  source(StudyInstanceUID=None).save_as(tmp_path / 'lacks.dcm', enforce_file_format=True)
  (tmp_path / 'broken.dcm').write_text('no radiograph')
  finished = subprocess.run(
    [
      *(
        sys.executable,
        '-m',
        'nodulax.predict',
        f'--checkpoint={trained_run}',
        '--dicom_sr',
        '--force',
      ),
      *(f'--output={tmp_path / "out"}', tmp_path / 'lacks.dcm', tmp_path / 'broken.dcm'),
    ],
    capture_output=True,
    text=True,
  )
  assert finished.returncode == 1
  assert '\n1 of 2 radiographs: ' in finished.stdout
  assert '1 with a fault:\n  broken.dcm: ' in finished.stderr
  assert '1 read, but not all of it written:\n  lacks.dcm: ' in finished.stderr
  assert 'lacks.dcm,' in (tmp_path / 'out' / 'findings.csv').read_text()


def test_the_command_writes_them_for_dicom_files_alone(trained_run, hospital, tmp_path):
  from tests.prediction.test_predict import images_in

  images = images_in(hospital)
  some = [next(path for path in images if path.suffix == suffix) for suffix in ('.dcm', '.png')]
  source(StudyInstanceUID=None).save_as(tmp_path / 'lacks.dcm', enforce_file_format=True)
  files = predict.radiographs_in([*map(str, some), str(tmp_path / 'lacks.dcm')])
  output = tmp_path / 'out'
  faults = predict.predict(trained_run, files, output, 4, predict.DICOM_KINDS)
  assert faults.keys() == {'lacks.dcm'}
  assert isinstance(faults['lacks.dcm'], predict.Unwritten)
  for kind in predict.DICOM_KINDS:
    assert [path.name for path in (output / kind).iterdir()] == [some[0].name]
  # The findings of the third are there, and its objects are tried again.
  assert 'lacks.dcm' in (output / 'findings.csv').read_text()
  assert predict.predict(trained_run, files, output, 4, predict.DICOM_KINDS) == faults
