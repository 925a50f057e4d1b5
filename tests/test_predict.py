import csv
import pathlib
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from nodulax import checkpoint, predict
from nodulax.input.prepared import prepare
from nodulax.input.shards import Shards
from nodulax.radiograph.reading import encode_png, read_radiograph


def rows_of(folder):
  with (folder / 'findings.csv').open(newline='') as file:
    return list(csv.DictReader(file))


@pytest.fixture
def radiographs(hospital, tmp_path) -> pathlib.Path:
  """Three readable files, one of them in a folder below, and two that are not."""
  folder = tmp_path / 'in'
  (folder / 'below').mkdir(parents=True)
  images = sorted((hospital / 'images').iterdir())
  png = next(path for path in images if path.suffix == '.png')
  dicom = next(path for path in images if path.suffix == '.dcm')
  shutil.copy(png, folder / 'one.png')
  shutil.copy(dicom, folder / 'below' / 'two.dcm')
  eight_bits = (read_radiograph(png).pixels >> 6).astype(np.uint8)
  cv2.imwrite(str(folder / 'three.jpg'), eight_bits)
  (folder / 'cut.png').write_bytes(png.read_bytes()[:2000])
  (folder / 'text.dcm').write_text('not an image')
  (folder / 'notes.txt').write_text('is passed over')
  return folder


def test_the_command_reads_what_it_can_and_lists_the_rest(trained_run, radiographs, tmp_path):
  output = tmp_path / 'out'
  finished = subprocess.run(
    [
      *(sys.executable, '-m', 'nodulax.predict', f'--checkpoint={trained_run}'),
      *(f'--output={output}', str(radiographs)),
    ],
    cwd=pathlib.Path(__file__).parents[1],
    capture_output=True,
    text=True,
  )
  assert finished.returncode == 1
  assert '3 of 5 radiographs' in finished.stdout
  assert 'cut.png' in finished.stderr and 'text.dcm' in finished.stderr
  assert 'Traceback' not in finished.stderr
  rows = rows_of(output)
  assert list(rows[0])[:2] == ['image', 'probability']
  assert {row['image'] for row in rows} == {'one.png', 'three.jpg', 'below/two.dcm'}
  assert all(0 <= float(row['probability']) <= 1 for row in rows)
  drawn = {path.name for path in (output / 'overlays').iterdir()}
  assert drawn == {'one.png.png', 'three.jpg.png', 'below_two.dcm.png'}
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


def test_the_hottest_point_is_given_in_pixels_of_the_file(trained_run, hospital, tmp_path):
  path = next((hospital / 'images').glob('*.png'))
  preprocessing = checkpoint.describe(trained_run).preprocessing
  reading = predict.read(path, preprocessing)
  heat_map = np.zeros((4, 4), np.float32)
  heat_map[1, 2] = 0.5
  description = checkpoint.describe(trained_run)
  row = dict(zip(predict.COLUMNS, predict._row('x', reading, 0.3, heat_map, description),
                 strict=True))
  crop = reading.crop
  assert float(row['hottest_x']) == pytest.approx(crop.x_min + 2.5 / 4 * crop.width, abs=0.06)
  assert float(row['hottest_y']) == pytest.approx(crop.y_min + 1.5 / 4 * crop.height, abs=0.06)


def test_files_of_one_name_are_told_apart(tmp_path):
  for folder in ('a', 'b'):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / 'x.png').write_bytes(b'')
  named = predict.radiographs_in([str(tmp_path / 'a' / 'x.png'), str(tmp_path / 'b' / 'x.png')])
  assert list(named) == ['x.png', 'x.png (2)']


def test_a_path_that_is_not_there_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match='nothing.dcm'):
    predict.radiographs_in([str(tmp_path / 'nothing.dcm')])
  with pytest.raises(FileNotFoundError, match='no DICOM, PNG or JPEG'):
    predict.radiographs_in([str(tmp_path)])


def test_real_radiographs_are_drawn_with_dark_lungs_and_bright_bones(
  trained_run, real_data, tmp_path
):
  dicom = real_data / 'dicom' / 'gdcm-CR-MONO1-10-chest.dcm'
  nih = real_data / 'nih' / 'images' / '00000001_000.png'
  nih = nih if nih.exists() else sorted((real_data / 'nih' / 'images').iterdir())[0]
  files = predict.radiographs_in([str(dicom), str(nih)])
  assert predict.predict(trained_run, files, tmp_path / 'out', batch_size=2) == {}
  for name in files:
    picture = cv2.imread(str(tmp_path / 'out' / 'overlays' / f'{name}.png'))
    height, width = picture.shape[:2]
    grey = picture.mean(axis=-1)
    spine = grey[height // 2 : height * 3 // 4, width * 9 // 20 : width * 11 // 20].mean()
    right_lung = grey[height * 3 // 10 : height // 2, width // 5 : width * 3 // 10].mean()
    assert spine > right_lung + 30
