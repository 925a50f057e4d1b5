"""The command that writes a hospital of implants, and that the builder takes what it writes."""

import csv
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from nodulax.phantom import write_gmc
from nodulax.phantom.hospitals.writing import PhantomError
from nodulax.phantom.implant import ImplantError
from nodulax.phantom.implant.hospital import write_implants


def rows(path: pathlib.Path) -> list[dict[str, str]]:
  with open(path, newline='') as file:
    return list(csv.DictReader(file))


def digest(folder: pathlib.Path) -> dict[str, str]:
  return {
    str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(folder.rglob('*'))
    if path.is_file()
  }


@pytest.fixture(scope='module')
def normals(tmp_path_factory) -> pathlib.Path:
  """A hospital's folder of 12 normal radiographs, PNG and DICOM, two of each patient."""
  folder = write_gmc(
    tmp_path_factory.mktemp('raw') / 'gmc', 12, 256, 5, nodule_share=0.0, processes=1
  )
  table = rows(folder / 'manifest.csv')
  for number, row in enumerate(table):
    row['patient_id'] = f'Narwhal-{number // 2}'
  with (folder / 'manifest.csv').open('w', newline='') as file:
    writer = csv.DictWriter(file, table[0].keys())
    writer.writeheader()
    writer.writerows(table)
  return folder


@pytest.fixture(scope='module')
def implants(normals, tmp_path_factory):
  output = tmp_path_factory.mktemp('implants') / 'out'
  return write_implants(normals / 'manifest.csv', output, image_size=192, seed=2, processes=1)


def test_the_folder_holds_images_masks_and_the_truth(normals, implants):
  table = rows(implants.folder / 'manifest.csv')
  assert len(table) == implants.images == 12 and not implants.left_out
  assert [row['label'] for row in table].count('normal') == 3  # a quarter
  assert implants.with_nodules == 9
  truth = rows(implants.folder / 'phantom_truth.csv')
  originals = rows(normals / 'manifest.csv')
  for row, original in zip(table, originals, strict=True):
    pixels = cv2.imread(str(implants.folder / row['image']), cv2.IMREAD_UNCHANGED)
    assert max(pixels.shape) == 192 and pixels.dtype == np.uint16
    assert (row['sex'], row['age'], row['view']) == tuple(
      original[name] for name in ('sex', 'age', 'view')
    )
    # The field stays as wide.
    spacing, before = float(row['pixel_spacing_mm']), float(original['pixel_spacing_mm'].split()[0])
    assert spacing == pytest.approx(before * 256 / 192, rel=0.01)
    lesions = [lesion for lesion in truth if lesion['image'] == row['image']]
    assert bool(lesions) == (row['label'] == 'nodule') == bool(row['mask'])
    if lesions:
      mask = cv2.imread(str(implants.folder / row['mask']), cv2.IMREAD_UNCHANGED)
      assert mask.shape == pixels.shape and set(np.unique(mask)) == {0, 255}
      area = sum(np.pi * float(lesion['diameter_mm']) ** 2 / 4 for lesion in lesions)
      assert np.count_nonzero(mask) * spacing**2 == pytest.approx(area, rel=0.35)
      boxed = np.zeros_like(mask)
      for box in row['boxes'].split(';'):
        x_min, y_min, x_max, y_max = (int(edge) for edge in box.split())
        boxed[y_min:y_max, x_min:x_max] = 255
      assert not (mask & ~boxed).any()
      assert max(float(lesion['diameter_mm']) for lesion in lesions) == float(
        row['nodule_diameter_mm']
      )
  assert all(lesion['source'] == 'simulated' for lesion in truth)


def test_patients_stay_together_and_nothing_names_them(normals, implants):
  table = rows(implants.folder / 'manifest.csv')
  patients = [row['patient_id'] for row in table]
  assert patients[0::2] == patients[1::2] and len(set(patients)) == 6
  for path in implants.folder.rglob('*'):
    if path.is_file():
      data = path.read_bytes()
      assert b'Narwhal' not in data and b'G00001' not in data and b'gmc' not in data
  assert 'not a medical device' in (implants.folder / 'NOTICE.txt').read_text()
  assert 'Real radiographs' in json.loads((implants.folder / 'phantom.json').read_text())['notice']


def test_the_same_seed_gives_the_same_bytes_on_two_processes(normals, implants, tmp_path):
  source = normals / 'manifest.csv'
  again = write_implants(source, tmp_path / 'two', image_size=192, seed=2, processes=2)
  assert digest(again.folder) == digest(implants.folder)


