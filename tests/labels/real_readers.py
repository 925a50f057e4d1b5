"""How wrong ChestX-ray14's labels are, by radiologists who read some of its radiographs again.

  python tests/labels/real_readers.py

Reads `$NODULAX_TEST_DATA`, else ../shared/data: the tables of Majkowska et al., Radiology
2020;294:421. The labels are the study's cohort rule ('nodule or mass only' against 'No Finding').
The radiographs were not drawn at random, and readers are no CT. For research, not a medical device.
"""

import csv
import os
import pathlib

import numpy as np

from nodulax.labels.agreement import agreement
from nodulax.labels.rereading import Answer, as_table
from nodulax.statistics import label_noise
from nodulax.statistics.estimate import Estimate
from nodulax.statistics.latent_truth import latent_truth

DATA = pathlib.Path(__file__).parents[3] / 'shared' / 'data'
NODULE = ({'Nodule'}, {'Mass'}, {'Nodule', 'Mass'})


def rows(path: pathlib.Path) -> list[dict[str, str]]:
  with path.open(newline='') as file:
    return list(csv.DictReader(file))


def label(findings: str) -> int | None:
  """1 for nodule or mass alone, 0 for no finding, None for what the cohort rule leaves out."""
  if set(findings.split('|')) in NODULE:
    return 1
  return 0 if findings == 'No Finding' else None


def shown(name: str, estimate: Estimate) -> str:
  return f'{name}: {estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})'


def main() -> None:
  data = pathlib.Path(os.environ.get('NODULAX_TEST_DATA', DATA))
  entries = rows(data / 'nih' / 'Data_Entry_2017_v2020.csv')
  every = [known for row in entries if (known := label(row['Finding Labels'])) is not None]
  settled = {
    row['Image Index']: (known, row['Nodule or mass'] == 'YES')
    for row in rows(data / 'nih_readers' / 'four_findings.csv')
    if (known := label(row['Finding Labels'])) is not None
  }
  labels, truth = np.array(list(settled.values())).T
  print(
    f'{len(labels)} radiographs of the cohort were read again; settled: '
    f'{(truth[labels == 1] == 0).sum()} of {(labels == 1).sum()} labelled nodule have none, '
    f'{truth[labels == 0].sum()} of {(labels == 0).sum()} labelled normal have one'
  )
  second = label_noise.rates_from_second_reading(labels, truth, every)
  print(f'taking what they settled for the truth, in all {len(every):,} of the cohort:')
  print(' ', shown('normals labelled nodule', second.wrong_normal))
  print(' ', shown('nodules labelled normal', second.wrong_nodule))
  answers = [
    Answer(row['Image ID'], row['Reader ID'], 'nodule' if row['Nodule/mass'] == 'YES' else 'normal')
    for row in rows(data / 'nih_readers' / 'four_findings_readers.csv')
    if row['Image ID'] in settled and row['Nodule/mass'] in ('YES', 'NO')
  ]
  names, table = as_table(answers, list(settled))
  print(f'{len(names)} readers, {np.mean((~np.isnan(table)).sum(1)):.2f} each radiograph')
  read = ~np.isnan(table).all(axis=1)
  found = label_noise.rates_of_first(latent_truth(np.column_stack([labels[read], table[read]])))
  print('taking nobody for the truth, in the sample itself:')
  print(' ', shown('normals labelled nodule', found.wrong_normal))
  print(' ', shown('nodules labelled normal', found.wrong_nodule))
  for name, value in agreement(table).items():
    if value is not None:
      print(f'  {name}: {value:.2f}')


if __name__ == '__main__':
  main()
