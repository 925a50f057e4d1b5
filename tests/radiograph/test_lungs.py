"""The lung box on drawn chests and on real radiographs, none of which it was trained on."""

import csv
import pathlib
import time

import cv2
import numpy as np
import pytest

from nodulax.radiograph import lung_network, lungs
from nodulax.radiograph.lungs import find_lung_box
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.radiograph.reading import decode_png

JSRT_SIZE = 2048  # of the originals, in which the nodules' centres are given


def overlap(first: np.ndarray, second: np.ndarray) -> float:
  """Intersection over union of two boxes."""
  size = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
  shared = np.prod(np.maximum(size, 0))
  return shared / (np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]) - shared)


def real_chest(real_data: pathlib.Path) -> np.ndarray:
  return decode_png((real_data / 'nih' / 'images' / '00000002_000.png').read_bytes(), 'chest')


@pytest.fixture(scope='module')
def jsrt(real_data) -> dict[str, tuple[np.ndarray, np.ndarray]]:
  """By name: the image u8[224, 224] and the true lung box."""
  cases = {}
  for path in sorted((real_data / 'jsrt' / 'images').glob('*.png')):
    mask = cv2.imread(str(real_data / 'jsrt' / 'masks' / path.name), cv2.IMREAD_UNCHANGED)
    rows, columns = np.nonzero(np.isin(mask, (150, 200)))
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    cases[path.name] = decode_png(path.read_bytes(), path.name), box
  return cases


def test_the_box_on_real_masks(jsrt):
  overlaps = [
    overlap(np.array(find_lung_box(pixels).box), true_box) for pixels, true_box in jsrt.values()
  ]
  assert len(overlaps) == 124
  assert np.median(overlaps) >= 0.90
  assert np.min(overlaps) >= 0.5


def test_no_real_nodule_lies_outside_the_crop(jsrt, real_data):
  preprocessing = Preprocessing(
    image_size=512, lung_margin=0.1, window=(1, 99), clahe_clip_limit=2.0, clahe_tiles=8
  )
  with open(real_data / 'jsrt' / 'jsrt_metadata.csv', newline='') as file:
    nodules = [row for row in csv.DictReader(file) if row['x'] and row['study_id'] in jsrt]
  assert len(nodules) == 77
  for row in nodules:
    pixels, _ = jsrt[row['study_id']]
    crop = preprocessing.crop(pixels.shape, np.array(find_lung_box(pixels).box))
    x, y = (float(row[axis]) * pixels.shape[0] / JSRT_SIZE for axis in 'xy')
    assert crop.x_min <= x < crop.x_max and crop.y_min <= y < crop.y_max, row['study_id']


def test_real_radiographs_of_every_kind_have_plausible_boxes(real_data):
  files = sorted((real_data / 'nih' / 'images').glob('*.png'))[::6]
  boxes = [find_lung_box(decode_png(file.read_bytes(), file.name)) for file in files]
  found = np.array([box.box for box in boxes if box.found])
  assert len(found) >= 0.98 * len(files)
  centres = (found[:, :2] + found[:, 2:]) / 2 / 1024
  assert np.all(np.abs(centres - 0.5) < 0.3)
  assert np.all((found[:, 2:] - found[:, :2]) / 1024 > 0.3)


def test_it_takes_a_small_part_of_the_50_ms_that_it_may(real_data):
  large = cv2.resize(real_chest(real_data), (2500, 3000)).astype(np.uint16) * 200
  find_lung_box(large)
  # The least of several: other processes can only add to the processor's time.
  times = []
  for _ in range(10):
    start = time.process_time()
    find_lung_box(large)
    times.append(time.process_time() - start)
  assert min(times) < 0.05


def test_exposure_depth_and_gamma_hardly_move_the_box(real_data):
  chest = real_chest(real_data)
  box = np.array(find_lung_box(chest).box)
  darker = (65535 * (0.1 + 0.5 * (chest / 255) ** 1.7)).astype(np.uint16)
  assert overlap(box, np.array(find_lung_box(darker).box)) > 0.95


@pytest.mark.parametrize('shade', [0, 255])
def test_a_border_of_any_shade_moves_the_box_with_the_lungs(real_data, shade):
  overlaps = []
  for file in sorted((real_data / 'nih' / 'images').glob('*.png'))[5:300:30]:
    chest = decode_png(file.read_bytes(), file.name)
    box = np.array(find_lung_box(chest).box)
    bordered = cv2.copyMakeBorder(chest, 90, 60, 150, 40, cv2.BORDER_CONSTANT, value=shade)
    moved = box + np.array([150, 90, 150, 90])
    overlaps.append(overlap(moved, np.array(find_lung_box(bordered).box)))
  assert np.median(overlaps) > 0.9 and np.min(overlaps) > 0.6


