"""The four raw downloads: layouts, truth, and the same bytes whatever the circumstances."""

import csv
import hashlib
import json
import pathlib

import cv2
import numpy as np
import pydicom
import pytest

from nodulax.phantom import write_aihub, write_gmc, write_nih, write_vindr
from nodulax.phantom.__main__ import main
from nodulax.phantom.hospitals.nih import MINED, label_errors
from nodulax.phantom.hospitals.readers import drawn_box
from nodulax.phantom.hospitals.writing import PhantomError

SIZE = 64
IMAGES = 14
WRITERS = {'nih': write_nih, 'aihub': write_aihub, 'gmc': write_gmc, 'vindr': write_vindr}


def digest(folder: pathlib.Path) -> dict[str, str]:
  return {
    str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(folder.rglob('*'))
    if path.is_file()
  }


def rows(path: pathlib.Path) -> list[dict[str, str]]:
  with open(path, newline='') as file:
    return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
  base = tmp_path_factory.mktemp('hospitals')
  return {name: write(base / name, IMAGES, SIZE, 3, processes=1) for name, write in WRITERS.items()}


@pytest.mark.parametrize('name', ['nih', 'vindr'])
def test_same_seed_same_bytes_on_any_number_of_processes(name, folders, tmp_path):
  again = WRITERS[name](tmp_path / 'again', IMAGES, SIZE, 3, processes=2)
  assert digest(again) == digest(folders[name])


def test_another_seed_other_bytes(folders, tmp_path):
  other = write_gmc(tmp_path / 'other', 3, SIZE, 4, processes=1)
  assert digest(other)['manifest.csv'] != digest(folders['gmc'])['manifest.csv']


def test_a_finished_folder_is_left_alone_and_another_recipe_is_refused(tmp_path):
  folder = write_gmc(tmp_path / 'gmc', 2, SIZE, 1, processes=1)
  (folder / 'images').rename(tmp_path / 'moved')
  write_gmc(folder, 2, SIZE, 1, processes=1)
  assert not (folder / 'images').exists()
  with pytest.raises(PhantomError, match=r'gmc.*another simulated hospital.*remove'):
    write_gmc(folder, 3, SIZE, 1, processes=1)


def test_an_unfinished_folder_is_done_again(tmp_path):
  unfinished = tmp_path / 'unfinished-gmc-x'
  (unfinished / 'images').mkdir(parents=True)
  (unfinished / 'images' / 'leftover.png').write_bytes(b'half')
  folder = write_gmc(tmp_path / 'gmc', 2, SIZE, 1, processes=1)
  assert not unfinished.exists()
  assert 'images/leftover.png' not in digest(folder)


def test_someone_elses_folder_is_never_touched(tmp_path):
  (tmp_path / 'mine').mkdir()
  (tmp_path / 'mine' / 'thesis.txt').write_text('mine')
  with pytest.raises(PhantomError, match='not a finished simulated hospital'):
    write_nih(tmp_path / 'mine', 2, SIZE, 1)
  assert digest(tmp_path / 'mine').keys() == {'thesis.txt'}


@pytest.mark.parametrize('name', WRITERS)
def test_every_folder_says_that_it_is_simulated(name, folders):
  recipe = json.loads((folders[name] / 'phantom.json').read_text())
  assert 'not a medical device' in recipe['notice']
  assert recipe['seed'] == 3 and recipe['images'] == IMAGES


def test_nih_headers_are_the_real_ones(folders, real_data):
  for table in ('Data_Entry_2017_v2020.csv', 'BBox_List_2017.csv'):
    with open(real_data / 'nih' / table) as real, open(folders['nih'] / table) as simulated:
      assert simulated.readline() == real.readline()


