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
from nodulax.report.seeds import agreement, spreads
from nodulax.report.table import Table, decimals, estimate, p_value

FILMS = 6  # of each kind of failure, model and set
SUSPECT_FILMS = 6  # for each set

# '0.91', '<0.001', '0.91 (0.88–0.93)', '0.86–0.90', '−0.02 to 0.03': not to be broken over lines.
_NUMBER = re.compile(r'[<−]?\d[\d.,]*( \(| to |–\d|†|$)')

_SECTIONS = (
  ('summary', 'At a glance'),
  ('questions', 'The two questions'),
  ('cohorts', 'Cohorts'),
  ('performance', 'Performance'),
  ('seeds', 'Training seeds'),
  ('sweeps', 'What was varied'),
  ('true_labels', 'True labels'),
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
  environment.tests['number_like'] = _NUMBER.match
  galleries = _galleries(content)
  films = [film for gallery in galleries for film in gallery['films']]
  return environment.get_template('page.html.jinja').render(
    content=content,
    tables=content.tables,
    pictures=content.pictures,
    notice=NOTICE,
    sections=_sections(content),
    one_run=_one_run(content.results),
    noisy=[
      paper.set_name(name) for name in content.results.test_sets if content.results.true_of(name)
    ],
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


def _sections(content: Content) -> list[tuple[str, str]]:
  """The sections of which there is something to show: their anchors and names."""
  needs = {
    'questions': ('questions',),
    'seeds': ('seeds',),
    'sweeps': ('label_noise', 'training_images'),
    'true_labels': ('true_labels',),
  }
  return [
    (anchor, name)
    for anchor, name in _SECTIONS
    if anchor not in needs or any(table in content.tables for table in needs[anchor])
  ]


def _one_run(results: Results) -> str:
  """What the tables and figures of the models rest on, in a sentence."""
  if not results.repeats:
    return (
      'Each model was trained once. Another training seed would give other numbers, of which '
      'intervals and P values know nothing: a small difference between two models may be the '
      "training's."
    )
  first = {results.of(model)[0].seed for model in results.repeats}
  which = f'seed {first.pop()}' if len(first) == 1 else 'the first seed'
  return (
    f'Tables and figures show one training run of each model ({which}). The others are in Table 3 '
    'and Figure S1; a claim about the models needs them.'
  )


def _highlights(content: Content) -> list[dict[str, str]]:
  """The best model of each set, by the mean over its seeds, and how far the next one is behind."""
  over_seeds = spreads(content.tables['seeds'].numbers) if 'seeds' in content.tables else None
  cards = []
  for test_set, block in content.tables['performance'].numbers.groupby('set', sort=False):
    best_first = block.assign(mean=block['auc']).set_index('model', drop=False)
    if over_seeds is not None:
      of_set = over_seeds[over_seeds['set'] == test_set].set_index('model')
      best_first['mean'] = of_set['auc_mean'].reindex(best_first.index).fillna(best_first['mean'])
    ranked = best_first.dropna(subset='mean').sort_values('mean', ascending=False)
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
      if over_seeds is not None and best['model'] in of_set.index:
        runs = of_set.loc[best['model']]
        card['auc'] = f'AUC {decimals(runs["auc_mean"])}'
        card['interval'] = (
          f'(mean of {runs["runs"]} seeds, {decimals(runs["auc_lowest"])}–'
          f'{decimals(runs["auc_highest"])})'
        )
    if len(ranked) > 1:
      card['remark'] += _ahead(content, str(test_set), best['model'], ranked.iloc[1]['model'])
    cards.append(card)
  return cards


def _ahead(content: Content, test_set: str, best: str, second: str) -> str:
  """How far the best model is ahead of the next one, over the seeds where there are several."""

  def pair(table: pd.DataFrame) -> pd.Series | None:
    rows = table[
      (table['set'] == test_set) & table[['model_a', 'model_b']].isin([best, second]).all(axis=1)
    ]
    return None if rows.empty else rows.iloc[0]

  name = paper.model_name(second)
  seed_pairs, pairs = content.tables.get('seed_pairs'), content.tables.get('pairs')
  of_seeds = pair(agreement(seed_pairs.numbers)) if seed_pairs else None
  if of_seeds is not None:
    ahead = of_seeds['a_ahead' if of_seeds['model_a'] == best else 'b_ahead']
    return (
      f' Ahead of {name} in {ahead} of {of_seeds["seeds"]} seeds, by '
      f'{decimals(abs(of_seeds["auc_difference_mean"]), 3)} on average.'
    )
  of_run = pair(pairs.numbers) if pairs else None
  if of_run is None:
    return ''
  return (
    f' Ahead of {name} by {decimals(abs(of_run["auc_difference"]), 3)}, '
    f'P {p_value(of_run["p_holm"])} (Holm), one training run each.'
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
