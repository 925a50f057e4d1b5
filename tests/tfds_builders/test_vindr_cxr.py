import csv
import json
import shutil

import cv2
import numpy as np
import pydicom
import pytest

from tfds_builders.vindr_cxr.vindr_cxr_dataset_builder import agree

HEADER = ['image_id', 'class_name', 'class_id', 'rad_id', 'x_min', 'y_min', 'x_max', 'y_max']
ONE = (0.0, 0.0, 10.0, 10.0)
SHIFTED = (0.0, 2.0, 10.0, 12.0)  # overlaps ONE with an IoU of 80 / 120
FAR = (50.0, 50.0, 60.0, 60.0)


def test_boxes_of_two_readers_that_overlap_are_one_nodule_at_their_mean():
  assert agree([('R1', ONE), ('R2', SHIFTED)], 0.5) == ((0, 1, 10, 11),)
  assert agree([('R1', ONE), ('R2', SHIFTED)], 2 / 3) == ((0, 1, 10, 11),)
  assert agree([('R1', ONE), ('R2', SHIFTED)], 0.67) == ()


def test_one_reader_cannot_agree_with_himself():
  assert agree([('R1', ONE), ('R1', ONE)], 0.5) == ()


def test_several_nodules_of_three_readers():
  marked = [
    ('R1', FAR),
    ('R1', ONE),
    ('R2', ONE),
    ('R3', SHIFTED),
    ('R2', FAR),
    ('R3', (80, 1, 9, 9)),
  ]
  agreed = agree(marked, 0.5)
  np.testing.assert_allclose(agreed, [(0, 2 / 3, 10, 10 + 2 / 3), FAR])


def test_no_boxes_no_nodules():
  assert agree([], 0.5) == agree([('R1', ONE)], 0.5) == ()


@pytest.mark.parametrize(('options', 'nodules'), [((), 353), (('--iou=0.5',), 353)])
def test_the_real_table_gives_353_nodule_images(run, real_data, options, nodules):
  outcome = run('cohort', 'vindr_cxr', real_data / 'vinbig', '--json', *options)
  numbers = json.loads(outcome.out)
  assert numbers['read'] == {'annotations': 67_914, 'images': 15_000}
  assert numbers['cohort'] == {
    'nodule': nodules,
    'normal': 100,
    'patients': nodules + 100,
    'nodule_patients': nodules,
    'located': nodules,
  }
  assert list(numbers['splits']) == ['test']
  assert numbers['paper']['cohort'] == {'nodule': 83, 'normal': 100}
  # 826 images have a nodule box; 10,606 are normal to every reader.
  assert numbers['excluded'] == {
    'nodule or mass without agreement of two readers': 826 - nodules,
    'normal, not drawn': 10_506,
    'other findings': 15_000 - 826 - 10_606,
  }


def test_less_overlap_makes_more_agree(run, real_data):
  counts = [
    json.loads(run('cohort', 'vindr_cxr', real_data / 'vinbig', '--json', f'--iou={iou}').out)[
      'cohort'
    ]['nodule']
    for iou in (0.3, 0.5, 0.8)
  ]
  assert counts[0] > counts[1] > counts[2]


@pytest.fixture
def vindr(tmp_path, make_radiograph, make_dicom):
  """3 images with an agreed nodule, 1 without agreement, 2 normal, 1 normal to one reader only."""
  rows = []

  def read(image, reader, finding, *box):
    rows.append([image, finding, 8 if box else 14, reader, *(box or [''] * 4)])

  for number in range(3):
    read(f'n{number}', 'R1', 'Nodule/Mass', 20, 30, 40, 50)
    read(f'n{number}', 'R2', 'Nodule/Mass', 22, 30, 42, 50)
    read(f'n{number}', 'R3', 'No finding')
  read('d0', 'R1', 'Nodule/Mass', 20, 30, 40, 50)
  read('d0', 'R2', 'No finding')
  for number in range(2):
    for reader in ('R1', 'R2', 'R3'):
      read(f'h{number}', reader, 'No finding')
  read('h2', 'R1', 'No finding')
  read('h2', 'R2', 'Cardiomegaly', 1, 2, 3, 4)
  folder = tmp_path / 'vindr'
  for seed, image in enumerate(['n0', 'n1', 'n2', 'd0', 'h0', 'h1', 'h2']):
    pixels = make_radiograph(seed, 120, 100, bits=16)
    make_dicom(
      folder / 'train' / f'{image}.dicom', pixels, PixelSpacing=[0.15, 0.2], PatientSex='F'
    )
  with (folder / 'train.csv').open('w') as file:
    file.writelines(','.join(map(str, row)) + '\n' for row in [HEADER, *rows])
  return folder


