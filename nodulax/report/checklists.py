"""CLAIM 2024 and TRIPOD+AI, filled in as far as results and program can.

Tejani et al., Radiology: Artificial Intelligence 2024;6:e240300; Collins et al., BMJ
2024;385:e078378. checklists.csv lists the items in short; the words to report by are the papers'.
"""

import csv
import pathlib
from typing import Any

import pandas as pd

from nodulax.report import paper
from nodulax.report.model_cards import INTENDED_USE, LIMITS
from nodulax.report.results import UNKNOWN, Results

DATA, PROGRAM = 'from the results', 'from the program, to be checked'
AUTHOR = 'left to the author'
TO_FILL = 'For the author to fill.'


def checklists(results: Results, exclusions: pd.DataFrame, version: str) -> pd.DataFrame:
  """Every item with its answer and who gave it.

  Args:
    results: of all models on all sets.
    exclusions: `exclusions` of the results.
    version: this program and its version.
  """
  answers = _answers(results, exclusions, version)
  with (pathlib.Path(__file__).parent / 'checklists.csv').open(newline='') as file:
    items = list(csv.DictReader(file))
  return pd.DataFrame(
    [
      {
        **{key: item[key] for key in ('guideline', 'item', 'section', 'asks')},
        'filled': answers.get(item['topic'], (AUTHOR, TO_FILL))[0],
        'answer': answers.get(item['topic'], (AUTHOR, TO_FILL))[1],
      }
      for item in items
    ]
  )