def test_a_finished_folder_is_left_alone_and_another_recipe_is_refused(normals, implants, tmp_path):
  before = digest(implants.folder)
  source = normals / 'manifest.csv'
  again = write_implants(source, implants.folder, image_size=192, seed=2, processes=1)
  assert (again.images, again.with_nodules) == (12, 9)
  with pytest.raises(PhantomError, match='another simulated hospital'):
    write_implants(source, implants.folder, image_size=192, seed=3, processes=1)
  # One radiograph differs in a byte, so that its size and name are as before.
  changed = shutil.copytree(normals, tmp_path / 'changed')
  image = changed / rows(source)[0]['image']
  image.write_bytes(image.read_bytes()[:-1] + b'x')
  with pytest.raises(PhantomError, match='another simulated hospital'):
    write_implants(changed / 'manifest.csv', implants.folder, image_size=192, seed=2, processes=1)
  assert digest(implants.folder) == before


def test_the_builder_takes_the_folder_unchanged(implants, command, tmp_path):
  folder, shards = f'--manual_dir={implants.folder}', tmp_path / 'shards'
  report = f'--output={tmp_path / "report"}'
  said = command('tfds_builders', 'validate', 'gmc_nodule', folder, report)
  assert '0 faults' in said
  hospital = ('gmc_nodule', '--config=hospital', folder, f'--data_dir={shards}')
  command('tfds_builders', 'build', *hospital)
  assert list(shards.rglob('gmc_nodule-train.array_record*'))


def test_what_will_not_do_is_left_out_with_a_word(normals, tmp_path, command):
  folder = tmp_path / 'in'
  folder.mkdir()
  first = next(path for path in sorted((normals / 'images').iterdir()) if path.suffix == '.png')
  shutil.copy(first, folder / 'a.png')
  pixels = cv2.imread(str(first), cv2.IMREAD_UNCHANGED)
  cv2.imwrite(str(folder / 'b_turned.png'), np.ascontiguousarray(np.rot90(pixels)))
  cv2.imwrite(str(folder / 'c_blank.png'), np.zeros_like(pixels))
  (folder / 'd_damaged.png').write_bytes(first.read_bytes()[:300])
  (folder / 'notes.txt').write_text('no picture')
  said = command(
    'nodulax.phantom', 'implant', f'--images={folder}', f'--output={tmp_path / "out"}',
    '--processes=1', '--normal_share=0',
  )  # fmt: skip
  assert 'Left out 3:' in said and ': 1 radiographs, 1 with nodules' in said
  lines = {line.split(':')[0].strip(): line for line in said.splitlines()}
  assert 'is not upright' in lines['b_turned.png']
  assert 'it is blank' in lines['c_blank.png']
  assert lines['d_damaged.png']
  assert 'notes.txt' not in said
  assert len(rows(tmp_path / 'out' / 'manifest.csv')) == 1


def test_rows_with_nodules_are_left_out_and_are_named_by_their_line(normals, tmp_path):
  first = next(path for path in sorted((normals / 'images').iterdir()) if path.suffix == '.png')
  shutil.copy(first, tmp_path / 'Kim.png')
  lines = ('image,patient_id,label', 'Kim.png,Kim,normal', 'Kim.png,Kim,nodule', 'Lee.png,,')
  (tmp_path / 'manifest.csv').write_text('\n'.join(lines))
  outcome = write_implants(tmp_path / 'manifest.csv', tmp_path / 'out', processes=1)
  assert outcome.images == 1
  (second, reason), (third, missing) = outcome.left_out
  assert (second, third) == ('manifest.csv line 3', 'manifest.csv line 4')
  assert "its label is not 'normal'" in reason and 'no such file' in missing
  assert 'Lee' not in missing


def test_faults_say_what_is_wrong(tmp_path):
  with pytest.raises(ImplantError, match='nowhere: no such folder'):
    write_implants(tmp_path / 'nowhere', tmp_path / 'out')
  (tmp_path / 'empty').mkdir()
  with pytest.raises(ImplantError, match='no PNG, JPEG or DICOM'):
    write_implants(tmp_path / 'empty', tmp_path / 'out')
  table = tmp_path / 'manifest.csv'
  table.write_text('image,spacing\na.png,0.2\n')
  with pytest.raises(ImplantError, match='image, spacing; it must have the column image'):
    write_implants(table, tmp_path / 'out')
  table.write_text('image\na.png\n')
  with pytest.raises(ImplantError, match='none of the 1 radiographs could be used'):
    write_implants(table, tmp_path / 'out', processes=1)
  assert not (tmp_path / 'out').exists()
  with pytest.raises(ImplantError, match='image_size is 64; it must lie between 128 and 8192'):
    write_implants(table, tmp_path / 'out', image_size=64)
  with pytest.raises(ImplantError, match=r'luna_nodules.csv cannot be read'):
    write_implants(table, tmp_path / 'out', tmp_path)


def test_help_teaches():
  said = subprocess.run(
    [sys.executable, '-m', 'nodulax.phantom', 'implant', '--help'],
    cwd=pathlib.Path(__file__).parents[2],
    capture_output=True,
    text=True,
    check=True,
  ).stdout
  assert 'gmc_nodule --config=hospital' in said and 'listed at the end' in said
