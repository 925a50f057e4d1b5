"""Dawid and Skene's model against a closed form, an independent library's answer and simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from nodulax.statistics.latent_truth import latent_truth

PREVALENCE = 0.3
SENSITIVITY = np.array([0.9, 0.75, 0.6])
SPECIFICITY = np.array([0.95, 0.8, 0.9])


def exact_table(total: int) -> np.ndarray:
  """Answers of three readers in just the frequencies that the model expects, rounded."""
  rows = []
  for pattern in itertools.product((0, 1), repeat=3):
    answer = np.array(pattern)
    of_nodule = np.where(answer, SENSITIVITY, 1 - SENSITIVITY).prod()
    of_normal = np.where(answer, 1 - SPECIFICITY, SPECIFICITY).prod()
    expected = total * (PREVALENCE * of_nodule + (1 - PREVALENCE) * of_normal)
    rows += [pattern] * round(expected)
  return np.array(rows, float)


def test_three_readers_give_back_the_rates_that_made_their_answers():
  # Three readers have as many frequencies as unknowns: the most likely rates fit them exactly.
  found = latent_truth(exact_table(200_000), draws=10)
  np.testing.assert_allclose(found.prevalence.value, PREVALENCE, atol=1e-3)
  np.testing.assert_allclose([e.value for e in found.sensitivity], SENSITIVITY, atol=1e-3)
  np.testing.assert_allclose([e.value for e in found.specificity], SPECIFICITY, atol=1e-3)


def test_the_posterior_is_bayes_rule_of_the_rates():
  table = exact_table(200_000)
  found = latent_truth(table, draws=10)
  yes, no = (table == 1).all(axis=1).argmax(), (table == 0).all(axis=1).argmax()
  nodule, normal = PREVALENCE * SENSITIVITY.prod(), (1 - PREVALENCE) * (1 - SPECIFICITY).prod()
  assert found.posterior[yes] == pytest.approx(nodule / (nodule + normal), abs=1e-3)
  nodule = PREVALENCE * (1 - SENSITIVITY).prod()
  normal = (1 - PREVALENCE) * SPECIFICITY.prod()
  assert found.posterior[no] == pytest.approx(nodule / (nodule + normal), abs=1e-3)


def simulate(rng, images, readers, missing=0.0):
  truth = rng.random(images) < PREVALENCE
  right = np.where(truth[:, None], SENSITIVITY[:readers], SPECIFICITY[:readers])
  correct = rng.random((images, readers)) < right
  answers = np.where(correct, truth[:, None], ~truth[:, None]).astype(float)
  gone = rng.random(answers.shape) < missing
  gone[gone.all(axis=1)] = False
  answers[gone] = np.nan
  return truth, answers


@pytest.mark.parametrize('kind', ['readers', 'missing', 'network'])
def test_intervals_cover_the_truth(kind):
  rng = np.random.default_rng(3)
  covered = []
  for seed in range(40):
    if kind == 'network':
      truth, answers = simulate(rng, 600, 1)
      scores = rng.normal(2.0 * truth, 1.0)
    else:
      truth, answers = simulate(rng, 400, 3, 0.2 if kind == 'missing' else 0.0)
      scores = None
    found = latent_truth(answers, scores, draws=300, seed=seed)
    readers = answers.shape[1]
    pairs = [(found.prevalence, PREVALENCE)]
    pairs += zip(found.sensitivity, SENSITIVITY[:readers], strict=True)
    pairs += zip(found.specificity, SPECIFICITY[:readers], strict=True)
    covered += [estimate.low <= true <= estimate.high for estimate, true in pairs]
  # Binomial noise of the repeats: 95 % within three standard errors, correlated within a repeat.
  spread = 3 * np.sqrt(0.95 * 0.05 / len(covered))
  assert abs(np.mean(covered) - 0.95) < max(spread, 0.03)


def test_a_score_of_known_normals_gives_the_labels_rates():
  # Scores of two normal distributions at their quantiles: no sampling error in them.
  at = (np.arange(20_000) + 0.5) / 20_000
  normal, nodule = stats.norm.ppf(at), 2 + stats.norm.ppf(at)
  scores = np.concatenate([normal, nodule])
  # Every tenth normal is labelled nodule, every fifth nodule normal, whatever its score.
  labels = np.concatenate([np.arange(20_000) % 10 == 0, np.arange(20_000) % 5 != 0]).astype(float)
  found = latent_truth(labels[:, None], scores, draws=10)
  assert found.prevalence.value == pytest.approx(0.5, abs=0.01)
  assert found.specificity[0].value == pytest.approx(0.9, abs=0.01)
  assert found.sensitivity[0].value == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
  'answers, word',
  [
    ([[1, 0]] * 4, r'2 reader\(s\) cannot tell errors'),
    ([[1]] * 4, r'1 reader\(s\) cannot tell errors'),
    ([[1, 1, 1]] * 4, 'all answers are 1'),
    ([[1, 2, 1]] * 4, 'must be 1'),
    ([[np.nan] * 3, [1, 0, 1]], 'nobody read image 0'),
    ([[1, 0, np.nan], [0, 1, np.nan]], 'reader 2 read nothing'),
    ([1, 0, 1], 'must be'),
  ],
)
def test_answers_from_which_nothing_follows_are_refused(answers, word):
  with pytest.raises(ValueError, match=word):
    latent_truth(answers)


def test_real_readers_are_consistent_with_their_adjudication(real_data):
  """Three radiologists each, who never met; the settled answer came from talks among them."""
  import pandas as pd

  table = pd.read_csv(real_data / 'nih_readers' / 'four_findings_readers.csv')
  table = table[table['Nodule/mass'].isin(['YES', 'NO'])]
  table['answer'] = (table['Nodule/mass'] == 'YES').astype(float)
  table['place'] = table.groupby('Image ID').cumcount()
  wide = table[table.place < 3].pivot(index='Image ID', columns='place', values='answer')
  settled = pd.read_csv(real_data / 'nih_readers' / 'four_findings.csv').set_index('Image Index')
  truth = (settled['Nodule or mass'] == 'YES')[wide.index].to_numpy()
  # Who comes first in an image's rows is arbitrary, so the three places are as three readers.
  found = latent_truth(wide.to_numpy(), draws=200)
  agree = ((found.posterior >= 0.5) == truth).mean()
  assert agree > 0.9
  # The majority has the same answer wherever all three agree.
  whole = wide.notna().all(axis=1).to_numpy()
  same = whole & (wide.nunique(axis=1) == 1).to_numpy()
  np.testing.assert_array_equal(found.posterior[same] >= 0.5, wide[same].iloc[:, 0].to_numpy() == 1)