def test_dicom_files_become_16_bit_pngs_with_the_same_pixels(vindr, build, make_radiograph):
  outcome = build('vindr_cxr', vindr)
  assert outcome.status == 0, outcome.err
  examples = outcome.all_examples()
  assert set(examples) == {'n0', 'n1', 'n2', 'h0', 'h1'}
  example = examples['n0']
  pixels = cv2.imdecode(np.frombuffer(example['image'], np.uint8), cv2.IMREAD_UNCHANGED)
  assert pixels.dtype == np.uint16
  np.testing.assert_array_equal(pixels, make_radiograph(0, 120, 100, bits=16))
  np.testing.assert_array_equal(example['boxes'], [[21, 30, 41, 50]])
  # DICOM gives the spacing of rows first, which is along y.
  np.testing.assert_allclose(example['pixel_spacing_mm'], [0.2, 0.15], rtol=1e-6)
  assert example['sex'] == b'female'


def test_normal_images_are_drawn(vindr, run):
  numbers = json.loads(run('cohort', 'vindr_cxr', vindr, '--json', '--normals=1').out)
  assert numbers['cohort']['normal'] == 1


@pytest.mark.parametrize(
  ('change', 'says'),
  [
    (('Nodule/Mass', 'Nodule'), "label unknown: 1\n  n0: line 2 has 'Nodule'"),
    (('Nodule/Mass', 'Lung cyst'), "label unknown: 1\n  n0: line 2 has 'Lung cyst'"),
    (('n0,', ','), 'image without a name: 1\n  line 2: image_id is empty'),
    ((',20,', ',a,'), 'box malformed: 1\n  n0: line 2 needs four finite numbers'),
    ((',20,', ',nan,'), 'box malformed: 1\n  n0: line 2 needs four finite numbers'),
    ((',40,', ',inf,'), 'box malformed: 1\n  n0: line 2 needs four finite numbers'),
    ((',40,', ',20,'), 'box malformed: 1\n  n0: line 2 has corners'),
    ((',30,', ',51,'), 'box malformed: 1\n  n0: line 2 has corners'),
    ((',R1,', ',,'), 'box malformed: 1\n  n0: line 2 names no reader'),
    ((',R1,', ',R1,extra,'), 'row malformed: 1\n  n0: train.csv line 2: 9 cells'),
    ((',20,', ',-3,'), 'box outside the image: 1\n  n0: a box reaches'),
  ],
)
def test_rows_that_do_not_fit_are_named(vindr, build, change, says):
  path = vindr / 'train.csv'
  text = path.read_text().replace(*change, 1)
  # The second reader's box would agree no more.
  path.write_text(text.replace('n0,Nodule/Mass,8,R2,22', 'n0,Nodule/Mass,8,R2,1'))
  assert says in build('vindr_cxr', vindr, '--iou=0.1').err


def test_every_row_that_does_not_fit_is_told_at_once_even_of_boxes_that_agree_with_none(vindr, run):
  path = vindr / 'train.csv'
  text = path.read_text().replace('d0,Nodule/Mass,8,R1,20', 'd0,Nodule/Mass,8,R1,nan')
  path.write_text(text.replace('n1,Nodule/Mass,8,R1', 'n1,Nodule/Mass,8').replace('n2', 'n2,', 1))
  outcome = run('validate', 'vindr_cxr', vindr)
  assert 'box malformed: 1\n  d0: line 11' in outcome.out
  assert 'row malformed: 2\n  n1: train.csv line 5: 7 cells under 8 columns' in outcome.out
  assert '\n  n2: train.csv line 8: 9 cells under 8 columns' in outcome.out


def test_a_view_from_the_side_in_the_header_is_a_fault(vindr, run, make_radiograph, make_dicom):
  make_dicom(vindr / 'train/n1.dicom', make_radiograph(1, 120, 100, bits=16), ViewPosition='LL')
  out = run('validate', 'vindr_cxr', vindr).out
  assert 'not a frontal chest: 1\n  n1: its header states a lateral, oblique or axial view' in out


