import csv
import dataclasses
import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys

import cv2
import jsonschema
import numpy as np
import pydicom
import pytest

from nodulax import predict
from nodulax.checkpoints import checkpoint
from nodulax.input.prepared import prepare
from nodulax.input.shards import Shards
from nodulax.prediction import files as prediction_files
from nodulax.prediction import findings, prediction, reader
from nodulax.radiograph.lungs import LungBox
from nodulax.radiograph.orientation import Turn
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.radiograph.reading import Radiograph, encode_png, read_radiograph
from nodulax.statistics.findings import Finding


def images_in(hospital) -> list[pathlib.Path]:
  """The hospital's radiographs."""
  return sorted(path for path in hospital.glob('*/*.*') if path.parent.name != 'masks')


def rows_of(folder):
  with (folder / 'findings.csv').open(newline='') as file:
    return list(csv.DictReader(file))


@pytest.fixture
def radiographs(hospital, tmp_path) -> pathlib.Path:
  """Three readable files, one of them in a folder below, and two that are not."""
  folder = tmp_path / 'in'
  (folder / 'below').mkdir(parents=True)
  images = images_in(hospital)
  png = next(path for path in images if path.suffix == '.png')
  dicom = next(path for path in images if path.suffix == '.dcm')
  shutil.copy(png, folder / 'one.png')
  shutil.copy(dicom, folder / 'below' / 'two.dcm')
  eight_bits = (read_radiograph(png).pixels >> 6).astype(np.uint8)
  cv2.imwrite(str(folder / 'three.jpg'), eight_bits)
  (folder / 'cut.png').write_bytes(png.read_bytes()[:2000])
  (folder / 'text.dcm').write_text('not an image')
  (folder / 'notes.txt').write_text('is skipped')
  return folder


def test_the_command_reads_what_it_can_and_lists_the_rest(trained_run, radiographs, tmp_path):
  output = tmp_path / 'out'
  finished = subprocess.run(
    [
      *(sys.executable, '-m', 'nodulax.predict', f'--checkpoint={trained_run}'),
      *(f'--output={output}', str(radiographs)),
    ],
    cwd=pathlib.Path(__file__).parents[2],
    capture_output=True,
    text=True,
  )
  assert finished.returncode == 1
  assert '3 of 5 radiographs' in finished.stdout
  assert 'cut.png' in finished.stderr and 'text.dcm' in finished.stderr
  assert 'skipped 1 of 6 files' in finished.stderr
  assert 'Traceback' not in finished.stderr
  rows = rows_of(output)
  assert list(rows[0])[:2] == ['image', 'probability']
  assert {row['image'] for row in rows} == {'one.png', 'three.jpg', 'below/two.dcm'}
  assert all(0 <= float(row['probability']) <= 1 for row in rows)
  overlays = output / 'overlays'
  drawn = {path.relative_to(overlays).as_posix() for path in overlays.rglob('*.png')}
  assert drawn == {'one.png', 'three.jpg.png', 'below/two.dcm.png'}
  assert 'not a medical device' in (output / 'NOTICE.txt').read_text().lower()


def test_prediction_sees_bit_for_bit_what_training_saw(trained_run, shards, tmp_path):
  preprocessing = checkpoint.describe(trained_run).preprocessing
  prepared = prepare(Shards(shards, 'test'), preprocessing)
  for index in range(4):
    _, pixels, _ = Shards(shards, 'test')[index]
    path = tmp_path / f'{index}.png'
    path.write_bytes(encode_png(pixels))
    np.testing.assert_array_equal(predict.read(path, preprocessing).view, prepared.images[index])


def test_prediction_and_evaluation_give_one_probability(trained_run, shards, tmp_path):
  split = Shards(shards, 'test')
  for index in range(len(split)):
    case, pixels, _ = split[index]
    (tmp_path / f'{case.image_id}.png').write_bytes(encode_png(pixels))
  files = predict.radiographs_in([str(tmp_path)])
  assert predict.predict(trained_run, files, tmp_path / 'out', batch_size=3) == {}
  with (trained_run / 'evaluation/hospital/predictions.csv').open(newline='') as file:
    evaluated = {row['image_id']: float(row['probability']) for row in csv.DictReader(file)}
  predicted = {row['image'][:-4]: float(row['probability']) for row in rows_of(tmp_path / 'out')}
  assert predicted.keys() == evaluated.keys()
  for name, probability in predicted.items():
    assert probability == pytest.approx(evaluated[name], abs=1e-5)


