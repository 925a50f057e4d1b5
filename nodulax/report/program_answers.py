"""The checklist answers that the program gives: how nodulax's own models work.

They do not apply to other tools whose predictions are compared.
"""

from nodulax.report import paper
from nodulax.report.model_cards import INTENDED_USE, LIMITS
from nodulax.report.results import Results

REFERENCE = {
  'nih': 'labels mined from reports',
  'aihub': 'chest CT',
  'gmc': 'chest CT',
  'vindr': 'agreement of two or more readers',
}
DRAWN = ('nih', 'aihub', 'vindr')  # sets whose normal radiographs the builder draws
MATCHED = ('nih', 'aihub')  # as many as there are with a nodule


def program_answers(results: Results, version: str) -> dict[str, str]:
  """Returns the answer to each topic of checklists.csv; none without a model of nodulax's own.

  Where other tools are compared, an answer begins with the models for which it holds.

  Args:
    results: evaluations of all models on all sets.
    version: this program and its version.
  """
  own = [evaluation for evaluation in results if evaluation.folder is not None]
  models = [model for model in results.models if any(model == it.model for it in own)]
  if not models:
    return {}
  sets = [test_set for test_set in results.test_sets if any(test_set == it.test_set for it in own)]
  recorded = all(evaluation.provenance.get('config') for evaluation in own)
  options = 'in the config of the model card' if recorded else 'not recorded by every evaluation'
  drawn, matched = (
    ', '.join(paper.set_name(test_set) for test_set in sets if test_set in among)
    for among in (DRAWN, MATCHED)
  )
  answers = {
    'technology': 'Deep learning: convolutional networks that detect pulmonary nodules and '
                  'masses on frontal chest radiographs.',
    'intended_use': INTENDED_USE,
    'deidentification': 'Patient identifiers are replaced by keyed hashes (HMAC-SHA256) when the '
                        'shards are built; image identifiers of hospitals too.',
    'sampling': f'The builder draws normal radiographs with a seed: {drawn}.' if drawn else '',
    'reference': _reference(results, sets),
    'partitions': 'Train 70 %, tune 10 %, test 20 %, drawn by patient with a seed and stratified '
                  'by label, or the official split; external sets are only for testing.',
    'disjoint': 'Patient: no patient is in two splits.',
    'selection': 'The checkpoint with the highest AUC on the tune split.',
    'ensembling': 'None.',
    'inputs': 'The pixels of one frontal radiograph; no clinical data.',
    'limitations': ' '.join(LIMITS) + ' Others: author.',
    'updating': 'None: evaluation changes no model, and thresholds were frozen on the tune split.',
    'predictions': 'The sigmoid of the network; predictions.csv keeps each.',
    'imbalance': (f'As many normal as nodule radiographs: {matched}. ' if matched else '')
                 + 'Probabilities are not recalibrated for another prevalence.',
    'thresholds': "Youden's index on the tune split, then frozen.",
    'poor_input': 'A file that cannot be read is an error that names it; poor image quality is '
                  'not detected.',
    'availability': f'{version}. Availability of weights and data: author.',
    'software': f'{version}; libraries with their versions: pip freeze.',
    'preprocessing': 'Crop around the lungs with a margin, intensity window between percentiles, '
                     f'resize, CLAHE; the parameters: {options}.',
    'model': 'DenseNet with squeeze-and-excitation, then two convolutions; the parameters: '
             f'{options}.',
    'initialisation': 'Weights from ImageNet or another run, or random ones; see init: '
                      f'{options}.',
    'training': 'Adam on binary cross-entropy, with pixel-wise cross-entropy for network 2; every '
                f'option: {options}.',
  }  # fmt: skip
  if len(models) == len(results.models):
    return answers
  holds_for = '; '.join(map(paper.model_name, models))
  return {topic: f'For {holds_for}: {answer}' for topic, answer in answers.items() if answer}


def _reference(results: Results, sets: list[str]) -> str:
  """Says how the truth of each set was found, where the program knows."""
  known = []
  for test_set in sets:
    if results.is_true(test_set):
      known.append(f'{paper.set_name(test_set)}: known, because simulated')
    elif test_set in REFERENCE:
      made = ', imitated by the simulator' if results.is_simulated(test_set) else ''
      known.append(f'{paper.set_name(test_set)}: {REFERENCE[test_set]}{made}')
  return f'{"; ".join(known)}. Other sets: author.' if known else ''
