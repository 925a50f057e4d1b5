import csv
import json

import cv2
import numpy as np
import pytest

HEADER = [
  'image', 'patient_id', 'label', 'mask', 'boxes', 'sex', 'age', 'view', 'pixel_spacing_mm',
  'nodule_diameter_mm', 'zone', 'conspicuity',
]  # fmt: skip


def decode(png: bytes) -> np.ndarray:
  return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)


def by_pixels(outcome, folder):
  """The examples by the name of the image, which the shards hide: found by their pixels."""
  examples = outcome.all_examples().values()
  return {
    path.stem: next(example for example in examples if example['image'] == path.read_bytes())
    for path in (folder / 'images').glob('*.png')
  }


def test_everything_is_for_testing_by_default(hospital, build):
  outcome = build('gmc_nodule', hospital)
  assert outcome.status == 0, outcome.err
  assert outcome.folder.parts[-3:] == ('gmc_nodule', 'external', '1.0.0')
  assert len(outcome.examples('test')) == 10
  examples = by_pixels(outcome, hospital)
  mask = decode(examples['0']['mask'])
  expected = np.zeros((96, 96), np.uint8)
  expected[40:50, 20:32] = 255
  np.testing.assert_array_equal(mask, expected)
  np.testing.assert_array_equal(examples['0']['boxes'], [[20, 40, 32, 50]])
  np.testing.assert_array_equal(examples['3']['boxes'], [[10, 20, 30, 50]])
  # The area of an ellipse with axes of 20 and 30 is 150 pi.
  assert np.count_nonzero(decode(examples['3']['mask'])) == pytest.approx(471, abs=8)
  known = {name: bool(example['location_known']) for name, example in examples.items()}
  assert [name for name in sorted(known) if not known[name]] == ['4']


def test_masks_and_boxes_of_images_on_their_side_are_turned_with_them(
  hospital, build, change_csv, make_dicom, make_radiograph
):
  """Image 0 has a mask, 3 a box; both are 96 x 80 pixels when they are upright."""
  upright = make_radiograph(7, height=96, width=80, bits=16)
  mask = np.zeros((96, 80), np.uint8)
  mask[40:50, 20:32] = 255
  # Rows run to the feet, columns to the patient's right: the first row shows his left side.
  for number, pixels in ((0, upright), (3, upright[::-1])):
    lying = np.ascontiguousarray(pixels.T[::-1])
    orientation = {'PatientOrientation': ['F', 'R'], 'PixelSpacing': ['0.2', '0.3']}
    make_dicom(hospital / f'images/{number}.dcm', lying, **orientation)
  cv2.imwrite(str(hospital / 'masks/0.png'), np.ascontiguousarray(mask.T[::-1]))

  def name_them(rows):
    for row in (rows[1], rows[4]):
      row[0] = row[0].replace('.png', '.dcm')
    rows[4][4] = '20 30 50 50'  # upright x 80 - 50 to 80 - 30, y 20 to 50

  change_csv(hospital / 'manifest.csv', name_them)
  outcome = build('gmc_nodule', hospital)
  assert outcome.status == 0, outcome.err
  examples = {
    tuple(example['boxes'].ravel()): example
    for example in outcome.examples('test')
    if decode(example['image']).shape == (96, 80)
  }
  assert examples.keys() == {(20, 40, 32, 50), (30, 20, 50, 50)}
  masked, boxed = examples[20, 40, 32, 50], examples[30, 20, 50, 50]
  np.testing.assert_array_equal(decode(masked['image']), upright)
  np.testing.assert_array_equal(decode(masked['mask']), mask)
  np.testing.assert_allclose(masked['pixel_spacing_mm'], [0.2, 0.3])
  np.testing.assert_array_equal(decode(boxed['image']), upright[::-1])
  rows, columns = np.nonzero(decode(boxed['mask']))
  assert (columns.min(), rows.min(), columns.max(), rows.max()) == (30, 20, 49, 49)