def test_real_radiographs_are_drawn_with_dark_lungs_and_bright_bones(
  trained_run, real_data, tmp_path
):
  dicom = real_data / 'dicom' / 'gdcm-CR-MONO1-10-chest.dcm'
  nih = real_data / 'nih' / 'images' / '00000001_000.png'
  nih = nih if nih.exists() else sorted((real_data / 'nih' / 'images').iterdir())[0]
  files = predict.radiographs_in([str(dicom), str(nih)])
  assert predict.predict(trained_run, files, tmp_path / 'out', batch_size=2) == {}
  for name in files:
    picture = cv2.imread(str(tmp_path / 'out' / 'overlays' / f'{name.removesuffix(".png")}.png'))
    height, width = picture.shape[:2]
    grey = picture.mean(axis=-1)
    spine = grey[height // 2 : height * 3 // 4, width * 9 // 20 : width * 11 // 20].mean()
    right_lung = grey[height * 3 // 10 : height // 2, width // 5 : width * 3 // 10].mean()
    assert spine > right_lung + 30


def prediction_of(reading: prediction.Reading, heat_map: np.ndarray) -> prediction.Prediction:
  """What a network that gave this heat map would say of a positive radiograph."""
  found = findings.locate(heat_map, reading.crop)
  return prediction.Prediction(
    probability=0.75,
    uncalibrated=0.5,
    threshold=0.25,
    positive=True,
    heat_map=heat_map,
    findings=found,
    places=[findings.place(one, reading.lungs, 'LF') for one in found],
    marked=findings.marked(found, True, 0.5),
  )


@pytest.mark.parametrize('row', [3, 17, 28])
@pytest.mark.parametrize('column', [2, 16, 30])
def test_a_planted_nodule_comes_back_in_pixels_of_the_file(row, column):
  """A disc in the file, seen through crop and resize, is found again where it was."""
  pixels = np.zeros((1000, 1600), np.uint16)
  lungs = LungBox((300.0, 100.0, 1400.0, 900.0), found=True)
  preprocessing = Preprocessing(512, 0.05, (0, 100), 2.0, 8)
  crop = preprocessing.crop(pixels.shape, lungs.box)
  # 300 - 55 = 245 to 1455 and 100 - 40 = 60 to 940: one heat map pixel is 37.8125 x 27.5 pixels.
  assert crop == (245, 60, 1455, 940)
  x, y = 245 + (column + 0.5) * 37.8125, 60 + (row + 0.5) * 27.5
  disc = cv2.circle(np.zeros(pixels.shape, np.uint8), (round(x), round(y)), 40, 255, -1)
  view = preprocessing.mask(disc, lungs.box)
  heat_map = cv2.resize(view, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
  reading = prediction.Reading(Radiograph(pixels, (0.2, 0.3)), lungs, crop, view)
  (finding,) = prediction_files.record('x', reading, prediction_of(reading, heat_map))['findings']
  assert finding['x'] == pytest.approx(x, abs=3) and finding['y'] == pytest.approx(y, abs=3)
  # Within a pixel of the heat map, the finest that it can say.
  expected = np.array([x - 40, y - 40, x + 40, y + 40])
  assert np.all(np.abs(np.array(finding['box']) - expected) < [37.9, 27.6, 37.9, 27.6])
  assert finding['x_mm'] == pytest.approx(0.2 * finding['x'])
  assert finding['height_mm'] == pytest.approx(0.3 * finding['height'])
  assert finding['width'] == pytest.approx(finding['box'][2] - finding['box'][0])
  assert finding['laterality'] == ('right' if x < 850 else 'left')
  third = 'upper' if y < 100 + 800 / 3 else 'middle' if y < 900 - 800 / 3 else 'lower'
  assert finding['zone'] == third


@pytest.mark.parametrize('stated', ['FL', 'RF', 'LH', 'HR'])
def test_findings_of_a_radiograph_on_its_side_are_in_pixels_of_its_file(stated):
  """The patient's right lower lung, wherever the file has it."""
  turn = Turn.of(stated)
  upright = np.zeros((400, 300), np.uint8)
  cv2.circle(upright, (60, 330), 20, 255, -1)
  disc = turn.stored(upright)
  rows, columns = np.nonzero(disc)
  spacing = turn.swapped((0.2, 0.3))  # 0.2 mm across the patient
  radiograph = Radiograph(turn.upright(disc), (0.2, 0.3), turn=turn)
  lungs = LungBox((30.0, 50.0, 280.0, 380.0), found=True)
  preprocessing = Preprocessing(256, 0.05, (0, 100), 2.0, 8)
  view = preprocessing.mask(radiograph.pixels, lungs.box)
  heat_map = cv2.resize(view, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
  reading = prediction.Reading(
    radiograph, lungs, preprocessing.crop(upright.shape, lungs.box), view
  )
  lying, said = prediction.as_stored(reading, prediction_of(reading, heat_map))
  done = prediction_files.record('x', lying, said)
  assert (done['height'], done['width']) == disc.shape
  assert done['spacing_mm'] == list(spacing)
  (finding,) = done['findings']
  assert finding['x'] == pytest.approx(columns.mean() + 0.5, abs=3)
  assert finding['y'] == pytest.approx(rows.mean() + 0.5, abs=3)
  around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
  np.testing.assert_allclose(finding['box'], around, atol=7)
  assert finding['width_mm'] == pytest.approx(finding['width'] * spacing[0])
  assert (finding['laterality'], finding['zone']) == ('right', 'lower')
  # The heat map is hot where the disc is, in the crop of the file.
  heat = reader.whole_heat_map(said.heat_map, lying.crop, disc.shape, disc.shape[::-1])
  assert heat[disc > 0].mean() > 0.8 and heat[disc == 0].mean() < 0.02
  assert turn.orientation == stated
  x_min, y_min, x_max, y_max = map(int, lying.lungs.box)
  assert disc[y_min:y_max, x_min:x_max].sum() == disc.sum()


def test_laterality_follows_the_orientation_that_the_file_states():
  lungs = LungBox((0.0, 0.0, 90.0, 90.0), found=True)
  finding = Finding(0.5, 10.0, 80.0, (5.0, 75.0, 15.0, 85.0), 100)
  assert findings.place(finding, lungs, 'LF') == findings.Place('right', 'lower')
  assert findings.place(finding, lungs, 'RF') == findings.Place('left', 'lower')
  assert findings.place(finding, lungs, 'LH') == findings.Place('right', 'upper')
  assert findings.place(finding, lungs, '') == findings.Place('unknown', 'unknown')
  nowhere = LungBox((0.0, 0.0, 90.0, 90.0), found=False)
  assert findings.place(finding, nowhere, 'LF') == findings.Place('unknown', 'unknown')


def test_a_positive_radiograph_marks_its_hottest_finding_and_those_at_the_threshold():
  found = [Finding(score, 0.0, 0.0, (0.0, 0.0, 1.0, 1.0), 1) for score in (0.6, 0.5, 0.4)]
  assert findings.marked(found, True, 0.5) == [True, True, False]
  assert findings.marked(found, True, 0.7) == [True, False, False]
  assert findings.marked(found, False, 0.5) == [False, False, False]
  assert findings.marked([], True, 0.5) == []


def test_the_files_say_the_same_and_follow_the_schema(trained_run, radiographs, tmp_path):
  files = predict.radiographs_in([str(radiographs)])
  output = tmp_path / 'out'
  assert predict.predict(trained_run, files, output, batch_size=2).keys() == {'cut.png', 'text.dcm'}
  whole = json.loads((output / 'findings.json').read_text())
  schema = pathlib.Path(findings.__file__).with_name('findings.schema.json')
  jsonschema.validate(whole, json.loads(schema.read_text()))
  assert whole['version'] == prediction_files.VERSION
  assert [fault['image'] for fault in whole['faults']] == ['cut.png', 'text.dcm']
  assert str(tmp_path) not in (output / 'findings.json').read_text()
  rows = rows_of(output)
  assert [row['image'] for row in rows] == [record['image'] for record in whole['radiographs']]
  with (output / 'locations.csv').open(newline='') as file:
    locations = list(csv.DictReader(file))
  assert len(locations) == sum(len(record['findings']) for record in whole['radiographs'])
  node21 = json.loads((output / 'nodules.json').read_text())
  assert len(node21['boxes']) == len(locations)
  for row, record in zip(rows, whole['radiographs'], strict=True):
    assert float(row['probability']) == pytest.approx(record['probability'], abs=1e-6)
    mine = [place for place in locations if place['image'] == row['image']]
    assert sum(int(place['marked']) for place in mine) == int(row['findings'])
    if mine:
      assert float(mine[0]['x']) == pytest.approx(record['findings'][0]['x'], rel=1e-5)


def test_the_form_of_node21_is_in_millimetres_with_the_radiograph_as_slice():
  box = {'score': 0.71239, 'box': [10.0, 20.0, 30.0, 50.0], 'box_mm': [1.0, 4.0, 3.0, 10.0]}
  unknown = {'score': 0.5, 'box': [1.0, 2.0, 3.0, 4.0], 'box_mm': None}
  written = prediction_files.node21(
    [
      {'findings': [box], 'objection': None},
      {'findings': [unknown], 'objection': 'it has no lungs'},
    ]
  )
  assert written == {
    'type': 'Multiple 2D bounding boxes',
    'boxes': [
      {
        'corners': [[3.0, 10.0, 0], [1.0, 10.0, 0], [1.0, 4.0, 0], [3.0, 4.0, 0]],
        'probability': 0.7124,
      },
      {
        'corners': [[3.0, 4.0, 1], [1.0, 4.0, 1], [1.0, 2.0, 1], [3.0, 2.0, 1]],
        'probability': 0.5,
        'name': 'FORCED: it has no lungs',
      },
    ],
    'version': {'major': 1, 'minor': 0},
  }


def test_a_run_with_a_temperature_gives_calibrated_probabilities():
  # The logit of 0.9 is ln 9; divided by 2 it is ln 3, whose sigmoid is 3 / 4.
  assert prediction.calibrated(0.9, 2.0) == pytest.approx(0.75, abs=1e-12)
  assert prediction.calibrated(0.9, None) == 0.9


def test_a_stopped_prediction_goes_on_where_it_stopped(
  trained_run, hospital, tmp_path, monkeypatch
):
  images = images_in(hospital)[:6]
  files = predict.radiographs_in([str(path) for path in images])
  whole, parts = tmp_path / 'whole', tmp_path / 'parts'
  predict.predict(trained_run, files, whole, batch_size=4)
  read, seen = predict.read, []

  def stops_at_the_sixth(path, preprocessing):
    seen.append(path)
    if path == images[5]:
      raise KeyboardInterrupt
    return read(path, preprocessing)

  monkeypatch.setattr(predict, 'read', stops_at_the_sixth)
  with pytest.raises(KeyboardInterrupt):
    predict.predict(trained_run, files, parts, batch_size=4)
  assert len(rows_of(parts)) == 4
  with (parts / 'journal.jsonl').open('a') as file:
    file.write('{"file": [1, 2], "radiogr')  # the power fails while a line is written
  seen.clear()
  monkeypatch.setattr(predict, 'read', lambda *args: seen.append(args[0]) or read(*args))
  assert predict.predict(trained_run, files, parts, batch_size=4) == {}
  assert sorted(seen) == images[4:]
  for name in ('findings.csv', 'locations.csv', 'findings.json', 'nodules.json'):
    assert (parts / name).read_text() == (whole / name).read_text()
  # Nothing is left to do.
  seen.clear()
  predict.predict(trained_run, files, parts, batch_size=4)
  assert seen == []


def test_the_tables_are_of_the_files_of_this_call_as_they_are_now(trained_run, hospital, tmp_path):
  folder, output = tmp_path / 'in', tmp_path / 'out'
  folder.mkdir()
  for number, path in enumerate(images_in(hospital)[:4]):
    shutil.copy(path, folder / f'{number}{path.suffix}')

  def call() -> dict[str, str]:
    files = predict.radiographs_in([str(folder)], numbered=True)
    return predict.predict(trained_run, files, output, batch_size=4)

  assert call() == {}
  assert [row['image'] for row in rows_of(output)] == ['000001', '000002', '000003', '000004']
  *_, third, fourth = sorted(folder.iterdir())
  third.write_bytes(third.read_bytes()[:1000])
  fourth.unlink()
  assert call().keys() == {'000003'}
  for name in ('findings.csv', 'locations.csv', 'nodules.json', 'findings.json'):
    assert '000004' not in (output / name).read_text()
  assert [row['image'] for row in rows_of(output)] == ['000001', '000002']
  whole = json.loads((output / 'findings.json').read_text())
  assert [radiograph['image'] for radiograph in whole['radiographs']] == ['000001', '000002']
  assert [fault['image'] for fault in whole['faults']] == ['000003']


def test_two_files_of_one_export_are_not_taken_for_each_other(
  trained_run, hospital, tmp_path, monkeypatch
):
  """Uncompressed radiographs can agree in size, and archives keep times by the second."""
  dicom = next(path for path in images_in(hospital) if path.suffix == '.dcm')
  for name, end in {'a.dcm': '1', 'b.dcm': '2'}.items():
    dataset = pydicom.dcmread(dicom)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f'1.2.3.{end}'
    dataset.save_as(tmp_path / name)
    os.utime(tmp_path / name, (1e9, 1e9))
  assert (tmp_path / 'a.dcm').stat().st_size == (tmp_path / 'b.dcm').stat().st_size
  read, seen = predict.read, []
  monkeypatch.setattr(predict, 'read', lambda *args: seen.append(args[0].name) or read(*args))
  for name in ('a.dcm', 'a.dcm', 'b.dcm'):
    predict.predict(trained_run, {'000001': tmp_path / name}, tmp_path / 'out', batch_size=1)
  assert seen == ['a.dcm', 'b.dcm']


def test_findings_of_another_network_are_not_mixed(trained_run, hospital, tmp_path):
  files = predict.radiographs_in([str(images_in(hospital)[0])])
  predict.predict(trained_run, files, tmp_path, batch_size=1)
  other = dataclasses.replace(checkpoint.describe(trained_run), step=99)
  with pytest.raises(prediction_files.OutputError, match='another network'):
    prediction_files.Journal(tmp_path, other, (), files)


def test_an_unexpected_failure_costs_one_file(trained_run, hospital, tmp_path, monkeypatch):
  images = images_in(hospital)[:3]
  read = predict.read

  def fails_once(path, preprocessing):
    if path == images[1]:
      raise MemoryError
    return read(path, preprocessing)

  monkeypatch.setattr(predict, 'read', fails_once)
  files = predict.radiographs_in([str(path) for path in images])
  faults = predict.predict(trained_run, files, tmp_path, batch_size=3)
  assert faults.keys() == {images[1].name} and 'MemoryError' in faults[images[1].name]
  assert {row['image'] for row in rows_of(tmp_path)} == {images[0].name, images[2].name}


def test_a_name_too_long_for_its_overlay_costs_one_file(trained_run, hospital, tmp_path):
  png = next(path for path in images_in(hospital) if path.suffix == '.png')
  short, long = tmp_path / 'short.png', tmp_path / ('x' * 253)
  for path in (short, long):
    shutil.copy(png, path)
  files = predict.radiographs_in([str(long), str(short)])
  faults = predict.predict(trained_run, files, tmp_path / 'out', batch_size=2)
  assert list(faults) == [long.name] and '--numbered' in faults[long.name]
  # What was found in it is told, and its overlay is tried again.
  assert [row['image'] for row in rows_of(tmp_path / 'out')] == [short.name, long.name]
  assert predict.predict(trained_run, files, tmp_path / 'out', batch_size=2) == faults


def test_a_full_disk_ends_the_prediction(trained_run, hospital, tmp_path, monkeypatch):
  def write(*_):
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(predict, '_write_overlay', write)
  files = predict.radiographs_in([str(images_in(hospital)[0])])
  with pytest.raises(OSError, match='No space left'):
    predict.predict(trained_run, files, tmp_path, batch_size=1)


@pytest.fixture(scope='module')
def strange(tmp_path_factory, hospital) -> pathlib.Path:
  """A radiograph, the same on its side, a mask, and one whose header says that it is a hand."""
  folder = tmp_path_factory.mktemp('strange')
  png = next(path for path in images_in(hospital) if path.suffix == '.png')
  dicom = next(path for path in images_in(hospital) if path.suffix == '.dcm')
  shutil.copy(png, folder / 'chest.png')
  pixels = read_radiograph(png).pixels
  (folder / 'lying.png').write_bytes(encode_png(np.ascontiguousarray(np.rot90(pixels))))
  mask = cv2.circle(np.zeros((200, 200), np.uint8), (80, 90), 20, 255, -1)
  (folder / 'mask.png').write_bytes(encode_png(mask))
  dataset = pydicom.dcmread(dicom)
  dataset.BodyPartExamined = 'HAND'
  dataset.save_as(folder / 'hand.dcm')
  return folder


def test_what_is_no_frontal_chest_gets_no_probability_unless_by_force(
  trained_run, strange, tmp_path
):
  files = predict.radiographs_in([str(strange)])
  faults = predict.predict(trained_run, files, tmp_path, batch_size=4)
  assert faults.keys() == {'hand.dcm', 'lying.png', 'mask.png'}
  assert all(isinstance(fault, prediction_files.Refused) for fault in faults.values())
  rows = {row['image']: row for row in rows_of(tmp_path)}
  assert rows.keys() == files.keys() and 0 < float(rows['chest.png'].pop('probability')) < 1
  assert 'another part of the body (hand)' in rows['hand.dcm']['objection']
  assert rows['lying.png']['objection'] == 'it is not upright; turn it by 90 degrees clockwise'
  assert 'grey levels' in rows['mask.png']['objection']
  assert not any(
    rows['mask.png'][name] for name in rows['mask.png'] if name not in ('image', 'objection')
  )
  assert not (tmp_path / 'overlays' / 'mask.png').exists()
  whole = json.loads((tmp_path / 'findings.json').read_text())
  schema = pathlib.Path(findings.__file__).with_name('findings.schema.json')
  jsonschema.validate(whole, json.loads(schema.read_text()))
  assert [refused['image'] for refused in whole['refused']] == sorted(faults)
  # By force everything is read, and every output says so.
  assert predict.predict(trained_run, files, tmp_path, batch_size=4, force=True) == {}
  forced = {row['image']: row for row in rows_of(tmp_path)}
  assert all(0 < float(row['probability']) < 1 for row in forced.values())
  assert forced['mask.png']['objection'] == rows['mask.png']['objection']
  whole = json.loads((tmp_path / 'findings.json').read_text())
  jsonschema.validate(whole, json.loads(schema.read_text()))
  assert {done['image'] for done in whole['radiographs'] if done['objection']} == faults.keys()
  # The words stand in white at the top of an overlay whose corner is black.
  overlay = cv2.imread(str(tmp_path / 'overlays' / 'mask.png'))
  assert overlay[: overlay.shape[0] // 10].max() > 150
  # Without force nothing of that stays in the tables.
  assert predict.predict(trained_run, files, tmp_path, batch_size=4).keys() == faults.keys()
  assert rows_of(tmp_path)[-1]['probability'] == ''


def test_what_a_refused_header_contradicts_is_told_with_the_refusal(trained_run, strange, tmp_path):
  dataset = pydicom.dcmread(strange / 'hand.dcm')
  dataset.PresentationLUTShape = {'MONOCHROME1': 'IDENTITY', 'MONOCHROME2': 'INVERSE'}[
    dataset.PhotometricInterpretation
  ]
  dataset.save_as(tmp_path / 'hand.dcm')
  files = predict.radiographs_in([str(tmp_path / 'hand.dcm')])
  (why,) = predict.predict(trained_run, files, tmp_path / 'out', batch_size=1).values()
  assert 'another part of the body (hand); Presentation LUT Shape' in why


def test_the_command_tells_what_it_refused(trained_run, strange, tmp_path):
  finished = subprocess.run(
    [
      *(sys.executable, '-m', 'nodulax.predict', f'--checkpoint={trained_run}'),
      *(f'--output={tmp_path / "out"}', str(strange)),
    ],
    cwd=pathlib.Path(__file__).parents[2],
    capture_output=True,
    text=True,
  )
  assert finished.returncode == 1 and '1 of 4 radiographs' in finished.stdout
  assert '3 refused as not an upright frontal chest (--force reads' in finished.stderr
  assert '  lying.png: it is not upright' in finished.stderr


def test_its_own_output_is_not_read_again(trained_run, hospital, tmp_path):
  shutil.copy(images_in(hospital)[0], tmp_path / 'x.png')
  files = predict.radiographs_in([str(tmp_path)])
  predict.predict(trained_run, files, tmp_path / 'out', batch_size=1)
  assert list(predict.radiographs_in([str(tmp_path)])) == ['x.png']


def test_overlays_end_in_png_once_and_never_share_a_name():
  files = dict.fromkeys(['a', 'a.png', 'b.png', 'c.dcm'], pathlib.Path())
  names = [predict._with_suffix(name, '.png', files) for name in files]
  assert names == ['a.png', 'a.png.png', 'b.png', 'c.dcm.png']
