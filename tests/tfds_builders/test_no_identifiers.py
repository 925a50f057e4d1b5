"""Plants identifiers wherever a hospital's download may hold them; none may come out."""

import hashlib
import json
import struct
import zlib

import cv2
import numpy as np
import pytest
from array_record.python.array_record_data_source import ArrayRecordDataSource

# Each hidden in another place.
NAME = 'Zyxwvut^Hong'
PATIENT = 'MRN-7734201'
ACCESSION = 'ACC-5550199'
REMARK = 'QuokkaRemark'
INSTITUTION = 'Wombat General'
PATH = 'WardNarwhal_Kim'
PNG_TEXT = 'PngTextOcelot'
PLANTED = [NAME, PATIENT, ACCESSION, REMARK, INSTITUTION, PATH, PNG_TEXT]


def with_text(png: bytes) -> bytes:
  """The PNG with a text chunk before its end."""
  body = b'tEXtComment\0' + PNG_TEXT.encode()
  chunk = struct.pack('>I', len(body) - 4) + body + struct.pack('>I', zlib.crc32(body))
  return png[:-12] + chunk + png[-12:]


@pytest.fixture
def revealing(tmp_path, make_radiograph, make_dicom):
  """A hospital of 12 patients whose names are on everything but the pixels."""
  folder = tmp_path / 'hospital'
  lines = ['image,patient_id,label,mask']
  for number in range(12):
    pixels = make_radiograph(number, 80, 80, bits=16)
    image = f'{PATH}/{PATIENT}_{number}.{"dcm" if number % 2 else "png"}'
    mask = ''
    if number % 2:
      make_dicom(
        folder / image,
        pixels,
        PatientName=f'{NAME}{number}',
        PatientID=f'{PATIENT}-{number}',
        AccessionNumber=f'{ACCESSION}{number}',
        InstitutionName=INSTITUTION,
        PatientComments=REMARK,
        ImageComments=REMARK,
        StudyDescription=REMARK,
        PatientBirthDate='19600102',
        PatientSex='F',
        PatientAge='063Y',
        ViewPosition='PA',
      )
    else:
      (folder / image).parent.mkdir(parents=True, exist_ok=True)
      (folder / image).write_bytes(with_text(cv2.imencode('.png', pixels)[1].tobytes()))
      drawn = np.zeros((80, 80), np.uint8)
      drawn[30:40, 30:40] = 255
      mask = f'{PATH}/{NAME}_{number}_mask.png'
      (folder / mask).write_bytes(with_text(cv2.imencode('.png', drawn)[1].tobytes()))
    label = 'normal' if number % 2 else 'nodule'
    lines.append(f'{image},{PATIENT}-{number},{label},{mask}')
  (folder / 'manifest.csv').write_text('\n'.join(lines))
  return folder


@pytest.fixture
def faulty(revealing, make_dicom):
  """The same hospital with a fault of every kind that a message could quote from."""
  truncated = revealing / PATH / f'{PATIENT}_0.png'
  truncated.write_bytes(truncated.read_bytes()[:500])
  broken = revealing / PATH / f'{PATIENT}_1.dcm'
  broken.write_bytes(broken.read_bytes()[:-3000])
  blank = np.zeros((80, 80), np.uint16)
  make_dicom(revealing / PATH / f'{PATIENT}_3.dcm', blank, PatientName=NAME, PatientID=PATIENT)
  manifest = revealing / 'manifest.csv'
  lines = manifest.read_text().splitlines()
  lines += [
    f'{PATH}/{NAME}.dcm,{PATIENT},nodule,',
    f'../{NAME}.dcm,{PATIENT},nodule,',
    f'{PATH}/{PATIENT}_5.dcm,{PATIENT},{NAME},',
    f'{PATH}/{NAME}_x.png,{PATIENT},{NAME},{NAME}.png',
    f'{PATH}/{PATIENT}_4.png,{PATIENT}-4,nodule,',
  ]
  manifest.write_text('\n'.join(lines))
  return revealing


def everything_written(folder) -> bytes:
  """The bytes of every file below the folder, and of every record of the shards, unpacked."""
  found = []
  for path in folder.rglob('*'):
    found.append(str(path.relative_to(folder)).encode())
    if path.is_file():
      found.append(path.read_bytes())
    if '.array_record' in path.name:
      source = ArrayRecordDataSource(str(path))
      found += [source[index] for index in range(len(source))]
  return b'\n'.join(found)


def unreadable(identifier: str) -> list[bytes]:
  """An identifier as it is, and as hashes that anyone could compute."""
  text = identifier.encode()
  return [
    text,
    hashlib.md5(text).hexdigest().encode(),
    hashlib.sha256(text).hexdigest()[:16].encode(),
  ]


def assert_nothing_written(*folders) -> None:
  assert_nothing_in(*map(everything_written, folders))


def assert_nothing_told(outcome, *folders) -> None:
  assert_nothing_in(outcome.out.encode() + outcome.err.encode())
  assert_nothing_written(*folders)


def assert_nothing_in(*places: bytes) -> None:
  for identifier in PLANTED:
    for form in unreadable(identifier):
      for place in places:
        assert form not in place, identifier


