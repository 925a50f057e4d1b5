"""Training sets made worse on purpose: what changes, and what does not."""

import numpy as np
import pytest

from nodulax.input.degraded import mislabelled, reduced
from nodulax.input.prepared import prepare
from nodulax.input.shards import Shards
from nodulax.radiograph.preprocessing import Preprocessing


@pytest.fixture(scope='module')
def split(shards):
  return prepare(Shards(shards, 'train'), Preprocessing(32, 0.1, (0.5, 99.5), 2.0, 8))


def labels(prepared):
  return np.array([case.label for case in prepared.cases])


def test_a_fifth_of_either_class_is_turned_round(split):
  worse = mislabelled(split, 0.2, seed=3)
  before, after = labels(split), labels(worse)
  for label in (0, 1):
    of_class = before == label
    assert (after[of_class] != label).sum() == round(0.2 * of_class.sum())
  for old, new in zip(split.cases, worse.cases, strict=True):
    if old.label == new.label:
      assert new == old
    else:
      # Nobody located what is not there; who calls a nodule normal marks nothing.
      assert new.boxes == () and new.location_known == (old.label == 1)
  assert worse.images is split.images


def test_wrong_labels_stay_wrong_at_a_higher_rate(split):
  before = labels(split)
  wrong = [set(np.flatnonzero(labels(mislabelled(split, r, 0)) != before)) for r in (0.1, 0.4)]
  assert wrong[0] < wrong[1]
  assert (labels(mislabelled(split, 0.0, 0)) == before).all()
  assert (labels(mislabelled(split, 1.0, 0)) != before).all()


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
  with pytest.raises(ValueError, match='between 0 and 1'):
    mislabelled(split, 1.5, seed=0)