def test_nih_tables_lists_and_images_agree(folders):
  folder = folders['nih']
  with open(folder / 'Data_Entry_2017_v2020.csv') as file:
    assert file.readline().startswith('Image Index,Finding Labels,Follow-up #,Patient ID')
    lines = list(csv.reader(file))
  names = [line[0] for line in lines]
  assert sorted(names) == sorted(path.name for path in (folder / 'images').iterdir())
  for line in lines:
    name, labels, follow_up, patient, _, sex, view, width, height, across, down = line
    assert name == f'{int(patient):08d}_{int(follow_up):03d}.png'
    assert labels and sex in 'MF' and view in ('PA', 'AP')
    # The original's size times its spacing is the field, 300 to 450 mm a side.
    assert 300 < int(width) * float(across) < 450 and 300 < int(height) * float(down) < 450
    pixels = cv2.imread(str(folder / 'images' / name), cv2.IMREAD_UNCHANGED)
    assert pixels.shape == (SIZE, SIZE) and pixels.dtype == np.uint8
  train = set((folder / 'train_val_list.txt').read_text().split())
  test = set((folder / 'test_list.txt').read_text().split())
  assert train | test == set(names) and not train & test
  assert not {name[:8] for name in train} & {name[:8] for name in test}
  with open(folder / 'BBox_List_2017.csv') as file:
    boxed = list(csv.reader(file))[1:]
  for name, kind, *box in boxed:
    x, y, width, height = map(float, box)
    assert name in test and kind in ('Nodule', 'Mass')
    assert 0 <= x < x + width <= 1024 and 0 <= y < y + height <= 1024


@pytest.mark.parametrize('images, false_positives, false_negatives', [(12, 0, 0), (70, 0.5, 0.1)])
def test_nih_labels_are_flipped_at_the_rates_asked_for(
  images, false_positives, false_negatives, tmp_path
):
  folder = write_nih(
    tmp_path / 'nih', images, 32, 1,
    false_positives=false_positives, false_negatives=false_negatives, processes=2,
  )  # fmt: skip
  with open(folder / 'Data_Entry_2017_v2020.csv') as file:
    mined = {
      line[0]: bool({'Nodule', 'Mass'} & set(line[1].split('|'))) for line in csv.reader(file)
    }
  truth = {row['image']: row['label'] == 'nodule' for row in rows(folder / 'phantom_truth.csv')}
  for there, rate in ((False, false_positives), (True, false_negatives)):
    names = [image for image, true in truth.items() if true == there]
    flipped = sum(mined[name] != there for name in names)
    spread = 3 * np.sqrt(len(names) * rate * (1 - rate))
    assert abs(flipped - len(names) * rate) <= spread


def test_nih_labels_are_contradicted_as_often_as_radiologists_contradict_the_real_ones(real_data):
  # Of 1,000 given labels, half positive, a fifth of these and a tenth of the others are wrong.
  errors = label_errors(0.5, 0.2, 0.1)
  assert errors == pytest.approx((0.45, 100 / 550, 50 / 450))
  with open(real_data / 'nih_readers' / 'four_findings.csv', newline='') as file:
    readings = [
      (set(row['Finding Labels'].split('|')), row['Nodule or mass'] == 'YES')
      for row in csv.DictReader(file)
    ]
  given = [said for labels, said in readings if labels <= {'Nodule', 'Mass'}]
  normal = [said for labels, said in readings if labels == {'No Finding'}]
  wrong = (given.count(False) / len(given), normal.count(True) / len(normal))
  assert label_errors(0.5, *wrong) == MINED
  positive = MINED.prevalence * (1 - MINED.false_negatives)
  positive += (1 - MINED.prevalence) * MINED.false_positives
  assert positive == pytest.approx(0.5)


def test_gmc_manifest_masks_and_images_agree(folders):
  folder = folders['gmc']
  table = rows(folder / 'manifest.csv')
  assert list(table[0]) == [
    'image', 'patient_id', 'label', 'mask', 'boxes', 'sex', 'age', 'view', 'pixel_spacing_mm',
    'nodule_diameter_mm', 'zone', 'conspicuity',
  ]  # fmt: skip
  assert {'nodule', 'normal'} == {row['label'] for row in table}
  assert {pathlib.Path(row['image']).suffix for row in table} == {'.png', '.dcm'}
  for row in table:
    path = folder / row['image']
    if path.suffix == '.dcm':
      shape = pydicom.dcmread(path).pixel_array.shape
    else:
      shape = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape
    assert max(shape) == SIZE
    if row['label'] == 'normal':
      assert not row['mask'] and not row['boxes']
      continue
    mask = cv2.imread(str(folder / row['mask']), cv2.IMREAD_UNCHANGED)
    assert mask.shape == shape and set(np.unique(mask)) == {0, 255}
    for box in row['boxes'].split(';'):
      x_min, y_min, x_max, y_max = map(float, box.split())
      assert mask[int(y_min) : int(y_max), int(x_min) : int(x_max)].any()