def test_nothing_of_a_patient_is_in_shards_and_what_the_build_says(revealing, build):
  outcome = build('gmc_nodule', revealing)
  assert outcome.status == 0, outcome.err
  assert_nothing_told(outcome, outcome.data_dir)
  examples = outcome.examples('test')
  assert len({example['patient_id'] for example in examples}) == 12
  # What is no identifier is kept.
  assert sum(example['sex'] == b'female' and example['age'] == 63 for example in examples) == 6
  for number in range(12):
    guess = hashlib.sha256(f'{PATIENT}-{number}'.encode()).hexdigest()[:16].encode()
    assert guess not in {example['patient_id'] for example in examples}


def test_the_pixels_are_those_of_the_files(revealing, build, make_radiograph):
  outcome = build('gmc_nodule', revealing)
  stored = {
    cv2.imdecode(np.frombuffer(e['image'], np.uint8), cv2.IMREAD_UNCHANGED).tobytes()
    for e in outcome.examples('test')
  }
  assert stored == {make_radiograph(number, 80, 80, bits=16).tobytes() for number in range(12)}


def test_nothing_of_a_patient_is_in_the_validation_report(revealing, validate, tmp_path):
  outcome = validate('gmc_nodule', revealing)
  assert outcome.status == 0, outcome.out
  assert_nothing_told(outcome, tmp_path / 'report')


def test_faults_are_told_without_names(faulty, validate, build, run, tmp_path):
  outcome = validate('gmc_nodule', faulty)
  assert outcome.status == 1
  for line in (2, 3, 5, 6, 14, 15, 17):
    assert f'manifest.csv line {line}' in outcome.out
  assert_nothing_told(outcome, tmp_path / 'report')
  refused = build('gmc_nodule', faulty)
  assert refused.status == 1
  assert_nothing_told(refused, refused.data_dir)
  built = build('gmc_nodule', faulty, '--allow_faulty', '--allow_missing')
  assert built.status == 0, built.err
  assert_nothing_told(built, built.data_dir)
  for options in ([], ['--json']):
    assert_nothing_told(run('cohort', 'gmc_nodule', faulty, *options))


def test_no_log_message_names_a_patient(faulty, build, caplog):
  caplog.set_level('DEBUG')
  build('gmc_nodule', faulty, '--allow_faulty', '--allow_missing')
  # The folders that the user named hold no identifiers here.
  for identifier in PLANTED:
    assert identifier not in caplog.text


@pytest.fixture
def revealing_aihub(aihub, make_dicom, make_radiograph):
  """AI-HUB's layout with names on files, in annotations and in DICOM tags, and with faults."""
  for number, path in enumerate(sorted((aihub / 'annotations').iterdir())):
    annotation = json.loads(path.read_text())
    (aihub / 'images' / annotation['image']).unlink()
    annotation |= {'image': f'{PATH}_{number}.dcm', 'patient_id': f'{PATIENT}-{number}'}
    annotation['remark'] = REMARK
    if number != 20:
      # Two patients have the same picture, a third one that looks like it.
      pixels = make_radiograph(1 if number in (1, 2, 3) else number + 30, bits=16)
      brighter = pixels // 2 + (3000 if number == 3 else 0)
      make_dicom(
        aihub / 'images' / annotation['image'], brighter, PatientName=NAME, PatientID=PATIENT
      )
    if number == 21:
      annotation['sex'] = NAME
    path.with_name(f'{NAME}_{number:02d}.json').write_text(json.dumps(annotation))
    path.unlink()
  (aihub / 'annotations' / f'{NAME}_22.json').write_text(f'{{"{PATIENT}')
  return aihub


def test_files_of_aihub_are_named_on_the_terminal_alone(revealing_aihub, validate, build, tmp_path):
  outcome = validate('aihub_nodule', revealing_aihub)
  assert outcome.status == 1
  for number, kind in (
    (2, 'one image, two patients'),
    (3, 'one image, two patients'),
    (22, 'sex malformed'),
    (23, 'annotation unreadable'),
  ):
    assert kind in outcome.out
    name = f'annotation {number} (annotations/{NAME}_{number - 1:02d}.json)'
    assert name in outcome.out
    assert f'"where": "annotation {number}"' in (tmp_path / 'report/validation.json').read_text()
  assert 'maybe a duplicate' in outcome.out
  assert_nothing_written(tmp_path / 'report')
  refused = build('aihub_nodule', revealing_aihub)
  assert f'annotation 2 (annotations/{NAME}_01.json)' in refused.err
  built = build('aihub_nodule', revealing_aihub, '--allow_faulty', '--allow_missing')
  assert built.status == 0, built.err
  assert_nothing_written(built.data_dir)
  assert json.loads((built.folder / 'cohort.json').read_text())['left_out'] == {
    'image missing': ['annotation 21'],
    'sex malformed': ['annotation 22'],
    'annotation unreadable': ['annotation 23'],
    'one image, two patients': ['annotation 2', 'annotation 3'],
  }
  assert f'left out, image missing: annotation 21 (annotations/{NAME}_20.json)' in built.out
