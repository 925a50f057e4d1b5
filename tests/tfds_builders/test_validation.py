import base64
import json
import re

import cv2
import numpy as np
import pytest

from nodulax.radiograph.png import decode_png


def report(outcome):
  *_, html, data = outcome.out.strip().splitlines()
  with open(data) as file, open(html) as page:
    return json.load(file), page.read()


def test_a_clean_source(nih, validate):
  outcome = validate('nih_chestxray14', nih)
  assert outcome.status == 0
  found, page = report(outcome)
  assert found['faults'] == []
  assert (found['images'], found['readable']) == (20, 20)
  assert found['sizes'] == {'96 x 96': 20}
  assert found['bits'] == {'8': 20}
  assert found['cohort']['cohort']['nodule'] == 10
  assert found['notice'] in page
  assert 'not a medical device' in page


@pytest.fixture
def spoiled(nih):
  """An NIH download with a truncated, a blank, a missing and a text file, and a bad box."""
  images = nih / 'images'
  truncated = images / '00000003_000.png'
  truncated.write_bytes(truncated.read_bytes()[:2000])
  cv2.imwrite(str(images / '00000004_000.png'), np.full((96, 96), 255, np.uint8))
  (images / '00000005_000.png').unlink()
  (images / '00000006_000.png').write_text('<html>not found</html>')
  with (nih / 'BBox_List_2017.csv').open('a') as file:
    file.write('00000007_000.png,Mass,960,960,100,100,,,\n')
  return nih


FAULTS = {
  '00000003_000.png': 'image unreadable',
  '00000004_000.png': 'image blank',
  '00000005_000.png': 'image missing',
  '00000006_000.png': 'image unreadable',
  '00000007_000.png': 'box outside the image',
}


def test_every_fault_is_reported_at_once(spoiled, validate):
  outcome = validate('nih_chestxray14', spoiled)
  assert outcome.status == 1
  found, page = report(outcome)
  assert {fault['where']: fault['kind'] for fault in found['faults']} == FAULTS
  assert found['readable'] == 17
  for image, kind in FAULTS.items():
    assert image in outcome.out
    assert kind in outcome.out
    assert image in page
  assert all(fault['remedy'] for fault in found['faults'])


def test_a_file_is_what_its_content_says_and_another_kind_is_named(
  nih, hospital, build, validate, make_dicom
):
  images = nih / 'images'
  pixels = cv2.imread(str(images / '00000002_000.png'), cv2.IMREAD_UNCHANGED)
  (images / '00000002_000.png').write_bytes(cv2.imencode('.jpg', pixels)[1].tobytes())
  deep = cv2.imread(str(images / '00000003_000.png'), cv2.IMREAD_UNCHANGED).astype(np.uint16) * 16
  make_dicom(images / '00000003_000.png', deep)
  examples = build('nih_chestxray14', nih).all_examples()
  stored = {name: decode_png(example['image'], name) for name, example in examples.items()}
  np.testing.assert_allclose(stored['00000002_000.png'].astype(int), pixels, atol=8)
  np.testing.assert_array_equal(stored['00000003_000.png'], deep)

  (images / '00000004_000.png').write_bytes(cv2.imencode('.webp', pixels)[1].tobytes())
  assert '00000004_000.png: a WebP file, whatever' in validate('nih_chestxray14', nih).out
  (hospital / 'masks' / '0.png').write_bytes(cv2.imencode('.jpg', pixels)[1].tobytes())
  assert 'a JPEG file, not a PNG; give a PNG' in validate('gmc_nodule', hospital).out


def test_building_refuses_what_validation_refuses(spoiled, build):
  outcome = build('nih_chestxray14', spoiled)
  assert outcome.status == 1
  for image, kind in FAULTS.items():
    assert image in outcome.err
    assert kind in outcome.err


def test_the_page_stands_alone_and_shows_what_can_be_shown(spoiled, validate):
  _, page = report(validate('nih_chestxray14', spoiled))
  assert not re.search(r'(src|href)="(?!data:)', page)
  assert 'http' not in page
  thumbnails = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
  # Of the faulty ones the blank image and that with the bad box can be decoded.
  assert len(thumbnails) >= 2
  for thumbnail in thumbnails:
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(thumbnail), np.uint8), 0)
    assert max(pixels.shape) == 120


def test_text_from_tables_cannot_become_markup(nih, validate, change_csv):
  def inject(rows):
    rows[1][1] = '<script>alert(1)</script>'

  change_csv(nih / 'Data_Entry_2017_v2020.csv', inject)
  found, page = report(validate('nih_chestxray14', nih))
  assert '<script>' in found['faults'][0]['remedy']
  assert '<script>' not in page