def test_a_hospital_trains_on_its_own_images(hospital, build, change_csv, make_radiograph):
  def more(rows):
    for number in range(10, 20):
      cv2.imwrite(str(hospital / f'images/{number}.png'), make_radiograph(300 + number))
      rows.append([f'images/{number}.png', f'P{number}', 'nodule' if number < 15 else 'normal'])
      rows[-1] += ['', '']

  assert 'split empty: 1\n  tune' in build('gmc_nodule', hospital, '--config=hospital').err
  change_csv(hospital / 'manifest.csv', more)
  outcome = build('gmc_nodule', hospital, '--config=hospital', '--seed=3')
  assert outcome.status == 0, outcome.err
  assert outcome.folder.parent.name == 'hospital-seed_3'
  for split, of_each_label in {'train': 7, 'tune': 1, 'test': 2}.items():
    labels = [example['label'] for example in outcome.examples(split)]
    assert (labels.count(0), labels.count(1)) == (of_each_label, of_each_label)


def test_what_the_table_says_of_an_image(hospital, build, change_csv):
  def fill(rows):
    rows[0] = HEADER
    rows[1] += ['F', '63', 'AP', '0.2 0.3', '12.5', 'behind_heart', '2']
    rows[2] += ['', '', '', '0.5', '', '', '']
    for row in rows[3:]:
      row += [''] * 7

  change_csv(hospital / 'manifest.csv', fill)
  examples = by_pixels(build('gmc_nodule', hospital), hospital)
  told, untold = examples['0'], examples['2']
  assert (told['sex'], told['age'], told['view']) == (b'female', 63, b'AP')
  np.testing.assert_allclose(told['pixel_spacing_mm'], [0.2, 0.3], rtol=1e-6)
  assert (told['nodule_diameter_mm'], told['zone']) == (12.5, b'behind_heart')
  assert told['conspicuity'] == b'2'
  np.testing.assert_allclose(examples['1']['pixel_spacing_mm'], [0.5, 0.5])
  assert (untold['sex'], untold['view'], untold['zone']) == (b'unknown',) * 3
  assert np.isnan(untold['age'])
  assert np.isnan(untold['pixel_spacing_mm']).all()


@pytest.mark.parametrize(
  ('column', 'value', 'says'),
  [
    (
      0,
      '../outside.png',
      "image malformed: 1\n  manifest.csv line 2: image must be the file's path",
    ),
    (0, '/etc/passwd', 'image malformed: 1\n  manifest.csv line 2'),
    (0, '', 'image malformed: 1\n  manifest.csv line 2'),
    (0, 'a' * 5000, 'image missing: 1\n  manifest.csv line 2: copy the image'),
    (0, 'a\0b', 'image malformed: 1\n  manifest.csv line 2'),
    (3, 'a' * 5000, 'mask unreadable: 1\n  manifest.csv line 2'),
    (0, 'images/absent.png', 'image missing: 1\n  manifest.csv line 2: copy the image'),
    (0, 'images/1.png', 'image twice: 1\n  manifest.csv line 2: line 3 repeats it'),
    (0, './images//1.png', 'image twice: 1\n  manifest.csv line 2: line 3 repeats it'),
    (1, '', 'patient_id malformed: 1\n  manifest.csv line 2'),
    (2, 'maybe', "label unknown: 1\n  manifest.csv line 2: label must be 'nodule' or 'normal'"),
    (3, '../../etc/passwd', 'mask malformed: 1\n  manifest.csv line 2'),
    (3, 'masks/absent.png', 'mask unreadable: 1\n  manifest.csv line 2'),
    (4, '1 2 3', "boxes malformed: 1\n  manifest.csv line 2: boxes must be 'x_min"),
    (4, '1,2,3,4', "in pixels, not '1,2,3,4'"),
    (4, '0 0 96 96', 'box covers too much: 1\n  manifest.csv line 2: a box covers 100%'),
    (1, '1.23E+11', 'patient_id malformed: 1\n  manifest.csv line 2'),
    (4, 'KIM', "boxes must be 'x_min y_min x_max y_max; ...' in pixels\n"),
    (4, '0.2 0.3 0.35 0.5', 'box between 0 and 1: 1\n  manifest.csv line 2: a box is 0.2 0.3'),
    (3, 'images/0.png', 'mask is the image: 1\n  manifest.csv line 2'),
    (4, '80 5 95 15', 'mask and boxes disagree: 1\n  manifest.csv line 2: 0% of what'),
    (
      4,
      '80 80 96.5 90',
      'box outside the image: 1\n  manifest.csv line 2: a box reaches 80 80 96.5',
    ),
    (4, '30 20 30 50', 'box empty: 1\n  manifest.csv line 2'),
    (4, 'nan 20 30 50', 'box empty: 1\n  manifest.csv line 2'),
  ],
)
def test_rows_that_do_not_fit_are_named_by_their_line(
  hospital, build, change_csv, column, value, says
):
  def spoil(rows):
    rows[1][column] = value

  change_csv(hospital / 'manifest.csv', spoil)
  outcome = build('gmc_nodule', hospital)
  assert outcome.status == 1
  assert says in outcome.err
  assert not list(outcome.data_dir.rglob('*.array_record*'))


