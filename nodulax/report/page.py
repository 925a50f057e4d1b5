"""The page: one HTML file that loads nothing."""

import dataclasses
import pathlib
from typing import Any

import jinja2
import pandas as pd

from nodulax import NOTICE
from nodulax.report import paper
from nodulax.report.drawing import Picture
from nodulax.report.failures import Failures, withheld
from nodulax.report.highlights import highlights, one_run
from nodulax.report.model_cards import INTENDED_USE, LIMITS, ModelCard
from nodulax.report.questions import sentences
from nodulax.report.radiographs import Film, film, heat_colours
from nodulax.report.results import Results
from nodulax.report.table import Table, decimals, is_number

FILMS = 6  # of each kind of failure, model and set
PRINTED = 2  # of these, on paper
SUSPECT_FILMS = 6  # for each set

_SECTIONS = (
  ('summary', 'At a glance'),
  ('questions', 'The two questions'),
  ('cohorts', 'Cohorts'),
  ('performance', 'Performance'),
  ('training', 'Training'),
  ('sweeps', 'What was varied'),
  ('true_labels', 'True labels'),
  ('localisation', 'Localisation'),
  ('calibration', 'Calibration'),
  ('groups', 'By group'),
  ('failures', 'Failures'),
  ('suspects', 'Doubtful labels'),
  ('labels', 'Label quality'),
  ('appendix', 'Appendix'),
)
# Sections that are left out if they have none of these tables and figures.
_NEEDS = {
  'questions': ('questions',),
  'training': ('training', 'seeds'),
  'sweeps': ('label_noise', 'training_images'),
  'true_labels': ('true_labels',),
  'labels': ('audit', 'noise_rates', 'corrected', 'label_study'),
}


@dataclasses.dataclass(frozen=True)
class Content:
  """Everything that the page shows.

  Attributes:
    title: what was evaluated.
    created: the date.
    version: of nodulax.
    results: evaluations of all models on all sets.
    tables: by their names in the template.
    pictures: by their names in the template; a name may have several.
    failures: failures of each model on each set.
    cards: one per model.
    remarks: on the cohorts, by set.
    audits: what `nodulax labels audit` counted, a row per audit.
  """

  title: str
  created: str
  version: str
  results: Results
  tables: dict[str, Table]
  pictures: dict[str, list[Picture]]
  failures: list[Failures]
  cards: list[ModelCard]
  remarks: dict[str, str]
  audits: pd.DataFrame


def render(content: Content) -> str:
  """Renders the page as HTML."""
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
    autoescape=lambda name: name is None or name.endswith('.html.jinja'),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
  )
  environment.filters |= {
    'model_name': paper.model_name,
    'full_name': paper.full_name,
    'set_name': paper.set_name,
  }
  environment.tests['number_like'] = is_number
  galleries = _galleries(content)
  films = [film for gallery in galleries for film, _ in gallery['films']]
  return environment.get_template('page.html.jinja').render(
    content=content,
    tables=content.tables,
    pictures=content.pictures,
    notice=NOTICE,
    sections=_sections(content),
    questions=sentences(content.tables['questions'].numbers)
    if 'questions' in content.tables
    else [],
    legend=_legend(content.results),
    withheld=_withheld(content.results),
    audited=_audited(content.audits),
    heat_colours=heat_colours(),
    one_run=one_run(content.results, content.tables),
    noisy=[
      paper.set_name(name) for name in content.results.test_sets if content.results.true_of(name)
    ],
    highlights=highlights(content.tables),
    simulated=list(filter(content.results.is_simulated, content.results.test_sets)),
    galleries=galleries,
    gallery_models=list(dict.fromkeys(film.model for film in films)),
    gallery_sets=list(dict.fromkeys(film.test_set for film in films)),
    suspect_films=_suspect_films(content),
    filled=content.tables['checklists'].numbers['filled'].value_counts().to_dict(),
    intended_use=INTENDED_USE,
    limits=LIMITS,
  )


def _sections(content: Content) -> list[tuple[str, str]]:
  """Lists the sections that have content: their anchors and names."""
  made = {*content.tables, *content.pictures}
  return [
    (anchor, name)
    for anchor, name in _SECTIONS
    if anchor not in _NEEDS or made.intersection(_NEEDS[anchor])
  ]


def _legend(results: Results) -> list[tuple[str, str]]:
  """The paper's models that are here, and what each is."""
  return [
    (paper.model_name(model), paper.TRAINED_ON[model])
    for model in results.models
    if model in paper.TRAINED_ON
  ]


def _withheld(results: Results) -> list[str]:
  """Says why some or all models do not judge the labels of a set."""
  sentences = []
  for test_set, rows in withheld(results).groupby('set', sort=False):
    models = ' and '.join(map(paper.model_name, rows['model']))
    if rows['all'].all():
      sentences.append(
        f'{paper.set_name(str(test_set))}: withheld. The interval of every AUC there includes 0.5, '
        'so these models may be at chance and say nothing about the labels.'
      )
    else:
      sentences.append(
        f'{paper.set_name(str(test_set))}: without {models}, which may be at chance there (the '
        'interval of the AUC includes 0.5).'
      )
  return sentences


def _audited(audits: pd.DataFrame) -> list[str]:
  """Says what each audit found, in a sentence."""
  sentences = []
  for _, row in audits.iterrows():
    found = (
      f'{row["file"]}: of {row["images"]:,.0f} labels about {row["expected_wrong"]:,.0f} are '
      f'wrong, as the network estimates; {row["more_likely_wrong"]:,.0f} are more likely '
      'wrong than right.'
    )
    if row['auc'] >= 0:
      found += (
        ' Against a second reading the ranking finds wrong labels with an AUC of '
        f'{decimals(row["auc"])} ({decimals(row["auc_low"])}–{decimals(row["auc_high"])}).'
      )
    sentences.append(found)
  return sentences


def _galleries(content: Content) -> list[dict[str, Any]]:
  """Collects the worst failures of each model on each set, where there are pictures of them."""
  galleries = []
  for of_model in content.failures:
    evaluation = of_model.evaluation
    chosen = {'miss': of_model.misses, 'false alarm': of_model.false_alarms}
    films = [
      (film(content.results, evaluation, image_id, kind), number >= PRINTED)
      for kind, cases in chosen.items()
      for number, image_id in enumerate(cases.index[:FILMS])
    ]
    shown = [(picture, more) for picture, more in films if picture is not None]
    if shown:
      model, test_set = paper.model_name(evaluation.model), paper.set_name(evaluation.test_set)
      galleries.append(
        {
          'title': f'{model} on {test_set}',
          'counted': f'{len(of_model.misses):,} misses and {len(of_model.false_alarms):,} false '
          f'alarms at the threshold {evaluation.threshold:.3f}',
          'films': shown,
        }
      )
  return galleries


def _suspect_films(content: Content) -> list[Film]:
  if 'suspects' not in content.tables:
    return []
  numbers = content.tables['suspects'].numbers
  films = []
  for _, row in numbers[numbers['rank'] <= SUSPECT_FILMS].iterrows():
    for evaluation in content.results.on(row['set'])[::-1]:
      if evaluation.folder is not None and row['image_id'] in evaluation.cases.index:
        films.append(film(content.results, evaluation, row['image_id'], 'suspect'))
        break
  return [picture for picture in films if picture is not None]