def _answers(
  results: Results, exclusions: pd.DataFrame, version: str
) -> dict[str, tuple[str, str]]:
  """Topic: (who answers, the answer)."""
  counted = '; '.join(_counted(results, test_set) for test_set in results.test_sets)
  sets = ', '.join(paper.set_name(test_set) for test_set in results.test_sets)
  answers = {
    'technology': (PROGRAM, 'Deep learning: convolutional networks on frontal chest radiographs, '
                   'for the presence of a pulmonary nodule or mass.'),
    'intended_use': (PROGRAM, INTENDED_USE),
    'goal': (DATA, f'Evaluation and comparison of {len(results.models)} models on {sets}.'),
    'sources': (DATA, f'{counted}. Setting, centres and representativeness: author.'),
    'deidentification': (PROGRAM, 'Patient identifiers are replaced by keyed hashes (HMAC-SHA256) '
                         'when the shards are built; image identifiers of hospitals too.'),
    'sampling': (PROGRAM, 'The builders of NIH, AI-HUB and VinBig draw normal radiographs '
                 'from a seed; Table 1 counts what was not drawn.'),
    'missing': (DATA, _missing(results)),
    'reference': (PROGRAM, 'NIH: labels mined from reports. AI-HUB and GMC: chest CT. VinBig: '
                  'agreement of two or more readers. Say what holds for your sets.'),
    'partitions': (PROGRAM, 'Train 70 %, tune 10 %, test 20 %, drawn by patient from a seed and '
                   'stratified by label, or the official split; external sets are test alone.'),
    'disjoint': (PROGRAM, 'Patient: no patient is in two splits.'),
    'sample_size': (DATA, f'{counted}. How the size was arrived at: author.'),
    'selection': (PROGRAM, 'The checkpoint with the highest AUC on the tune split.'),
    'ensembling': (PROGRAM, 'None.'),
    'inputs': (PROGRAM, 'The pixels of one frontal radiograph; no clinical data.'),
    'metrics': (DATA, 'AUC, sensitivity, specificity, Dice, free-response ROC, JAFROC, expected '
                'calibration error, Brier score, net benefit (Table 2, Figures 1 to 6).'),
    'uncertainty': (DATA, 'DeLong 95 % intervals and paired tests, Obuchowski where patients have '
                    'several images; Clopper-Pearson or bootstrap over patients, for Dice BCa; '
                    "raw P and Holm's."),
    'robustness': (DATA, 'Results by nodule size, conspicuity, zone, sex, age and view where '
                   'recorded (Table 6, Figures 7 and 8).'),
    'explanation': (DATA, 'Heat maps, held against located nodules by Dice and free-response ROC '
                    '(Figures 3 and 4).'),
    'tested_on': (DATA, f'Tested on {sets}. Which of them are external to which model: author.'),
    'characteristics': (DATA, 'Table 1. The training split is counted there, not described.'),
    'performance': (DATA, 'Table 2, comparisons below it; groups in Table 6.'),
    'failures': (DATA, 'Gallery of the worst misses and false alarms; all of them in '
                 'failures.csv; doubtful labels in Table 7.'),
    'limitations': (PROGRAM, ' '.join(LIMITS) + ' Others: author.'),
    'clusters': (DATA, 'Each set, that is source, stands by itself in every table and figure.'),
    'updating': (DATA, 'None after evaluation; thresholds were frozen on the tune split.'),
    'predictions': (PROGRAM, 'The sigmoid of the network; predictions.csv keeps each.'),
    'imbalance': (PROGRAM, 'Classes are matched where the builder draws normal radiographs; '
                  'probabilities are not recalibrated for another prevalence.'),
    'thresholds': (PROGRAM, "Youden's index on the tune split, then frozen."),
    'poor_input': (PROGRAM, 'A file that cannot be read is an error that names it; poor image '
                   'quality is not detected.'),
    'availability': (PROGRAM, f'{version}. Availability of weights and data: author.'),
    'software': (PROGRAM, f'{version}; libraries with their versions: pip freeze.'),
    'preprocessing': (PROGRAM, 'Crop around the lungs with a margin, intensity window between '
                      'percentiles, resize, CLAHE; the parameters are in the config of the model '
                      'card.'),
    'model': (PROGRAM, 'DenseNet with squeeze-and-excitation, then two convolutions; '
              'the parameters are in the config of the model card.'),
    'initialisation': (PROGRAM, 'ImageNet weights or those of another run: init in the config of '
                       'the model card.'),
    'training': (PROGRAM, 'Adam on binary cross-entropy, with pixel-wise cross-entropy for network '
                 '2; every knob is in the config of the model card.'),
  }  # fmt: skip
  if len(exclusions):
    steps = '; '.join(
      f'{paper.set_name(str(test_set))}: '
      + ', '.join(f'{row["step"]} {row["number"]:,}' for _, row in rows.iterrows())
      for test_set, rows in exclusions.groupby('set', sort=False)
    )
    answers['eligibility'] = (DATA, f'{steps}.')
    answers['flow'] = (DATA, f'Table 1. {steps}.')
  else:
    answers['flow'] = (DATA, f'Evaluated: {counted}. What was excluded before: author.')
  return answers


def _counted(results: Results, test_set: str) -> str:
  cases = results.cases(test_set)
  nodule = int(cases['label'].sum())
  return (
    f'{paper.set_name(test_set)} {len(cases):,} radiographs of {cases["patient_id"].nunique():,} '
    f'patients, {nodule:,} with nodule'
  )


def _missing(results: Results) -> str:
  cases = pd.concat([results.cases(test_set) for test_set in results.test_sets])
  nodule = cases[cases['label'] == 1]
  unknown: dict[str, Any] = {
    'sex': (cases['sex'] == UNKNOWN).sum(),
    'age': cases['age'].isna().sum(),
    'view': (cases['view'] == UNKNOWN).sum(),
    'location of nodules': (~nodule['location_known']).sum(),
    'nodule size': nodule['nodule_diameter_mm'].isna().sum(),
  }
  listed = ', '.join(f'{name} of {number:,}' for name, number in unknown.items() if number)
  return (
    f'Unknown among {len(cases):,} radiographs: {listed or "nothing"}. Unknown is a group of its '
    'own and never negative; nodules without location are left out of Dice and free-response ROC.'
  )
