import csv
import json
import math

import cv2
import numpy as np
import pytest

from nodulax.input import prepared
from nodulax.input.prepared import prepare
from nodulax.input.shards import Shards, ShardsError, case_from_json, case_to_json, find_shards
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.radiograph.reading import read_radiograph

PREPROCESSING = Preprocessing(
  image_size=64, lung_margin=0.1, window=(0.5, 99.5), clahe_clip_limit=2.0, clahe_tiles=8
)


def test_a_split_gives_back_the_pixels_and_masks_of_the_download(shards, hospital):
  with (hospital / 'manifest.csv').open() as file:
    rows = list(csv.DictReader(file))
  originals = {read_radiograph(hospital / row['image']).pixels.tobytes(): row for row in rows}
  seen = 0
  for name in ('train', 'tune', 'test'):
    split = Shards(shards, name)
    for index in range(len(split)):
      case, pixels, mask = split[index]
      row = originals[pixels.tobytes()]
      assert case.label == (row['label'] == 'nodule')
      assert case.location_known
      assert case.age == float(row['age'])
      assert (case.height, case.width) == pixels.shape
      if case.label:
        drawn = cv2.imread(str(hospital / row['mask']), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask > 0, drawn > 0)
      else:
        assert mask is None and case.boxes == ()
      seen += 1
  assert seen == len(rows) == 48


def test_labels_are_read_without_decoding_pixels(shards, monkeypatch):
  split = Shards(shards, 'train')
  labels = [split[index][0].label for index in range(len(split))]
  assert set(labels) == {0, 1}

  def decode(*_):
    raise AssertionError('pixels were decoded')

  monkeypatch.setattr('nodulax.input.shards.decode_png', decode)
  assert split.labels() == labels


def test_the_folder_is_found_from_above_and_a_wrong_one_is_named(shards, tmp_path):
  found = find_shards(shards)
  assert (found / 'dataset_info.json').exists()
  assert find_shards(found) == found
  with pytest.raises(ShardsError, match=f'{tmp_path}.*tfds_builders build'):
    find_shards(tmp_path)


def test_an_absent_split_is_an_error_that_names_those_there_are(shards):
  with pytest.raises(ShardsError, match="'validation'.*test, train, tune"):
    Shards(shards, 'validation')


def test_a_case_survives_json_with_its_unknowns(shards):
  case, _, _ = Shards(shards, 'train')[0]
  again = case_from_json(json.loads(json.dumps(case_to_json(case), allow_nan=False)))
  for name, value in vars(case).items():
    other = getattr(again, name)
    both_unknown = isinstance(value, float) and math.isnan(value) and math.isnan(other)
    assert both_unknown or value == other


def test_the_cache_holds_what_memory_would(shards, tmp_path):
  split = Shards(shards, 'tune')
  in_memory = prepare(split, PREPROCESSING)
  cached = prepare(split, PREPROCESSING, tmp_path)
  for split_cached in (cached, prepare(split, PREPROCESSING, tmp_path)):
    np.testing.assert_array_equal(split_cached.images, in_memory.images)
    np.testing.assert_array_equal(split_cached.masks, in_memory.masks)
    assert [case.image_id for case in split_cached.cases] == [
      case.image_id for case in in_memory.cases
    ]
  assert len(list(tmp_path.iterdir())) == 1


def test_other_parameters_make_another_cache(shards, tmp_path):
  split = Shards(shards, 'tune')
  prepare(split, PREPROCESSING, tmp_path)
  other = Preprocessing.from_dict({**vars(PREPROCESSING), 'window': (5.0, 95.0)})
  assert (prepare(split, other, tmp_path).images != prepare(split, PREPROCESSING).images).any()
  assert len(list(tmp_path.iterdir())) == 2


def test_an_interrupted_cache_leaves_nothing_that_looks_finished(shards, tmp_path, monkeypatch):
  split = Shards(shards, 'tune')

  def interrupted(*_):
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(Preprocessing, 'image', interrupted)
    with pytest.raises(KeyboardInterrupt):
      prepare(split, PREPROCESSING, tmp_path)
  assert list(tmp_path.iterdir()) == []


def test_a_cache_does_not_outlive_the_code_that_made_it(shards, tmp_path, monkeypatch):
  split = Shards(shards, 'tune')
  prepare(split, PREPROCESSING, tmp_path)
  (first,) = tmp_path.iterdir()
  prepare(split, PREPROCESSING, tmp_path)
  assert list(tmp_path.iterdir()) == [first]
  monkeypatch.setattr(prepared, 'input_fingerprint', lambda: 'of the next release')
  prepare(split, PREPROCESSING, tmp_path)
  assert len(list(tmp_path.iterdir())) == 2
