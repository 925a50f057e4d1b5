"""CLAIM 2024 and TRIPOD+AI, filled in from the results and the program.

Tejani et al., Radiology: Artificial Intelligence 2024;6:e240300; Collins et al., BMJ
2024;385:e078378. checklists.csv abbreviates the items; the papers have their wording. Items that
the report does not answer are left to the author.
"""

import csv
import pathlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from nodulax.report import paper
from nodulax.report.drawing import Picture
from nodulax.report.program_answers import program_answers
from nodulax.report.results import UNKNOWN, Results
from nodulax.report.subgroups import PATIENT_TRAITS, TRAITS
from nodulax.report.table import Table

DATA, PROGRAM = 'from the results', 'from the program, to be checked'
AUTHOR = 'left to the author'
TO_FILL = 'For the author to fill.'

Where = Callable[..., str]  # from names of tables and figures to ' (Table 6, Figure 7)'


def checklists(
  results: Results,
  tables: Mapping[str, Table],
  pictures: Mapping[str, Sequence[Picture]],
  version: str,
) -> pd.DataFrame:
  """Returns every item with its answer and who gave it.

  Args:
    results: evaluations of all models on all sets.
    tables: those of the report, by the names of `tables.LAYOUTS`.
    pictures: the figures, by the names of `numbering.FIGURES`.
    version: this program and its version.
  """
  given = {
    topic: (by, answer)
    for by, answers in (
      (PROGRAM, program_answers(results, version)),
      (DATA, _answers(results, tables, pictures)),
    )
    for topic, answer in answers.items()
    if answer
  }
  with (pathlib.Path(__file__).parent / 'checklists.csv').open(newline='') as file:
    items = list(csv.DictReader(file))
  return pd.DataFrame(
    [
      {
        **{key: item[key] for key in ('guideline', 'item', 'section', 'asks')},
        'filled': given.get(item['topic'], (AUTHOR, TO_FILL))[0],
        'answer': given.get(item['topic'], (AUTHOR, TO_FILL))[1],
      }
      for item in items
    ]
  )


def _answers(
  results: Results, tables: Mapping[str, Table], pictures: Mapping[str, Sequence[Picture]]
) -> dict[str, str]:
  """Answers each topic from the results, and says where; empty if they say nothing."""

  def where(*names: str) -> str:
    """Returns ' (Table 6, Figure 7)' for those that were made."""
    made: list[Table | Picture] = []
    for name in names:
      made += [*filter(None, [tables.get(name)]), *pictures.get(name, ())]
    titles = [it.title.partition('. ')[0] for it in made]
    return f' ({", ".join(titles)})' if titles else ''

  def listed(**sentences: str) -> str:
    """The sentences about tables and figures that were made."""
    return ' '.join(f'{words}{where(name)}.' for name, words in sentences.items() if name in tables)

  counted = '; '.join(_counted(results, test_set) for test_set in results.sources)
  sets = '; '.join(paper.set_name(test_set) for test_set in results.test_sets)
  models = len(results.models)
  task = f'comparison of {models} models' if models > 1 else 'evaluation of one model'
  steps = _steps(tables)
  return {
    'goal': f'{task.capitalize()} on {sets}.',
    'sources': f'{counted}. Setting, centres and representativeness: author.',
    'missing': _missing(results),
    'sample_size': f'{counted}. How the size was chosen: author.',
    'metrics': _metrics(tables, pictures, where),
    'uncertainty': _uncertainty(results, tables, where),
    'robustness': ' '.join((_groups(tables, where, TRAITS), listed(
      seeds='Several training seeds',
      label_noise='Label noise in training',
      training_images='Number of training radiographs',
      true_labels='Labels as given against true ones',
    ))).strip(),
    'fairness': _groups(tables, where, PATIENT_TRAITS),
    'explanation': _explanation(results, where),
    'tested_on': f'Tested on {sets}. Which sets are external to which model: author.',
    'characteristics': listed(characteristics='The radiographs evaluated, by set and class'),
    'development': _development(results, where),
    'performance': listed(
      performance='Every model on every set',
      pairs='Models against each other',
      seeds='Each training seed',
      nodule_groups='Groups of nodules',
      patient_groups='Groups of patients',
    ),
    'failures': _failures(results, where),
    'clusters': (
      f'Results are given for each set, that is, source{where("performance")}.'
      if len(results.test_sets) > 1 else ''
    ),
    'eligibility': steps,
    'flow': (
      f'{steps}{where("exclusions", "flow")}' if steps
      else f'Evaluated: {counted}. What was excluded before: author.'
    ),
  }  # fmt: skip


def _counted(results: Results, test_set: str) -> str:
  cases = results.cases(test_set)
  nodule = int(cases['label'].sum())
  return (
    f'{paper.set_name(test_set)} {len(cases):,} radiographs of {cases["patient_id"].nunique():,} '
    f'patients, {nodule:,} with nodule{", simulated" if results.is_simulated(test_set) else ""}'
  )


