"""The page: one HTML file that loads nothing."""

import dataclasses
import pathlib
import re
from typing import Any

import jinja2
import pandas as pd

from nodulax import NOTICE
from nodulax.report import paper
from nodulax.report.drawing import Picture
from nodulax.report.failures import Failures
from nodulax.report.model_cards import INTENDED_USE, LIMITS, ModelCard
from nodulax.report.radiographs import Film, film
from nodulax.report.results import Results
from nodulax.report.table import Table, decimals, estimate, p_value

FILMS = 6  # of each kind of failure, model and set
SUSPECT_FILMS = 6  # for each set

_SECTIONS = (
  ('summary', 'At a glance'),
  ('cohorts', 'Cohorts'),
  ('performance', 'Performance'),
  ('localisation', 'Localisation'),
  ('calibration', 'Calibration'),
  ('groups', 'By group'),
  ('failures', 'Failures'),
  ('suspects', 'Doubtful labels'),
  ('checklists', 'Checklists'),
  ('cards', 'Model cards'),
)


@dataclasses.dataclass(frozen=True)
class Content:
  """Everything that the page shows.

  Attributes:
    title: what was evaluated.
    created: the day.
    version: of nodulax.
    results: of all models on all sets.
    tables: by the name under which the template knows them.
    pictures: likewise; None where there is nothing to draw.
    representative: Figure 3, a picture a set.
    failures: of each model on each set.
    cards: a model card each.
    remarks: on the cohorts, by set.
  """

  title: str
  created: str
  version: str
  results: Results
  tables: dict[str, Table]
  pictures: dict[str, Picture | None]
  representative: list[Picture]
  failures: list[Failures]
  cards: list[ModelCard]
  remarks: dict[str, str]


def render(content: Content) -> str:
  """The page as HTML."""
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
    autoescape=lambda name: name is None or name.endswith('.html.jinja'),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
  )
  environment.filters |= {'model_name': paper.model_name, 'set_name': paper.set_name}
  environment.tests['number_like'] = lambda cell: re.match(r'[<−]?\d[\d.,]*( \(|†|$)', cell)
  galleries = _galleries(content)
  films = [film for gallery in galleries for film in gallery['films']]
  return environment.get_template('page.html.jinja').render(
    content=content,
    tables=content.tables,
    pictures=content.pictures,
    notice=NOTICE,
    sections=_SECTIONS,
    highlights=_highlights(content),
    simulated=list(filter(content.results.is_simulated, content.results.test_sets)),
    galleries=galleries,
    gallery_models=list(dict.fromkeys(film.model for film in films)),
    gallery_sets=list(dict.fromkeys(film.test_set for film in films)),
    suspect_films=_suspect_films(content),
    filled=content.tables['checklists'].numbers['filled'].value_counts().to_dict(),
    intended_use=INTENDED_USE,
    limits=LIMITS,
  )


def _highlights(content: Content) -> list[dict[str, str]]:
  """The best model of each set, and how far the next one is behind."""
  pairs = content.tables.get('pairs')
  cards = []
  for test_set, block in content.tables['performance'].numbers.groupby('set', sort=False):
    ranked = block.dropna(subset='auc').sort_values('auc', ascending=False)
    counted = f'{block["images"].max():,} radiographs, {block["nodule"].max():,} with nodule.'
    card = {
      'set': paper.set_name(str(test_set)),
      'auc': 'no AUC',
      'interval': '',
      'model': 'not estimable here',
      'remark': counted,
    }
    if len(ranked):
      best = ranked.iloc[0]
      value, _, interval = estimate(best, 'auc').partition(' ')
      card |= {'auc': f'AUC {value}', 'interval': interval}
      card['model'] = paper.model_name(best['model'])
    if len(ranked) > 1 and pairs:
      of_set = pairs.numbers[pairs.numbers['set'] == test_set]
      card['remark'] += _ahead(of_set, best['model'], ranked.iloc[1]['model'])
    cards.append(card)
  return cards


def _ahead(pairs: pd.DataFrame, best: str, second: str) -> str:
  both = pairs[pairs[['model_a', 'model_b']].isin([best, second]).all(axis=1)]
  if both.empty:
    return ''
  pair = both.iloc[0]
  return (
    f' Ahead of {paper.model_name(second)} by {decimals(abs(pair["auc_difference"]), 3)}, '
    f'P {p_value(pair["p_holm"])} (Holm).'
  )


def _galleries(content: Content) -> list[dict[str, Any]]:
  """The worst failures of each model on each set, where there are pictures of them."""
  galleries = []
  for of_model in content.failures:
    evaluation = of_model.evaluation
    chosen = {'miss': of_model.misses, 'false alarm': of_model.false_alarms}
    films = [
      film(content.results, evaluation, image_id, kind)
      for kind, cases in chosen.items()
      for image_id in cases.index[:FILMS]
    ]
    shown = [picture for picture in films if picture is not None]
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
