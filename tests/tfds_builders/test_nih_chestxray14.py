import json
import pathlib
import shutil

import cv2
import numpy as np
import pytest

from tfds_builders.nih_chestxray14.nih_chestxray14_dataset_builder import Builder


def cohort_numbers(run, folder, *options):
  outcome = run('cohort', 'nih_chestxray14', folder, '--json', *options)
  assert outcome.status == 0, outcome.err
  return json.loads(outcome.out)


def test_the_real_table_gives_the_published_counts(run, real_data):
  numbers = cohort_numbers(run, real_data / 'nih')
  assert numbers['read'] == {'images': 112_120}
  assert numbers['cohort'] == {
    'nodule': 5240, 'normal': 5240, 'patients': 6748, 'nodule_patients': 3085, 'located': 59,
  }  # fmt: skip
  assert numbers['paper']['cohort'] == {'nodule': 3609, 'normal': 3609}
  shares = [numbers['splits'][split]['patients'] / 6748 for split in ('train', 'tune', 'test')]
  np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=2e-4)
  assert sum(split['nodule'] for split in numbers['splits'].values()) == 5240


def test_the_normal_images_of_the_real_table(real_data):
  table = Builder.read_table(real_data / 'nih', Builder.BUILDER_CONFIGS[0])
  assert sum(record.label == 'normal' for record in table.records) == 60_361


def test_the_official_split_of_the_real_table(run, real_data):
  numbers = cohort_numbers(run, real_data / 'nih', '--split=official')
  test = (real_data / 'nih' / 'test_list.txt').read_text().split()
  assert len(test) == 25_596
  # All boxes were drawn on images of the test list.
  assert numbers['splits']['test']['located'] == 59
  assert numbers['splits']['test']['nodule'] == numbers['splits']['test']['normal'] == 1006
  rest = numbers['splits']['train']['patients'] + numbers['splits']['tune']['patients']
  assert numbers['splits']['tune']['patients'] / rest == pytest.approx(1 / 8, abs=2e-4)


def test_a_partial_download_is_refused_and_its_archives_named(build, real_data):
  outcome = build('nih_chestxray14', real_data / 'nih')
  assert outcome.status == 1
  assert 'image missing: 10,428' in outcome.err
  assert '436 images (00000004_000.png, ' in outcome.err
  for archive in range(1, 13):
    assert f'images_{archive:03d}.tar.gz holds it' in outcome.err
  assert '--allow_missing' in outcome.err
  assert not list(outcome.data_dir.rglob('*.array_record*'))


def test_a_partial_download_is_built_on_request(build, real_data):
  outcome = build('nih_chestxray14', real_data / 'nih', '--allow_missing')
  assert outcome.status == 0, outcome.err
  examples = outcome.all_examples()
  labels = [example['label'] for example in examples.values()]
  assert (labels.count(1), labels.count(0)) == (32, 32)
  cohort = json.loads((outcome.folder / 'cohort.json').read_text())
  # 5,240 nodule and 60,361 normal candidates, of which 32 and 170 are there.
  assert len(cohort['left_out']['image missing']) == 5240 + 60_361 - 202
  assert '00000004_000.png' in outcome.out
  for name, example in examples.items():
    data = (real_data / 'nih' / 'images' / name).read_bytes()
    bits, colour_type = data[24:26]
    if (bits, colour_type) == (8, 0):
      assert example['image'] == data


@pytest.mark.parametrize(
  ('image', 'archive'),
  [
    ('00000001_000.png', 1),
    ('00001335_006.png', 1),
    ('00001336_000.png', 2),
    ('00024717_000.png', 10),
    ('00024718_000.png', 11),
    ('00030805_000.png', 12),
  ],
)
def test_the_archive_of_an_image(nih, change_csv, image, archive):
  def rename(rows):
    rows[1][0] = image

  change_csv(nih / 'Data_Entry_2017_v2020.csv', rename)
  table = Builder.read_table(nih, Builder.BUILDER_CONFIGS[0])
  assert f'images_{archive:03d}.tar.gz' in Builder.where_missing(table.records[0])


def test_images_in_the_folders_of_the_twelve_archives_are_found(nih):
  for number, image in enumerate(sorted((nih / 'images').iterdir())):
    target = nih / f'images_{number % 12 + 1:03d}' / 'images' / image.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(image, target)
  table = Builder.read_table(nih, Builder.BUILDER_CONFIGS[0])
  assert all(pathlib.Path(record.path).is_file() for record in table.records)


def test_who_is_in_the_study(nih, change_csv):
  def relabel(rows):
    rows[1][1] = 'Mass'
    rows[2][1] = 'Nodule|Mass'
    rows[3][1] = 'Nodule|Effusion'
    rows[4][1] = 'Effusion'

  change_csv(nih / 'Data_Entry_2017_v2020.csv', relabel)
  table = Builder.read_table(nih, Builder.BUILDER_CONFIGS[0])
  labels = {record.key: record.label for record in table.records}
  assert labels['00000001_000.png'] == labels['00000002_000.png'] == 'nodule'
  assert '00000003_000.png' not in labels
  assert table.excluded == {'nodule or mass with other findings': 1, 'other findings': 1}