def test_a_link_that_leaves_the_folder_is_refused(hospital, build, change_csv, tmp_path):
  (tmp_path / 'elsewhere.png').write_bytes((hospital / 'images' / '0.png').read_bytes())
  (hospital / 'images' / 'link.png').symlink_to(tmp_path / 'elsewhere.png')

  def point(rows):
    rows[1][0] = 'images/link.png'

  change_csv(hospital / 'manifest.csv', point)
  assert 'image malformed: 1' in build('gmc_nodule', hospital).err


@pytest.mark.parametrize(
  ('mask', 'says'),
  [
    (np.full((96, 95), 255, np.uint8), 'mask of another size: 1\n  manifest.csv line 2: the mask'),
    (np.zeros((96, 96), np.uint8), 'mask empty: 1\n  manifest.csv line 2'),
    (np.full((96, 96), 255, np.uint8), 'mask covers too much: 1\n  manifest.csv line 2: the mask'),
    (
      cv2.rectangle(np.full((96, 96), 255, np.uint8), (9, 9), (14, 17), 0, -1),
      'the mask marks 99.4% of the image; invert it',
    ),
  ],
)
def test_masks_that_do_not_fit_are_refused(hospital, build, mask, says):
  cv2.imwrite(str(hospital / 'masks' / '0.png'), mask)
  assert says in build('gmc_nodule', hospital).err


def test_a_mask_or_a_box_on_a_normal_image_is_refused(hospital, build, change_csv):
  def mark(rows):
    rows[6][3] = 'masks/0.png'
    rows[7][4] = '10 10 20 20'

  change_csv(hospital / 'manifest.csv', mark)
  err = build('gmc_nodule', hospital).err
  assert 'mask of a normal image: 1\n  manifest.csv line 7' in err
  assert 'box on a normal image: 1\n  manifest.csv line 8' in err


def test_every_fault_is_told_at_once(hospital, build, change_csv):
  def spoil(rows):
    rows[1][2] = 'maybe'
    rows[2][0] = 'images/absent.png'
    rows[6].append(rows[6][0])
    rows[8][2] = ''

  change_csv(hospital / 'manifest.csv', spoil)
  path = hospital / 'images' / '8.png'
  path.write_bytes(path.read_bytes()[:-40])
  cv2.imwrite(str(hospital / 'images' / '9.png'), np.zeros((96, 96), np.uint8))
  err = build('gmc_nodule', hospital).err
  assert '6 faults' in err
  for line, kind in [
    (2, 'label unknown'),
    (3, 'image missing'),
    (7, 'row malformed'),
    (9, 'label unknown'),
    (10, 'image unreadable'),
    (11, 'image blank'),
  ]:
    assert kind in err
    assert f'manifest.csv line {line}' in err


