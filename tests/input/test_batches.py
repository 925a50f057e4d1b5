import dataclasses
import math

import numpy as np
import pytest

from nodulax.input.batches import evaluation_batches, training_batches
from nodulax.input.prepared import Prepared
from nodulax.input.shards import Case
from nodulax.radiograph.augmentation import Augmentation

RANGES = Augmentation(flip=0.5, shift=0.1, scale=0.1, rotation=10.0, shear=5.0)


def case(index: int, label: int, located: bool = True) -> Case:
  boxes = ((4.0, 4.0, 12.0, 12.0),) if label and located else ()
  return Case(
    image_id=f'image{index}',
    patient_id=f'patient{index}',
    label=label,
    location_known=located,
    boxes=boxes,
    lung_box=(0.0, 0.0, 32.0, 32.0),
    height=32,
    width=32,
    sex='unknown',
    age=math.nan,
    view='PA',
    pixel_spacing_mm=(math.nan, math.nan),
    nodule_diameter_mm=math.nan,
    zone='unknown',
    conspicuity='unknown',
    source='test',
  )


@pytest.fixture
def prepared() -> Prepared:
  rng = np.random.default_rng(0)
  cases = [case(index, index % 2, located=index != 3) for index in range(11)]
  images = rng.integers(0, 256, (11, 32, 32), dtype=np.uint8)
  images[:, 0, 0] = np.arange(11)
  masks = np.zeros((11, 32, 32), np.uint8)
  for index, this in enumerate(cases):
    if this.boxes:
      masks[index, 4:12, 4:12] = 255
  return Prepared('test', 'train', cases, images, masks, np.zeros(11), None)


def test_no_nodule_vanishes_from_the_truth(prepared):
  prepared.masks[1] = 0
  prepared.masks[1, 5, 6] = 30  # an eighth of one pixel
  assert np.argwhere(prepared.truth(1)).tolist() == [[5, 6]]
  assert not prepared.truth(0).any()
  assert prepared.truth(5).sum() == 64


def stream(prepared, count, batch_size=4, augmentation=None, **options):
  batches = training_batches(
    prepared, batch_size=batch_size, map_size=2, augmentation=augmentation, seed=7, **options
  )
  taken = [next(batches) for _ in range(count)]
  batches.close()
  return taken


def test_every_epoch_holds_each_radiograph_once_in_a_new_order(prepared):
  indices = np.concatenate([batch['index'] for batch in stream(prepared, 11)])
  epochs = indices.reshape(4, 11)
  for epoch in epochs:
    assert sorted(epoch) == list(range(11))
  assert len({tuple(epoch) for epoch in epochs}) == 4


def test_without_augmentation_a_batch_holds_the_images_and_their_truth(prepared):
  (batch,) = stream(prepared, 1, batch_size=11)
  np.testing.assert_array_equal(batch['image'][..., 0], prepared.images[batch['index']])
  np.testing.assert_array_equal(batch['label'], batch['index'] % 2)
  np.testing.assert_array_equal(batch['located'], batch['index'] != 3)
  # 8 x 8 nodule pixels in the first of four cells of 16 x 16: a quarter of it.
  quarter = np.array([[0.25, 0], [0, 0]])
  for truth, label, index in zip(batch['truth'], batch['label'], batch['index'], strict=True):
    np.testing.assert_allclose(truth, quarter if label and index != 3 else np.zeros((2, 2)))


def test_what_a_batch_holds_follows_from_the_seed_alone(prepared):
  once = stream(prepared, 6, augmentation=RANGES)
  again = stream(prepared, 6, augmentation=RANGES)
  for a, b in zip(once, again, strict=True):
    for name in a:
      np.testing.assert_array_equal(a[name], b[name])


def test_augmentation_differs_from_epoch_to_epoch(prepared):
  first, second = stream(prepared, 2, batch_size=11, augmentation=RANGES)
  a = first['image'][np.argsort(first['index'])]
  b = second['image'][np.argsort(second['index'])]
  assert all((x != y).any() for x, y in zip(a, b, strict=True))


def test_hosts_share_each_global_batch(prepared):
  whole = stream(prepared, 5, batch_size=4, augmentation=RANGES)
  parts = [
    stream(prepared, 5, batch_size=4, augmentation=RANGES, host=host, hosts=2) for host in (0, 1)
  ]
  for step, batch in enumerate(whole):
    together = {
      index: image
      for part in parts
      for index, image in zip(part[step]['index'], part[step]['image'], strict=True)
    }
    assert set(together) == set(batch['index'])
    for index, image in zip(batch['index'], batch['image'], strict=True):
      np.testing.assert_array_equal(together[index], image)


@pytest.mark.parametrize('workers', [1, 2])
def test_batches_do_not_depend_on_the_number_of_worker_processes(prepared, workers):
  expected = stream(prepared, 6, augmentation=RANGES)
  found = stream(prepared, 6, augmentation=RANGES, worker_processes=workers)
  for a, b in zip(expected, found, strict=True):
    for name in a:
      np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize('workers', [0, 1])
def test_the_stream_goes_on_from_any_batch(prepared, workers):
  expected = stream(prepared, 9, augmentation=RANGES)
  found = stream(prepared, 4, augmentation=RANGES, start=5, worker_processes=workers)
  for a, b in zip(expected[5:], found, strict=True):
    np.testing.assert_array_equal(a['index'], b['index'])
    np.testing.assert_array_equal(a['image'], b['image'])


def test_a_batch_that_does_not_divide_over_the_hosts_is_an_error(prepared):
  with pytest.raises(ValueError, match='does not divide'):
    stream(prepared, 1, batch_size=4, hosts=3)


def test_hosts_share_each_batch_of_an_evaluation(prepared):
  whole = list(evaluation_batches(prepared, 8))
  parts = [list(evaluation_batches(prepared, 8, host, 2)) for host in (0, 1)]
  for batch, first, second in zip(whole, *parts, strict=True):
    np.testing.assert_array_equal(np.concatenate([first['image'], second['image']]), batch['image'])
    np.testing.assert_array_equal(first['valid'], batch['valid'])
    np.testing.assert_array_equal(second['valid'], batch['valid'])


def test_evaluation_takes_each_radiograph_once_and_marks_the_padding(prepared):
  batches = list(evaluation_batches(prepared, 4))
  assert [batch['image'].shape for batch in batches] == [(4, 32, 32, 1)] * 3
  valid = np.concatenate([batch['valid'] for batch in batches])
  images = np.concatenate([batch['image'] for batch in batches])[valid]
  np.testing.assert_array_equal(images[..., 0], prepared.images)
  assert valid.sum() == 11


def test_other_greys_change_the_image_alone(prepared):
  plain, exposed = (
    next(training_batches(prepared, batch_size=4, map_size=4, augmentation=augmentation, seed=5))
    for augmentation in (RANGES, dataclasses.replace(RANGES, gamma=0.4, sharpness=1.0, noise=0.05))
  )
  assert not np.array_equal(plain['image'], exposed['image'])
  for name in ('truth', 'label', 'located', 'index'):
    np.testing.assert_array_equal(plain[name], exposed[name])