def test_what_an_example_holds(nih, build):
  example = build('nih_chestxray14', nih).all_examples()['00000001_000.png']
  assert example['image'] == (nih / 'images' / '00000001_000.png').read_bytes()
  assert example['label'] == 1
  assert example['location_known']
  np.testing.assert_allclose(example['boxes'], [[20.5, 30, 30.5, 46]], rtol=1e-6)
  mask = cv2.imdecode(np.frombuffer(example['mask'], np.uint8), cv2.IMREAD_UNCHANGED)
  assert mask.shape == (96, 96)
  # The area of an ellipse with axes of 10 and 16 is 40 pi.
  assert np.count_nonzero(mask == 255) == np.count_nonzero(mask) == pytest.approx(125.7, abs=7)
  assert mask[38, 25] == 255
  # The table's spacing is that of 192 x 288 pixels, stored as 96 x 96.
  np.testing.assert_allclose(example['pixel_spacing_mm'], [0.286, 0.429], rtol=1e-6)
  assert (example['sex'], example['age'], example['view']) == (b'male', 57, b'PA')
  assert np.isnan(example['nodule_diameter_mm'])
  assert example['source'] == b'nih_chestxray14'
  assert example['zone'] == example['conspicuity'] == b'unknown'
  assert example['patient_id'] not in (b'1', b'')


def test_unknown_location_is_not_coded_as_none(nih, build):
  examples = build('nih_chestxray14', nih).all_examples()
  unlocated, normal = examples['00000002_000.png'], examples['00000015_000.png']
  assert (unlocated['label'], unlocated['location_known']) == (1, False)
  assert (normal['label'], normal['location_known']) == (0, True)
  for example in (unlocated, normal):
    assert len(example['boxes']) == 0
    assert not cv2.imdecode(np.frombuffer(example['mask'], np.uint8), cv2.IMREAD_UNCHANGED).any()


def test_rgba_files_become_grey_with_the_same_pixels(nih, build):
  path = nih / 'images' / '00000005_000.png'
  grey = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
  cv2.imwrite(str(path), cv2.cvtColor(grey, cv2.COLOR_GRAY2BGRA))
  stored = build('nih_chestxray14', nih).all_examples()[path.name]['image']
  assert stored != path.read_bytes()
  decoded = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED)
  np.testing.assert_array_equal(decoded, grey)


def test_ages_that_are_slips_become_unknown(nih, build, change_csv):
  def age(rows):
    rows[1][4] = 414

  change_csv(nih / 'Data_Entry_2017_v2020.csv', age)
  assert np.isnan(build('nih_chestxray14', nih).all_examples()['00000001_000.png']['age'])


def lists(folder, test):
  images = [path.name for path in sorted((folder / 'images').iterdir())]
  (folder / 'test_list.txt').write_text('\n'.join(test))
  (folder / 'train_val_list.txt').write_text('\n'.join(sorted(set(images) - set(test))))


def test_official_lists(nih, build):
  test = ['00000001_000.png', '00000002_000.png', '00000019_000.png', '00000020_000.png']
  lists(nih, test)
  outcome = build('nih_chestxray14', nih, '--split=official')
  assert outcome.status == 0, outcome.err
  assert {example['image_id'].decode() for example in outcome.examples('test')} == set(test)
  assert outcome.folder.parent.name == 'default-split_official'


def test_a_patient_on_both_official_lists_is_refused(nih, build, change_csv):
  lists(nih, ['00000001_000.png', '00000012_000.png'])

  def same_patient(rows):
    rows[2][3] = rows[1][3]

  change_csv(nih / 'Data_Entry_2017_v2020.csv', same_patient)
  outcome = build('nih_chestxray14', nih, '--split=official')
  assert outcome.status == 1
  assert 'patient under two splits: 2' in outcome.err
  assert '00000001_000.png, 00000002_000.png' in outcome.err


def test_an_image_on_both_or_on_no_official_list_is_refused(nih, run):
  lists(nih, ['00000001_000.png', '00000012_000.png'])
  path = nih / 'train_val_list.txt'
  path.write_text(path.read_text().replace('00000003_000.png\n', ''))
  outcome = run('validate', 'nih_chestxray14', nih, '--split=official')
  assert outcome.status == 1
  assert 'image in no list: 1\n  00000003_000.png: line 4' in outcome.out
  path.write_text(path.read_text() + '\n00000001_000.png\n00000012_000.png')
  outcome = run('validate', 'nih_chestxray14', nih, '--split=official')
  assert outcome.status == 1
  assert 'image in no list: 1' in outcome.out
  assert 'image in both lists: 2\n  00000001_000.png: line 2' in outcome.out
  assert '\n  00000012_000.png: line 13' in outcome.out