def test_the_box_is_in_pixels_of_an_image_of_any_shape(real_data):
  chest = real_chest(real_data)
  box = np.array(find_lung_box(chest).box)
  large = cv2.resize(chest, (2500, 3000), interpolation=cv2.INTER_CUBIC)
  scale = np.array([2500, 3000, 2500, 3000]) / 1024
  assert overlap(box * scale, np.array(find_lung_box(large).box)) > 0.95


def test_the_same_pixels_give_the_same_box(real_data):
  chest = real_chest(real_data)
  assert find_lung_box(chest) == find_lung_box(np.asfortranarray(chest))


@pytest.mark.parametrize(
  'pixels',
  [
    np.zeros((300, 200), np.uint8),
    np.full((64, 64), 65535, np.uint16),
    np.zeros((1, 1), np.uint8),
  ],
)
def test_a_blank_image_gives_the_whole_image(pixels):
  result = find_lung_box(pixels)
  height, width = pixels.shape
  assert not result.found and result.box == (0, 0, width, height)


@pytest.mark.parametrize(
  ('fields', 'found'),
  [
    ([(10, 10, 28, 50), (36, 10, 54, 50)], True),
    ([(10, 10, 54, 50)], True),  # both in one, as where the heart is hidden
    ([(10, 10, 24, 50)], False),  # one lung
    ([(1, 1, 63, 63)], False),  # one of the image's size
    ([(30, 30, 34, 34)], False),  # tiny
    ([(2, 30, 62, 36)], False),  # flat
    ([(10, 10, 28, 50), (36, 10, 54, 50), (60, 0, 62, 4)], True),  # a speck beside them
    ([], False),
  ],
)
def test_only_a_plausible_pair_of_fields_is_taken(monkeypatch, fields, found):
  logits = np.full((1, 64, 64), -9, np.float32)
  for x_min, y_min, x_max, y_max in fields:
    logits[0, y_min:y_max, x_min:x_max] = 9
  monkeypatch.setattr(lung_network, 'lung_logits', lambda parameters, image: logits)
  result = find_lung_box(np.eye(150, 128, dtype=np.uint8))
  assert result.found is found
  expected = (20, 23.4, 108, 117.2) if found else (0, 0, 128, 150)
  np.testing.assert_allclose(result.box, expected, atol=2)


def test_the_network_sees_ranks():
  pixels = np.repeat(np.array([[10, 20], [20, 200]], np.uint8), 64, axis=0).repeat(64, axis=1)
  ranks = lungs.network_input(pixels)[..., 0]
  # A quarter is darker than the two quarters of 20, and a quarter is brighter.
  np.testing.assert_allclose(ranks[[0, 0, 127, 127], [0, 127, 0, 127]], [-0.75, 0, 0, 0.75])


def test_the_convolutions_agree_with_opencv():
  rng = np.random.default_rng(0)
  parameters = {}
  for name, shape in lung_network.kernel_shapes().items():
    parameters[f'{name}/kernel'] = rng.normal(0, 0.1, shape).astype(np.float32)
    parameters[f'{name}/bias'] = rng.normal(0, 0.1, shape[-1]).astype(np.float32)
  image = rng.normal(0, 1, (1, 128, 128, 2)).astype(np.float32)

  def layer(name, x, stride=1):
    kernel, bias = parameters[f'{name}/kernel'], parameters[f'{name}/bias']
    filtered = [
      sum(
        cv2.filter2D(x[..., i], -1, kernel[:, :, i, o], borderType=cv2.BORDER_CONSTANT)
        for i in range(x.shape[-1])
      )
      + bias[o]
      for o in range(len(bias))
    ]
    return np.stack(filtered, axis=-1)[::stride, ::stride]

  x, skipped = image[0], []
  for level in range(4):
    x = np.maximum(layer(f'down{level}', x, 2), 0)
    skipped.append(x)
  x = x + np.maximum(layer('deep0', x), 0)
  x = x + np.maximum(layer('deep1', x), 0)
  for level in (2, 1, 0):
    x = np.maximum(layer(f'up{level}', x), 0)
    x = np.kron(x, np.ones((2, 2, 1), np.float32)) + skipped[level]
  expected = layer('last', x)[..., 0]
  np.testing.assert_allclose(lung_network.lung_logits(parameters, image)[0], expected, atol=1e-3)


def test_the_shipped_weights_are_small_and_need_no_pickle():
  assert lungs._WEIGHTS.stat().st_size < 400_000
  with np.load(lungs._WEIGHTS, allow_pickle=False) as file:
    shapes = {name: file[name].shape for name in file.files}
  for name, shape in lung_network.kernel_shapes().items():
    assert shapes.pop(f'{name}/kernel') == shape
    assert shapes.pop(f'{name}/bias') == shape[-1:]
  assert not shapes
