"""Training sets made worse on purpose: what changes, and what does not."""

import dataclasses

import numpy as np
import pytest

from nodulax.input.degraded import Noise, degraded, reduced
from nodulax.input.prepared import prepare
from nodulax.input.shards import Shards
from nodulax.radiograph.preprocessing import Preprocessing


@pytest.fixture(scope='module')
def split(shards):
  return prepare(Shards(shards, 'train'), Preprocessing(32, 0.1, (0.5, 99.5), 2.0, 8))


def labels(prepared):
  return np.array([case.label for case in prepared.cases])


NONE = Noise(0.0, 0.0, False, 0.0, 0.0, 0.0)


def worse(split, seed=0, **changes):
  return degraded(split, dataclasses.replace(NONE, **changes), seed)


def test_each_class_is_mislabelled_at_its_own_rate(split):
  after = worse(split, seed=3, wrong_normal=0.2, wrong_nodule=0.4)
  before = labels(split)
  for label, rate in ((0, 0.2), (1, 0.4)):
    of_class = before == label
    assert (labels(after)[of_class] != label).sum() == round(rate * of_class.sum())
  for old, new in zip(split.cases, after.cases, strict=True):
    if old.label == new.label:
      assert new == old
    else:
      # Nobody located what is not there; who calls a nodule normal marks nothing.
      assert new.boxes == () and new.location_known == (old.label == 1)
  assert after.images is split.images and after.masks is split.masks


def test_wrong_labels_stay_wrong_at_a_higher_rate(split):
  before = labels(split)
  for by_conspicuity in (False, True):
    low, high, none, every = (
      set(
        np.flatnonzero(
          labels(worse(split, wrong_normal=r, wrong_nodule=r, by_conspicuity=by_conspicuity))
          != before
        )
      )
      for r in (0.1, 0.4, 0.0, 1.0)
    )
    assert low < high and not none and len(every) == len(split)


def test_the_inconspicuous_lose_their_label_first(split):
  # 3,000 nodules, a third of each of three grades: a reader misses 55, 15 and 1 % of them.
  case = next(case for case in split.cases if case.label)
  grades = ['1', '3', '5'] * 1000
  many = dataclasses.replace(
    split,
    cases=[dataclasses.replace(case, conspicuity=grade) for grade in grades],
    images=np.zeros((3000, 1, 1)),
    masks=np.zeros((3000, 1, 1)),
  )
  wrong = labels(worse(many, wrong_nodule=0.1, by_conspicuity=True)) == 0
  missed = [wrong[np.array(grades) == grade].mean() for grade in '135']
  assert wrong.sum() == 300
  assert missed[0] > 2.5 * missed[1] > 5 * missed[2]
  by_chance = labels(worse(many, wrong_nodule=0.1)) == 0
  assert np.ptp([by_chance[np.array(grades) == grade].mean() for grade in '135']) < 0.05


@pytest.fixture
def outlined(split):
  """One radiograph with a nodule of 9 x 9 pixels and one of 4 x 4."""
  case = next(case for case in split.cases if case.label)
  mask = np.zeros((1, 32, 32), np.uint8)
  mask[0, 5:14, 5:14] = 255
  mask[0, 20:24, 22:26] = 255
  boxes = ((22.0, 20.0, 26.0, 24.0), (5.0, 5.0, 14.0, 14.0))
  return dataclasses.replace(
    split,
    cases=[dataclasses.replace(case, boxes=boxes)],
    images=np.zeros((1, 32, 32), np.uint8),
    masks=mask,
    truth_outside=np.zeros(1),
  )


def test_the_second_nodule_is_missed(outlined):
  after = worse(outlined, missed_second=1.0)
  assert after.cases[0].boxes == ((5.0, 5.0, 14.0, 14.0),) and after.cases[0].label == 1
  assert (after.masks[0] > 0).sum() == 81 and after.masks[0, 5:14, 5:14].all()


def test_outlines_are_shifted_and_enlarged_by_a_share_of_their_nodule(outlined):
  after = worse(outlined, enlarged=0.25).masks[0] > 0
  assert after[3:16, 9].all() and not after[:3].any()  # 9 / 4 rounds to 2 pixels on each side
  assert after[19:25, 24].all()
  shifts = []
  for seed in range(60):
    moved = worse(outlined, seed=seed, jitter=0.2).masks[0].astype(float)
    moved[:, 19:] = 0  # the large one alone
    moved[16:] = 0
    if moved.sum() > 0.99 * 81 * 255:  # whole within the part that is looked at
      rows, columns = np.indices(moved.shape)
      shifts.append([(moved * rows).sum() / moved.sum(), (moved * columns).sum() / moved.sum()])
  assert len(shifts) > 40
  np.testing.assert_allclose(np.std(shifts), 1.8, rtol=0.35)  # a fifth of nine pixels
  np.testing.assert_allclose(np.mean(shifts, axis=0), [9, 9], atol=0.8)


def test_fewer_radiographs_are_balanced_and_nested(split):
  small, large = reduced(split, 8, seed=0), reduced(split, 16, seed=0)
  assert len(small) == 8 and labels(small).sum() == 4
  ids = [{case.image_id for case in part.cases} for part in (small, large)]
  assert ids[0] < ids[1]
  at = {case.image_id: index for index, case in enumerate(split.cases)}
  for index, case in enumerate(small.cases):
    np.testing.assert_array_equal(small.images[index], split.images[at[case.image_id]])
    np.testing.assert_array_equal(small.masks[index], split.masks[at[case.image_id]])


def test_a_class_with_too_few_is_filled_up_with_the_other(split):
  whole = reduced(split, len(split), seed=0)
  assert labels(whole).sum() == labels(split).sum()


def test_what_cannot_be_done_says_so(split):
  with pytest.raises(ValueError, match='train_images'):
    reduced(split, len(split) + 1, seed=0)
  for name, value in (('wrong_normal', 1.5), ('missed_second', -0.1), ('jitter', 9.0)):
    with pytest.raises(ValueError, match=f'{name} is {value}; it must lie between 0'):
      worse(split, **{name: value})