def test_faulty_images_are_left_out_on_request_and_listed(hospital, build, change_csv):
  def spoil(rows):
    rows[1][2] = 'maybe'
    rows[2][0] = 'images/absent.png'

  change_csv(hospital / 'manifest.csv', spoil)
  path = hospital / 'images' / '8.png'
  path.write_bytes(path.read_bytes()[:-40])
  assert build('gmc_nodule', hospital, '--allow_missing').status == 1
  refused = build('gmc_nodule', hospital, '--allow_faulty')
  assert refused.status == 1
  assert 'label unknown' not in refused.err
  outcome = build('gmc_nodule', hospital, '--allow_faulty', '--allow_missing')
  assert outcome.status == 0, outcome.err
  assert len(outcome.examples('test')) == 7
  assert json.loads((outcome.folder / 'cohort.json').read_text())['left_out'] == {
    'image missing': ['manifest.csv line 3'],
    'image unreadable': ['manifest.csv line 10'],
    'label unknown': ['manifest.csv line 2'],
  }
  assert 'left out, label unknown: manifest.csv line 2' in outcome.out
  assert outcome.folder.parent.name == 'external-allow_missing-allow_faulty'


def test_the_exclusion_list(hospital, build, tmp_path):
  listed = tmp_path / 'poor.txt'
  listed.write_text('# too dark\nimages/0.png\n\nimages/7.png\n')
  outcome = build('gmc_nodule', hospital, f'--exclude={listed}')
  assert outcome.status == 0, outcome.err
  assert len(outcome.examples('test')) == 8
  assert outcome.folder.parent.name.startswith('external-exclude_')
  assert build('gmc_nodule', hospital, '--exclude=/absent.txt').status == 1


@pytest.mark.parametrize(
  ('header', 'says'),
  [
    (['image', 'patient_id', 'mask', 'boxes', 'sex'], "lacks the columns 'label'"),
    (['image', 'patient_id', 'label', 'mask', 'accession'], "has unknown columns 'accession'"),
  ],
)
def test_a_manifest_with_other_columns_is_refused(hospital, run, change_csv, header, says):
  def rename(rows):
    rows[0] = header

  change_csv(hospital / 'manifest.csv', rename)
  outcome = run('cohort', 'gmc_nodule', hospital)
  assert outcome.status == 1
  assert says in outcome.err


def test_a_folder_without_a_manifest_is_refused(tmp_path, run):
  outcome = run('cohort', 'gmc_nodule', tmp_path)
  assert outcome.status == 1
  assert 'manifest.csv: there is no such file' in outcome.err


def test_a_manifest_as_spreadsheets_write_it(hospital, build, change_csv):
  """Semicolons, decimal commas, capitals, NA, yes and no, and paths as Windows writes them."""

  def rewrite(rows):
    rows[0] = HEADER
    for row in rows[1:]:
      row[0] = row[0].replace('/', '\\').replace('.png', '.PNG')
      row[2] = {'nodule': 'Yes', 'normal': 'no'}[row[2]]
      row += ['f', '63,5', 'pa', '0,2 0,3', '12,5', 'NA', '']

  def lines(path):
    with path.open(newline='') as file:
      return list(csv.reader(file))

  change_csv(hospital / 'manifest.csv', rewrite)
  rows = lines(hospital / 'manifest.csv')
  plain = build('gmc_nodule', hospital)
  assert plain.status == 0, plain.err
  examples = by_pixels(plain, hospital)
  assert [examples[str(number)]['label'] for number in range(10)] == [1] * 5 + [0] * 5
  first = examples['0']
  assert (first['sex'], first['age'], first['view']) == (b'female', 63.5, b'PA')
  np.testing.assert_allclose(first['pixel_spacing_mm'], [0.2, 0.3], rtol=1e-6)
  assert (first['nodule_diameter_mm'], first['zone']) == (12.5, b'unknown')
  for separator in ';\t':
    with (hospital / 'manifest.csv').open('w', newline='', encoding='utf-8-sig') as file:
      csv.writer(file, delimiter=separator).writerows(rows)
    outcome = build('gmc_nodule', hospital, f'--seed={ord(separator)}')
    assert outcome.status == 0, outcome.err
    assert by_pixels(outcome, hospital).keys() == examples.keys()


