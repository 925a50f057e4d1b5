"""Model cards: what each model is, what it was tested on, and its use and limits.

After Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
"""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from nodulax import NOTICE
from nodulax.report import paper
from nodulax.report.results import Evaluation, Results
from nodulax.report.table import estimate

NOT_RECORDED = 'not recorded by this evaluation'
INTENDED_USE = (
  f'{NOTICE} Intended for researchers who study how training labels shape the detection of '
  'pulmonary nodules and masses on frontal chest radiographs of adults.'
)
LIMITS = (
  'It scores only nodules and masses; a low score does not clear a radiograph.',
  'Not meant for children or lateral radiographs; not tested prospectively or with readers.',
  'Sets with as many normal as nodule radiographs do not represent a clinic: predictive values and '
  'calibration do not carry over to another prevalence.',
  'Heat maps show where the score comes from, not where a nodule ends.',
  'Intervals cover the choice of radiographs, not the spread between training seeds.',
)


@dataclasses.dataclass(frozen=True)
class ModelCard:
  """A model card.

  Attributes:
    model: the model's name.
    facts: (what, its value), in order.
    performance: (set, AUC with interval, SHA-256 of the predictions, SHA-256 of the shards).
    config: every option of the run, dotted, with its value.
  """

  model: str
  facts: list[tuple[str, str]]
  performance: list[tuple[str, str, str, str]]
  config: list[tuple[str, str]]


def model_cards(results: Results, numbers: pd.DataFrame) -> list[ModelCard]:
  """Makes a card for each model.

  Args:
    results: evaluations of all models on all sets.
    numbers: `performance` of the results.
  """
  rows = {(row['model'], row['set']): row for _, row in numbers.iterrows()}
  return [_card(model, results.of(model), rows) for model in results.models]


def _card(model: str, evaluations: list[Evaluation], rows: dict) -> ModelCard:
  first = evaluations[0]
  from_nodulax = first.folder is not None
  provenance = first.provenance
  threshold = f'{first.threshold:.4f}' if first.threshold >= 0 else 'none was given'
  facts = [
    ('Kind', 'nodulax network' if from_nodulax else "another tool's predictions, as given"),
    ('Threshold for abnormal', threshold),
  ]
  if from_nodulax:
    facts += [
      ('Run', str(first.metrics.get('run', NOT_RECORDED))),
      ('Training seed', 'not recorded' if first.seed is None else str(first.seed)),
      ('Training steps', str(first.metrics.get('step', NOT_RECORDED))),
      ('Threshold chosen on', _tune(first.metrics)),
      ('Heat map threshold', _heat_map_threshold(first.metrics)),
      ('Code version', str(provenance.get('code_version', NOT_RECORDED))),
    ]
  return ModelCard(
    model=model,
    facts=facts,
    performance=[
      (
        paper.set_name(evaluation.test_set),
        estimate(rows[model, evaluation.test_set], 'auc'),
        evaluation.sha256,
        str(evaluation.provenance.get('data_sha256', NOT_RECORDED)),
      )
      for evaluation in evaluations
    ],
    config=list(_options(provenance.get('config') or {})),
  )


def _tune(metrics: dict[str, Any]) -> str:
  images, auc = metrics.get('tune_images'), metrics.get('tune_auc')
  if images is None or auc is None:
    return 'the tune split (Youden)'
  return f'{images:,} radiographs of the tune split (Youden), AUC there {auc:.3f}'


def _heat_map_threshold(metrics: dict[str, Any]) -> str:
  threshold = metrics.get('heat_map_threshold')
  if threshold is None:
    return NOT_RECORDED
  relative = '' if threshold['of'] == '1' else f' of {threshold["of"]}'
  return f'{threshold["value"]:.2f}{relative}; located tune images: {threshold["tune_images"]}'


def _options(config: Any, prefix: str = '') -> Iterator[tuple[str, str]]:
  """('optimizer.learning_rate', '0.0001') and so on."""
  for name, value in config.items():
    if isinstance(value, dict):
      yield from _options(value, f'{prefix}{name}.')
    else:
      # A path may hold a name, or the name of a machine: its last part is enough.
      yield prefix + name, re.split(r'[/\\]', str(value).rstrip('/\\'))[-1]
