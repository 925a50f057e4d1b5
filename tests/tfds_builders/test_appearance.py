import cv2
import numpy as np
import pytest

from nodulax.radiograph.reading import read_radiograph
from tfds_builders import appearance


def small(path) -> np.ndarray:
  return cv2.resize(read_radiograph(path).pixels, (256, 256), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope='module')
def radiographs(real_data) -> list[np.ndarray]:
  """60 NIH images of 60 patients."""
  return [small(path) for path in sorted((real_data / 'nih' / 'images').iterdir())[:60]]


def kinds(pixels) -> list[str]:
  return [kind for kind, _ in appearance.suspicions(pixels)]


def bits_apart(one: np.ndarray, other: np.ndarray) -> int:
  first, second = (
    np.frombuffer(appearance.fingerprint(pixels), np.uint8) for pixels in (one, other)
  )
  return int(np.unpackbits(first ^ second).sum())


def test_blank_images(make_radiograph):
  assert appearance.is_blank(np.zeros((50, 50), np.uint8))
  assert appearance.is_blank(np.full((50, 50), 65_535, np.uint16))
  nearly = np.zeros((50, 50), np.uint16)
  nearly[0, :25] = 9  # 1 in 100
  assert appearance.is_blank(nearly)
  nearly[0, 25] = 9
  assert not appearance.is_blank(nearly)
  assert not appearance.is_blank(make_radiograph(1))


def test_inverted_radiographs_are_suspects_and_others_are_not(radiographs):
  assert not any('maybe inverted' in kinds(pixels) for pixels in radiographs)
  inverted = ['maybe inverted' in kinds(255 - pixels) for pixels in radiographs]
  assert sum(inverted) >= 0.97 * len(inverted)


def test_frontal_radiographs_are_rarely_taken_for_lateral_ones(radiographs):
  assert sum('maybe not frontal' in kinds(pixels) for pixels in radiographs) <= 2


def test_a_picture_without_symmetry_is_a_suspect():
  ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
  assert 'maybe not frontal' in kinds(ramp)
  assert 'maybe not frontal' not in kinds(np.minimum(ramp, 255 - ramp))


def test_constant_images_are_no_suspects_because_they_are_blank():
  assert kinds(np.full((256, 256), 7, np.uint8)) == []


def test_the_same_radiograph_in_another_form_is_a_near_duplicate(radiographs):
  for pixels in radiographs[:20]:
    jpeg = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    forms = {
      'jpeg': cv2.imdecode(jpeg, cv2.IMREAD_UNCHANGED),
      'smaller': cv2.resize(pixels, (180, 180), interpolation=cv2.INTER_LINEAR),
      'gamma': (255 * (pixels / 255) ** 0.7).astype(np.uint8),
      '16 bits': pixels.astype(np.uint16) * 257,
    }
    for form in forms.values():
      assert bits_apart(pixels, form) <= appearance.NEAR_DUPLICATE_BITS


def test_different_patients_are_not(radiographs):
  prints = [np.frombuffer(appearance.fingerprint(pixels), np.uint8) for pixels in radiographs]
  assert list(appearance.near_duplicates(np.stack(prints))) == []


def test_near_duplicates_are_pairs_up_to_the_bound():
  prints = np.zeros((4, 32), np.uint8)
  prints[1, :4] = 255  # 32 bits from the first
  prints[2, :4] = 255
  prints[2, 4] = 1  # 33 bits from the first, 1 from the second
  prints[3] = 255
  assert list(appearance.near_duplicates(prints)) == [(0, 1), (1, 2)]
