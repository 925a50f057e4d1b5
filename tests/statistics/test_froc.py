"""Free-response curves and scores, by hand and against other constructions."""

import dataclasses

import numpy as np
import pytest
from sklearn import metrics

from nodulax.statistics import froc, roc

FALSE, REPEAT = froc.FALSE_POSITIVE, froc.REPEAT


def detections(scores, images, matched, nodules, patients=None):
  return froc.Detections(
    np.array(scores, dtype=float),
    np.array(images, dtype=int),
    np.array(matched, dtype=int),
    np.array(nodules),
    patients,
  )


@pytest.fixture
def monai():
  """The case of MONAI's own unit test of its FROC score.

  False positives [0.8, 0.6], true positives [1, 1, 0, 0, 0.8, 0.8, 0] (0: not found), four targets
  in two images.
  """
  return detections(
    [0.8, 0.6, 1, 1, 0.8, 0.8], [0, 1, 0, 0, 1, 1], [FALSE, FALSE, 0, 1, 0, 1], [2, 2]
  )


def random_detections(seed, images=60, each=2):
  generator = np.random.default_rng(seed)
  nodules = generator.integers(0, 3, images)
  nodules[:2] = [1, 0]
  scores, of, matched = [], [], []
  for image, count in enumerate(nodules):
    for nodule in range(count):
      if generator.random() < 0.8:
        scores.append(generator.random() ** 0.5)
        of.append(image)
        matched.append(nodule)
    for _ in range(generator.poisson(1)):
      scores.append(generator.random())
      of.append(image)
      matched.append(FALSE)
  return detections(np.round(scores, 1), of, matched, nodules, np.arange(images) // each)


def test_a_published_case(monai):
  curve = froc.froc_curve(monai)
  rates = [0.25, 0.5, 1, 2, 4, 8]
  assert froc.sensitivity_at(curve, rates).mean() == pytest.approx(0.95833333, abs=1e-8)
  assert froc.sensitivity_at(curve, [0.25])[0] == pytest.approx(0.75, abs=1e-8)
  assert froc.froc_band(monai, rates, resamples=50).mean == pytest.approx(0.95833333, abs=1e-8)


def test_curve_by_hand():
  found = detections(
    [0.9, 0.8, 0.8, 0.7, 0.6, 0.2],
    [0, 1, 0, 0, 2, 3],
    [0, FALSE, 1, REPEAT, FALSE, FALSE],
    [3, 0, 1, 0],
  )
  curve = froc.froc_curve(found)
  np.testing.assert_allclose(curve.thresholds, [np.inf, 0.9, 0.8, 0.7, 0.6, 0.2])
  np.testing.assert_allclose(curve.false_positives, [0, 0, 0.25, 0.25, 0.5, 0.75])
  np.testing.assert_allclose(curve.sensitivity, [0, 0.25, 0.5, 0.5, 0.5, 0.5])
  # Between the points at 0 and 0.25; after the last one, level.
  np.testing.assert_allclose(froc.sensitivity_at(curve, [0.125, 0.25, 8]), [0.375, 0.5, 0.5])


def test_no_finding_at_all():
  curve = froc.froc_curve(detections([], [], [], [1, 0]))
  assert froc.sensitivity_at(curve).tolist() == [0] * 7


def test_curve_rises():
  for seed in range(20):
    curve = froc.froc_curve(random_detections(seed))
    assert (np.diff(curve.sensitivity) >= 0).all() and (np.diff(curve.false_positives) >= 0).all()
    assert (np.diff(froc.sensitivity_at(curve)) >= 0).all()
    assert 0 <= curve.sensitivity[-1] <= 1


def test_scores_enter_by_their_order_alone():
  found = random_detections(1)
  squared = dataclasses.replace(found, scores=found.scores**2)
  shuffled = np.random.default_rng(0).permutation(found.scores.size)
  elsewhere = dataclasses.replace(
    found,
    scores=found.scores[shuffled],
    images=found.images[shuffled],
    matched=found.matched[shuffled],
  )
  for other in (squared, elsewhere):
    assert froc.sensitivity_at(froc.froc_curve(other)).tolist() == (
      froc.sensitivity_at(froc.froc_curve(found)).tolist()
    )
    assert froc.jafroc(other) == froc.jafroc(found)
    assert froc.mean_average_precision(other) == froc.mean_average_precision(found)


def test_band_agrees_with_resampling_by_hand():
  found = random_detections(2)
  band = froc.froc_band(found, resamples=300, seed=5)
  patients = np.asarray(found.patients)
  sensitivities = []
  for drawn in np.random.default_rng(5).integers(0, 30, (300, 30)):
    images = np.concatenate([np.flatnonzero(patients == patient) for patient in drawn])
    rows = [np.flatnonzero(found.images == image) for image in images]
    again = detections(
      np.concatenate([found.scores[row] for row in rows]),
      np.repeat(np.arange(len(images)), [len(row) for row in rows]),
      np.concatenate([found.matched[row] for row in rows]),
      found.nodules[images],
    )
    sensitivities.append(froc.sensitivity_at(froc.froc_curve(again)))
  low, high = np.quantile(sensitivities, [0.025, 0.975], axis=0)
  np.testing.assert_allclose(band.low, low, atol=1e-10)
  np.testing.assert_allclose(band.high, high, atol=1e-10)
  assert (band.mean_low, band.mean_high) == pytest.approx(
    tuple(np.quantile(np.mean(sensitivities, axis=1), [0.025, 0.975])), abs=1e-10
  )
  assert band.mean_low < band.mean < band.mean_high


def test_node21_by_hand(monai):
  # The area is 3/4, the sensitivity at a quarter of a false positive 0.75.
  score = froc.node21_score([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9], monai)
  assert score == pytest.approx(0.75 * 0.75 + 0.25 * 0.75)


def test_jafroc_by_hand():
  # Nodules 0.9 and not found; normal images with 0.5 at worst, and without a finding. Of the four
  # pairs the found nodule wins two, the other one loses one and ties with the empty image.
  found = detections([0.9, 0.95, 0.5, 0.4], [0, 0, 1, 1], [0, FALSE, FALSE, FALSE], [2, 0, 0])
  assert froc.jafroc(found).value == pytest.approx(2.5 / 4)


def test_jafroc_is_an_area_under_a_roc_curve():
  found = random_detections(4)
  nodules = [
    max(found.scores[(found.images == image) & (found.matched == nodule)], default=-1)
    for image, count in enumerate(found.nodules)
    for nodule in range(count)
  ]
  normals = [
    max(found.scores[(found.images == image)], default=-1)
    for image in np.flatnonzero(found.nodules == 0)
  ]
  figure = froc.jafroc(found)
  assert figure.value == pytest.approx(
    metrics.roc_auc_score([1] * len(nodules) + [0] * len(normals), nodules + normals), abs=1e-10
  )
  assert figure.low < figure.value < figure.high
  assert figure.value == pytest.approx(
    roc.auc([1] * len(nodules) + [0] * len(normals), nodules + normals), abs=1e-12
  )


def test_jafroc_interval_knows_patients():
  generator = np.random.default_rng(9)
  nodules = np.tile([1, 0], 100)
  scores = np.repeat(generator.normal(size=25), 8) + nodules
  matched = np.where(nodules, 0, FALSE)
  alone = froc.jafroc(detections(scores, np.arange(200), matched, nodules))
  together = froc.jafroc(detections(scores, np.arange(200), matched, nodules, np.arange(200) // 8))
  expected = roc.delong_interval(nodules, scores, np.arange(200) // 8)
  assert together == expected
  assert together != alone


def test_mean_average_precision_by_hand():
  # In falling order: hit, repeat, hit, false, hit; 4 nodules. Precision 1, 1/2, 2/3, 2/4, 3/5, so
  # the envelope over the three steps in recall of 1/4 is 1, 2/3, 3/5.
  found = detections([0.9, 0.8, 0.7, 0.6, 0.5], [0, 0, 0, 1, 1], [0, REPEAT, 1, FALSE, 0], [2, 2])
  assert froc.mean_average_precision(found) == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)
  perfect = detections([0.9, 0.8], [0, 1], [0, 0], [1, 1])
  assert froc.mean_average_precision(perfect) == 1


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'scores': np.array([np.nan, 0.5])}, 'NaN'),
    ({'images': np.array([0])}, 'one length'),
    ({'images': np.array([0, 2])}, '0 to 1'),
    ({'images': np.array([-1, 0])}, '0 to 1'),
    ({'matched': np.array([1, FALSE])}, 'does not have'),
    ({'images': np.array([0, 0]), 'matched': np.array([0, 0])}, 'hit by two'),
    ({'nodules': np.array([0, 0]), 'matched': np.array([FALSE, FALSE])}, 'no image has a nodule'),
  ],
)
def test_bad_detections_are_told(change, message):
  good = detections([0.9, 0.5], [0, 1], [0, FALSE], [1, 0])
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(good, **change)


def test_jafroc_needs_normal_images(monai):
  with pytest.raises(ValueError, match='without a nodule'):
    froc.jafroc(monai)
