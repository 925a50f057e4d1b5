"""Numbers tables and figures in the order in which the page shows them."""

import dataclasses
from collections.abc import Mapping, Sequence

from nodulax.report.drawing import Picture
from nodulax.report.table import Table

# As page.html.jinja shows them; what a report does not have is passed over.
FIGURES = (
  *('summary', 'questions', 'flow', 'roc', 'distributions', 'training', 'seeds'),
  *('label_noise', 'training_images', 'radiographs', 'froc', 'reliability', 'decision'),
  *('nodules', 'patients', 'budget'),
)
TABLES = (
  *('questions', 'cohorts', 'characteristics', 'performance', 'operating_points', 'seeds'),
  *('true_labels', 'localisation', 'calibration', 'audit', 'noise_rates', 'corrected'),
  # The appendix.
  *('exclusions', 'pairs', 'seed_pairs', 'label_noise', 'training_images', 'nodule_groups'),
  *('patient_groups', 'suspects', 'checklists'),
)


def numbered_tables(tables: Mapping[str, Table]) -> dict[str, Table]:
  """The tables, in order, as 'Table 1. ...' and so on."""
  present = [name for name in TABLES if name in tables]
  return {
    name: dataclasses.replace(tables[name], title=f'Table {number}. {tables[name].title}')
    for number, name in enumerate(present, 1)
  }


def numbered_figures(
  pictures: Mapping[str, Sequence[Picture]],
) -> dict[str, list[Picture]]:
  """The figures, in order, as 'Figure 1. ...' and so on; a name may have several."""
  numbered: dict[str, list[Picture]] = {}
  number = 0
  for name in FIGURES:
    for picture in pictures.get(name, ()):
      number += 1
      titled = dataclasses.replace(picture, title=f'Figure {number}. {picture.title}')
      numbered.setdefault(name, []).append(titled)
  return numbered