@pytest.mark.parametrize(
  ('column', 'value', 'says'),
  [
    (1, 'Nodul', "label unknown: 1\n  00000001_000.png: line 2: 'Nodul'"),
    (3, '', 'row malformed: 1\n  00000001_000.png: line 2: a cell is of the wrong kind'),
    (4, 'old', 'row malformed: 1\n  00000001_000.png: line 2'),
    (5, 'X', 'row malformed: 1\n  00000001_000.png: line 2'),
    (7, '2.5k', 'row malformed: 1\n  00000001_000.png: line 2'),
    (7, '0', 'row malformed: 1\n  00000001_000.png: line 2'),
    (9, '0', 'row malformed: 1\n  00000001_000.png: line 2'),
    (0, '00000002_000.png', 'image twice: 1\n  00000002_000.png: line 3'),
    (0, '', 'image without a name: 1\n  line 2'),
  ],
)
def test_rows_that_do_not_fit_are_named(nih, build, change_csv, column, value, says):
  def spoil(rows):
    rows[1][column] = value

  change_csv(nih / 'Data_Entry_2017_v2020.csv', spoil)
  outcome = build('nih_chestxray14', nih)
  assert outcome.status == 1
  assert says in outcome.err


def test_bad_rows_of_both_tables_are_told_at_once(nih, build, change_csv):
  def spoil(rows):
    rows[12].append('extra')
    rows[3][1] = 'Nodul'

  change_csv(nih / 'Data_Entry_2017_v2020.csv', spoil)
  with (nih / 'BBox_List_2017.csv').open('a') as file:
    file.write('00000004_000.png,Mass,90,,10,10,,,\n00000005_000.png,Mass,90,9,10,10,9,9,9\n')
  err = build('nih_chestxray14', nih).err
  assert '4 faults' in err
  assert 'row malformed: 2\n  00000005_000.png: BBox_List_2017.csv line 4: 9 cells' in err
  assert '\n  00000012_000.png: Data_Entry_2017_v2020.csv line 13: 12 cells under 11' in err
  assert 'label unknown: 1\n  00000003_000.png: line 4' in err
  assert (
    'box malformed: 1\n  00000004_000.png: BBox_List_2017.csv line 3 needs four finite numbers'
    in err
  )
  outcome = build('nih_chestxray14', nih, '--allow_faulty')
  assert outcome.status == 0, outcome.err
  left_out = {f'{number:08d}_000.png' for number in (3, 4, 5, 12)}
  assert left_out.isdisjoint(outcome.all_examples())


def test_a_table_with_another_column_is_refused(nih, run, change_csv):
  def rename(rows):
    rows[0][3] = 'Patient'

  change_csv(nih / 'Data_Entry_2017_v2020.csv', rename)
  outcome = run('cohort', 'nih_chestxray14', nih)
  assert outcome.status == 1
  assert "Data_Entry_2017_v2020.csv: the table lacks the columns 'Patient ID'" in outcome.err
  assert "has unknown columns 'Patient'" in outcome.err


def test_the_cohort_table_tells_the_faults_of_the_tables_and_counts_missing_images(
  nih, run, change_csv
):
  def spoil(rows):
    rows[3][1] = 'Nodul'

  (nih / 'images' / '00000005_000.png').unlink()
  assert cohort_numbers(run, nih)['missing'] == 1
  change_csv(nih / 'Data_Entry_2017_v2020.csv', spoil)
  outcome = run('cohort', 'nih_chestxray14', nih)
  assert outcome.status == 1
  assert '\n1 images of the cohort are missing' in outcome.out
  assert '\n1 faults of the tables\nlabel unknown: 1\n  00000003_000.png: line 4' in outcome.out
  numbers = json.loads(run('cohort', 'nih_chestxray14', nih, '--json').out)
  assert [(f['kind'], f['where']) for f in numbers['faults']] == [
    ('label unknown', '00000003_000.png')
  ]


def test_the_cohort_table_for_people_shows_the_papers_numbers(nih, run):
  outcome = run('cohort', 'nih_chestxray14', nih)
  assert outcome.status == 0
  for words in ('images read', '3,609', 'train', 'tune', 'test', 'not a medical device'):
    assert words in outcome.out


def test_boxes_fit_smaller_copies_of_the_images(nih, build):
  """They are of 1024 x 1024 pixels, as which the images were published."""
  path = nih / 'images' / '00000001_000.png'
  pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
  cv2.imwrite(str(path), cv2.resize(pixels, (224, 224)))
  example = build('nih_chestxray14', nih).all_examples()['00000001_000.png']
  scaled = np.array([[20.5, 30, 30.5, 46]]) * 224 / 96
  np.testing.assert_allclose(example['boxes'], scaled, rtol=1e-6)
  cv2.imwrite(str(path), cv2.resize(pixels, (224, 180)))
  assert (
    'image of another size: 1\n  00000001_000.png: its boxes are'
    in build('nih_chestxray14', nih, '--seed=1').err
  )