def test_aihub_annotations_fit_their_images(folders):
  folder = folders['aihub']
  annotations = [json.loads(path.read_text()) for path in (folder / 'annotations').iterdir()]
  assert len(annotations) == IMAGES
  for annotation in annotations:
    assert set(annotation) == {
      'image', 'patient_id', 'label', 'sex', 'age', 'view', 'pixel_spacing_mm', 'boxes',
    }  # fmt: skip
    pixels = cv2.imread(str(folder / 'images' / annotation['image']), cv2.IMREAD_UNCHANGED)
    height, width = pixels.shape
    assert bool(annotation['boxes']) == (annotation['label'] == 'nodule')
    for x_min, y_min, x_max, y_max in annotation['boxes']:
      assert 0 <= x_min < x_max <= width and 0 <= y_min < y_max <= height


def test_vindr_table_is_the_real_one_and_three_readers_saw_each_image(folders, real_data):
  folder = folders['vindr']
  with open(real_data / 'vinbig' / 'train.csv') as real:
    reader = csv.DictReader(real)
    header = reader.fieldnames
    classes = {row['class_name']: row['class_id'] for row in reader}
  table = rows(folder / 'train.csv')
  assert list(table[0]) == header
  assert all(classes[row['class_name']] == row['class_id'] for row in table)
  images = {path.stem for path in (folder / 'train').glob('*.dicom')}
  assert {row['image_id'] for row in table} == images and len(images) == IMAGES
  for image in images:
    assert len({row['rad_id'] for row in table if row['image_id'] == image}) == 3
  for row in table:
    box = [row[edge] for edge in ('x_min', 'y_min', 'x_max', 'y_max')]
    assert all(box) if row['class_name'] != 'No finding' else not any(box)


def test_vindr_objects_are_dicom(folders):
  for path in (folders['vindr'] / 'train').glob('*.dicom'):
    data = pydicom.dcmread(path)
    pixels = data.pixel_array
    assert data.Modality == 'DX' and data.BitsStored == 12 and pixels.max() <= 4095
    assert data.PhotometricInterpretation in ('MONOCHROME1', 'MONOCHROME2')
    assert 0.5 < float(data.ImagerPixelSpacing[0]) * pixels.shape[0] / 400 < 1.2
    # The corner outside the patient is dark to look at.
    open_beam = np.percentile(pixels, 1 if data.PhotometricInterpretation[-1] == '2' else 99)
    assert (open_beam < 1500) == (data.PhotometricInterpretation == 'MONOCHROME2')


def test_readers_boxes_stay_close_and_inside():
  rng = np.random.default_rng(0)
  truth = (30.0, 40.0, 50.0, 70.0)
  drawn = np.array([drawn_box(rng, truth, (100, 60), 0.1, 0.1) for _ in range(500)])
  assert (drawn[:, :2] >= 0).all() and (drawn[:, 2] <= 60).all() and (drawn[:, 3] <= 100).all()
  # A tenth wider on every side, on average.
  np.testing.assert_allclose(drawn.mean(0), [28, 37, 52, 73], atol=0.5)


def test_command_line(tmp_path, capsys):
  def run(*arguments):
    main(arguments)

  shared = ['--images=2', f'--image_size={SIZE}', '--processes=1']
  run('nih', f'--output={tmp_path / "nih"}', '--label_noise=0.4', *shared)
  assert 'not a medical device' in capsys.readouterr().out
  recipe = json.loads((tmp_path / 'nih' / 'phantom.json').read_text())
  assert recipe['false_positives'] == recipe['false_negatives'] == 0.4
  with pytest.raises(SystemExit):
    run('gmc', f'--output={tmp_path / "gmc"}', '--label_noise=0.4', *shared)
  with pytest.raises(SystemExit):
    run('nih', f'--output={tmp_path / "nih"}', '--images=3', '--processes=1')
  assert 'another simulated hospital' in capsys.readouterr().err
