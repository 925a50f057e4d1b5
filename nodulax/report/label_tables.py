"""The tables of what `nodulax labels` found."""

import pandas as pd

from nodulax.report.label_quality import SHOWN
from nodulax.report.table import Table, count, decimals, estimate


def audit_table(numbers: pd.DataFrame) -> Table:
  """Tabulates the labels that are most likely wrong."""
  shown = pd.DataFrame(
    {
      'Audit': numbers['file'],
      'Rank': numbers['rank'].map(count),
      'Image': numbers['image_id'],
      'Label': numbers['label'].map({'1': 'nodule', '0': 'normal'}),
      'Probability of a nodule': numbers['probability'].map(decimals),
      'Probability that the label is wrong': numbers['wrong'].map(decimals),
    }
  )
  note = (
    f'The first {SHOWN} of each audit; all are in its suspects.csv. The network never saw these '
    'radiographs in training. A suspect is a reason to look, not an error.'
  )
  return Table('table_audit', 'Most suspect labels', numbers, shown, note, grouped=True)


def noise_rates_table(numbers: pd.DataFrame) -> Table:
  """Tabulates how often labels are wrong."""
  shown = pd.DataFrame(
    {
      'File': numbers['file'],
      'Estimated from': numbers['method'],
      'Normals labelled nodule': [estimate(row, 'wrong_normal') for _, row in numbers.iterrows()],
      'Nodules labelled normal': [estimate(row, 'wrong_nodule') for _, row in numbers.iterrows()],
    }
  )
  note = (
    'Share of wrong labels (95 % interval). Estimates from the network alone assume that its '
    'errors are unrelated to those of the labels; those from a random sample read again do not.'
  )
  return Table('table_noise_rates', 'How often labels are wrong', numbers, shown, note)


def corrected_table(numbers: pd.DataFrame) -> Table:
  """Tabulates test figures against the labels, and corrected for wrong ones."""
  names = {'auc': 'AUC', 'sensitivity': 'Sensitivity', 'specificity': 'Specificity'}
  shown = pd.DataFrame(
    {
      'File': numbers['file'],
      'Measure': numbers['measure'].map(names),
      'Against the labels': numbers['labelled'].map(decimals),
      'Corrected': [estimate(row, 'corrected') for _, row in numbers.iterrows()],
    }
  )
  note = (
    'Corrected for the rates of wrong labels (95 % interval over radiographs and rates), if wrong '
    'labels are unrelated to how hard a radiograph is to read.'
  )
  title = 'Test figures as labelled and corrected'
  return Table('table_corrected', title, numbers, shown, note, grouped=True)