def _steps(tables: Mapping[str, Table]) -> str:
  """Lists what was read and excluded for each set whose builder counted it."""
  if 'exclusions' not in tables:
    return ''
  return '; '.join(
    f'{paper.set_name(str(test_set))}: '
    + ', '.join(f'{row["step"]} {row["number"]:,}' for _, row in rows.iterrows())
    for test_set, rows in tables['exclusions'].numbers.groupby('set', sort=False)
  ) + '.'  # fmt: skip


def _metrics(
  tables: Mapping[str, Table], pictures: Mapping[str, Sequence[Picture]], where: Where
) -> str:
  """Lists all measures in the report."""
  names = {
    'auc': 'AUC',
    'sensitivity': 'sensitivity',
    'specificity': 'specificity',
    'dice': 'Dice',
    'mean_sensitivity': 'free-response ROC',
    'jafroc': 'JAFROC',
    'calibration_error': 'expected calibration error',
    'brier': 'Brier score',
  }
  measured = [
    word
    for name, word in names.items()
    if any(
      name in table.numbers and table.numbers[name].notna().any()
      for table in (tables.get(key) for key in ('performance', 'localisation', 'calibration'))
      if table
    )
  ]
  if pictures.get('decision'):
    measured.append('net benefit')
  places = where(
    'performance', 'operating_points', 'localisation', 'calibration', 'roc', 'froc', 'decision'
  )
  return f'{", ".join(measured)}{places}.'


def _uncertainty(results: Results, tables: Mapping[str, Table], where: Where) -> str:
  numbers = tables['performance'].numbers
  several = any(evaluation.cases['patient_id'].duplicated().any() for evaluation in results)
  auc = 'Obuchowski where patients have several images, DeLong elsewhere' if several else 'DeLong'
  parts = [f'95 % intervals: AUC, {auc}'] if numbers['auc'].notna().any() else []
  if numbers[['sensitivity', 'specificity']].notna().any(axis=None):
    bootstrap = ' or a bootstrap over patients' if several else ''
    parts.append(f'sensitivity and specificity, Clopper-Pearson{bootstrap}')
  if numbers['dice'].notna().any():
    parts.append('Dice, bootstrap over patients (BCa)')
  if 'localisation' in tables:
    parts.append('free-response ROC, bootstrap over patients')
  answer = '; '.join(parts) + where('performance', 'localisation') + '.' if parts else ''
  if 'pairs' in tables:
    answer += f" Models against each other: paired tests, raw P and Holm's{where('pairs')}."
  if 'seeds' in tables:
    answer += f' Spread between training seeds{where("seeds")}.'
  return answer.strip()


def _groups(tables: Mapping[str, Table], where: Where, among: Collection[str]) -> str:
  """Lists the traits by which results are given."""
  names = [name for name in ('nodule_groups', 'patient_groups') if name in tables]
  found = {trait for name in names for trait in tables[name].numbers['trait']}
  traits = [words.lower() for trait, words in TRAITS.items() if trait in found and trait in among]
  shown = [name for name in names if set(tables[name].numbers['trait']) & set(among)]
  return f'Results by {", ".join(traits)}{where(*shown)}.' if traits else ''


def _explanation(results: Results, where: Where) -> str:
  """Says how heat maps were compared with the truth; another tool's Dice may be of other maps."""
  own = [evaluation for evaluation in results if evaluation.folder is not None]
  held = []
  if any(evaluation.cases['dice'].notna().any() for evaluation in own):
    held.append(f'Dice{where("performance")}')
  if any(evaluation.detections is not None for evaluation in own):
    held.append(f'free-response ROC{where("localisation", "froc")}')
  return f'Heat maps, compared with located nodules by {" and ".join(held)}.' if held else ''


def _development(results: Results, where: Where) -> str:
  """Says whether the training splits are counted too."""
  splits = [(evaluation.cohort or {}).get('splits', {}) for evaluation in results]
  if not any('train' in of_set for of_set in splits):
    return ''
  return f'The training split is counted but not described{where("cohorts")}.'


def _failures(results: Results, where: Where) -> str:
  answer = ''
  if any(evaluation.threshold >= 0 for evaluation in results):
    answer = 'All misses and false alarms at the frozen threshold: failures.csv, section Failures.'
  suspects = where('suspects')
  return f'{answer} Doubtful labels{suspects}.'.strip() if suspects else answer


def _missing(results: Results) -> str:
  cases = pd.concat([results.cases(test_set) for test_set in results.sources])
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
    f'Unknown among {len(cases):,} radiographs: {listed or "nothing"}. Unknown is a group, '
    'never negative; nodules without location are left out of measures of location.'
  )