def test_a_missing_dicom_file_is_told(vindr, build):
  (vindr / 'train' / 'n1.dicom').unlink()
  outcome = build('vindr_cxr', vindr)
  assert outcome.status == 1
  assert (
    'image missing: 1\n  n1: copy the image to train/ or test/ as <image_id>.dicom' in outcome.err
  )


def as_physionet(vindr):
  """The same readings as PhysioNet has them, and two test images with a consensus."""
  (vindr / 'annotations').mkdir()
  with (vindr / 'train.csv').open(newline='') as file:
    rows = list(csv.DictReader(file))
  header = ['image_id', 'rad_id', 'class_name', 'x_min', 'y_min', 'x_max', 'y_max']
  with (vindr / 'annotations' / 'annotations_train.csv').open('w', newline='') as file:
    writer = csv.DictWriter(file, header, extrasaction='ignore')
    writer.writeheader()
    writer.writerows(rows)
  (vindr / 'train.csv').unlink()
  (vindr / 'test').mkdir()
  for image, source in (('t0', 'n0'), ('t1', 'h0')):
    shutil.copy(vindr / 'train' / f'{source}.dicom', vindr / 'test' / f'{image}.dicom')
  (vindr / 'annotations' / 'annotations_test.csv').write_text(
    'image_id,class_name,x_min,y_min,x_max,y_max\n'
    't0,Nodule/Mass,20,30,40,50\nt0,Rib fracture,1,1,9,9\nt1,No finding,,,,\n'
  )


def test_physionets_form_has_a_consensus_for_its_test_images(vindr, run):
  as_physionet(vindr)
  outcome = run('cohort', 'vindr_cxr', vindr, '--json')
  told = json.loads(outcome.out)
  assert told['read']['images with a consensus of five readers'] == 2
  assert told['cohort']['nodule'] == 4  # three on which readers agree, one by consensus
  assert told['cohort']['normal'] == 3


def smaller(vindr, factor=0.5):
  """Halves every image, as a PNG beside a table of the originals' sizes."""
  lines = ['image_id,dim0,dim1']
  for path in sorted((vindr / 'train').glob('*.dicom')):
    pixels = pydicom.dcmread(path).pixel_array
    height, width = pixels.shape
    grey = (pixels / pixels.max() * 255).astype(np.uint8)
    size = (round(width * factor), round(height * factor))
    copy = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path.with_suffix('.png')), copy)
    path.unlink()
    lines.append(f'{path.stem},{height},{width}')
  (vindr / 'train_meta.csv').write_text('\n'.join(lines) + '\n')


def test_boxes_of_a_smaller_copy_are_scaled_by_the_originals_size(vindr, build):
  before = build('vindr_cxr', vindr).all_examples()
  smaller(vindr)
  outcome = build('vindr_cxr', vindr, '--seed=1')
  assert outcome.status == 0, outcome.err
  after = outcome.all_examples()
  nodules = [image for image, example in after.items() if example['label']]
  assert len(nodules) == 3
  for image in nodules:
    np.testing.assert_allclose(after[image]['boxes'], np.array(before[image]['boxes']) / 2)


def test_a_copy_without_its_originals_size_is_a_fault(vindr, build):
  smaller(vindr)
  (vindr / 'train_meta.csv').unlink()
  outcome = build('vindr_cxr', vindr)
  assert outcome.status == 1 and 'size of the original unknown: 3' in outcome.err


def test_a_copy_of_another_shape_is_a_fault(vindr, build):
  smaller(vindr)
  path = vindr / 'train' / 'n0.png'
  cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path), 0), (64, 32)))
  outcome = build('vindr_cxr', vindr)
  assert outcome.status == 1 and 'image of another size: 1' in outcome.err


def test_a_dicom_file_of_another_shape_than_its_table_is_a_fault(vindr, build):
  lines = ['image_id,dim0,dim1', 'n0,100,900']
  (vindr / 'train_meta.csv').write_text('\n'.join(lines) + '\n')
  outcome = build('vindr_cxr', vindr)
  assert outcome.status == 1 and 'image of another size: 1' in outcome.err


def test_a_size_that_is_none_is_a_fault(vindr, build):
  smaller(vindr)
  path = vindr / 'train_meta.csv'
  path.write_text(path.read_text().replace('n1,', 'n1,-', 1))
  outcome = build('vindr_cxr', vindr)
  assert outcome.status == 1 and 'size malformed: 1' in outcome.err