def test_one_image_under_two_patients_is_a_fault(nih, validate):
  images = nih / 'images'
  pixels = cv2.imread(str(images / '00000002_000.png'), cv2.IMREAD_UNCHANGED)
  # Other bytes, the same pixels.
  parameters = [cv2.IMWRITE_PNG_COMPRESSION, 9]
  cv2.imwrite(str(images / '00000019_000.png'), pixels, parameters)
  found, _ = report(validate('nih_chestxray14', nih))
  assert sorted((fault['kind'], fault['where']) for fault in found['faults']) == [
    ('one image, two patients', '00000002_000.png'),
    ('one image, two patients', '00000019_000.png'),
  ]
  assert not [s for s in found['suspects'] if s['kind'] == 'maybe a duplicate']


@pytest.mark.parametrize(
  ('twin', 'faults'),
  [
    (18, []),  # normal too
    (2, [('one image, two labels', f'{number:08d}_000.png') for number in (2, 19)]),
  ],
)
def test_one_image_twice_under_one_patient(nih, validate, change_csv, twin, faults):
  images = nih / 'images'
  (images / '00000019_000.png').write_bytes((images / f'{twin:08d}_000.png').read_bytes())

  def same_patient(rows):
    rows[19][3] = rows[twin][3]

  change_csv(nih / 'Data_Entry_2017_v2020.csv', same_patient)
  found, _ = report(validate('nih_chestxray14', nih))
  assert sorted((fault['kind'], fault['where']) for fault in found['faults']) == faults


def test_similar_images_of_two_patients_are_suspects(nih, validate):
  images = nih / 'images'
  pixels = cv2.imread(str(images / '00000002_000.png'), cv2.IMREAD_UNCHANGED)
  brighter = np.minimum(pixels.astype(int) + 3, 255).astype(np.uint8)
  cv2.imwrite(str(images / '00000019_000.png'), brighter)
  outcome = validate('nih_chestxray14', nih)
  assert outcome.status == 0
  found, _ = report(outcome)
  duplicates = [s for s in found['suspects'] if s['kind'] == 'maybe a duplicate']
  assert len(duplicates) == 1
  pair = duplicates[0]['where'] + duplicates[0]['remedy']
  assert '00000002_000.png' in pair
  assert '00000019_000.png' in pair
  # The two stand beside each other, to be compared.
  (frame,) = (part for part in report(outcome)[1].split('<figure>') if 'looks like' in part)
  assert frame.count('src="data:image/jpeg') == 2


def test_small_and_posterized_images_are_suspects(nih, validate, make_radiograph):
  images = nih / 'images'
  pixels = make_radiograph(2, 256, 256)
  cv2.imwrite(str(images / '00000002_000.png'), pixels)
  cv2.imwrite(str(images / '00000003_000.png'), pixels[::-1] // 16 * 16)
  outcome = validate('nih_chestxray14', nih)
  found, page = report(outcome)
  kinds = {
    kind: {s['where'] for s in found['suspects'] if s['kind'] == kind}
    for kind in ('few pixels', 'few shades')
  }
  everybody = {path.name for path in images.iterdir()}
  assert kinds['few shades'] == {'00000003_000.png'}
  assert kinds['few pixels'] == everybody - {'00000002_000.png', '00000003_000.png'}
  assert 'few pixels: 18' in outcome.out and 'few pixels: 18' in page
  assert outcome.status == 0


def test_faults_are_listed_in_the_order_of_lines(hospital, validate, change_csv):
  def spoil(rows):
    for row in rows[1:]:
      row[2] = 'Nodule'

  change_csv(hospital / 'manifest.csv', spoil)
  outcome = validate('gmc_nodule', hospital)
  assert '10 images (manifest.csv line 2, manifest.csv line 3, manifest.csv line 4' in outcome.out
  _, page = report(outcome)
  assert page.index('manifest.csv line 9<') < page.index('manifest.csv line 10<')


def test_the_same_faults_from_one_process_and_from_two(spoiled, validate, monkeypatch):
  one = report(validate('nih_chestxray14', spoiled, '--processes=1'))[0]
  monkeypatch.setattr('tfds_builders.processes._IMAGES_WORTH_A_PROCESS', 1)
  two = report(validate('nih_chestxray14', spoiled, '--processes=2'))[0]
  assert one == two


def test_many_images_with_one_fault_are_counted_together(nih, validate):
  for path in (nih / 'images').iterdir():
    path.unlink()
  outcome = validate('nih_chestxray14', nih)
  assert 'image missing: 20' in outcome.out
  assert '20 images (00000001_000.png, 00000002_000.png, 00000003_000.png, ...): ' in outcome.out
  assert len(report(outcome)[0]['faults']) == 20