def test_a_mask_in_colours_or_with_transparency_marks_what_it_shows(hospital, build):
  marks = np.zeros((96, 96), bool)
  marks[40:50, 20:32] = True
  red, clear = np.zeros((96, 96, 3), np.uint8), np.full((96, 96, 4), 255, np.uint8)
  red[marks] = (0, 0, 255)
  clear[~marks] = (200, 200, 200, 0)
  cv2.imwrite(str(hospital / 'masks' / '0.png'), red)
  cv2.imwrite(str(hospital / 'masks' / '1.png'), clear)
  examples = by_pixels(build('gmc_nodule', hospital), hospital)
  for number in '01':
    mask = cv2.imdecode(np.frombuffer(examples[number]['mask'], np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, np.where(marks, 255, 0))


@pytest.mark.parametrize(
  ('column', 'value', 'says'),
  [
    (
      8,
      '14',
      'pixel spacing unlikely: 1\n  manifest.csv line 5: by its spacing the image',
    ),
    (4, '10 10 60 90', 'box large: 1\n  manifest.csv line 5: a box covers 43% of the image'),
    (4, '10 10 10.2 10.3', 'box tiny: 1\n  manifest.csv line 5: a box of 0.2 x 0.3'),
    (
      8,
      '0.1',
      'extent and diameter disagree: 1\n  manifest.csv line 5: the largest nodule is 12 mm',
    ),
  ],
)
def test_a_truth_that_is_unlikely_is_a_suspect(hospital, validate, change_csv, column, value, says):
  def spoil(rows):
    rows[0] = HEADER
    for row in rows[1:]:
      row += [''] * 7
    rows[4][8], rows[4][9] = '0.3', '12'  # its box is 20 x 30 pixels, 9 mm high
    rows[4][column] = value

  change_csv(hospital / 'manifest.csv', spoil)
  outcome = validate('gmc_nodule', hospital)
  assert outcome.status == 0 and says in outcome.out


def test_a_mask_beside_its_box_by_half_is_a_suspect(hospital, validate, change_csv):
  def spoil(rows):
    rows[1][4] = '27 35 60 60'  # 5 of the mask's 12 columns

  change_csv(hospital / 'manifest.csv', spoil)
  outcome = validate('gmc_nodule', hospital)
  assert 'mask and boxes disagree: 1\n  manifest.csv line 2: 42% of what the mask' in outcome.out


def test_a_split_of_one_label_is_told(hospital, validate, change_csv):
  def all_normal(rows):
    for row in rows[1:]:
      row[2:] = ['normal', '', '']

  change_csv(hospital / 'manifest.csv', all_normal)
  outcome = validate('gmc_nodule', hospital)
  assert 'split of one label: 1\n  test: all its images are labelled normal' in outcome.out


def test_of_thousands_of_faults_of_one_kind_the_first_are_told(hospital, validate, change_csv):
  def spoil(rows):
    first = rows[1]
    rows += [[f'images/x{number}.png', *first[1:3], '', f'{number} 2 3'] for number in range(500)]

  change_csv(hospital / 'manifest.csv', spoil)
  outcome = validate('gmc_nodule', hospital)
  assert 'boxes malformed: 500' in outcome.out and 'and 480 more of this kind' in outcome.out
  assert len(outcome.out.splitlines()) < 100


@pytest.mark.parametrize(
  ('marks', 'says'),
  [
    ([(5, 5)], 'mask tiny: 1'),
    ([(row, column) for row in range(0, 96, 6) for column in range(0, 96, 6)], 'mask in pieces: 1'),
  ],
)
def test_a_mask_that_is_no_outline_is_a_suspect(hospital, validate, marks, says):
  mask = np.zeros((1024, 1024), np.uint8)
  for row, column in marks:
    mask[row, column] = 255
  image = cv2.imread(str(hospital / 'images' / '0.png'), cv2.IMREAD_UNCHANGED)
  cv2.imwrite(str(hospital / 'images' / '0.png'), cv2.resize(image, (1024, 1024)))
  cv2.imwrite(str(hospital / 'masks' / '0.png'), mask)
  assert says in validate('gmc_nodule', hospital).out


def test_a_box_that_its_mask_leaves_empty_and_a_mask_of_two_images_are_suspects(
  hospital, validate, change_csv
):
  def spoil(rows):
    rows[1][4] = '20 40 32 50; 60 60 80 80'

  change_csv(hospital / 'manifest.csv', spoil)
  out = validate('gmc_nodule', hospital).out
  assert 'the mask leaves a box nearly empty' in out
  # The hospital's three masks are one and the same.
  assert 'one mask, two images: 3' in out
