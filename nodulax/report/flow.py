"""The cohort flow diagram: from the archive through the exclusions to the splits."""

import textwrap
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nodulax.report import paper
from nodulax.report.cohorts import cohort_of
from nodulax.report.drawing import STYLE, Picture, finish, panel_letters
from nodulax.report.results import Results

_LINE = 0.165  # inches that a line of text takes
_WIDTH = 4.4  # inches of a set's diagram
_MOST_RULES = 10
_BOX: dict[str, Any] = {'boxstyle': 'square,pad=0.45', 'fc': 'white', 'ec': '#566172', 'lw': 0.8}
_ARROW: dict[str, Any] = {'arrowstyle': '-|>', 'color': '#566172', 'lw': 0.8}


def flow_figure(results: Results) -> Picture | None:
  """Draws a diagram for each set whose builder counted its cohort; None if none did."""
  cohorts = {test_set: cohort_of(results, test_set) for test_set in results.sources}
  cohorts = {test_set: cohort for test_set, cohort in cohorts.items() if cohort}
  if not cohorts:
    return None
  boxes = {test_set: _texts(results, test_set, cohort) for test_set, cohort in cohorts.items()}
  height = max(sum(map(_lines, texts)) for texts in boxes.values()) * _LINE + 1.9
  columns = min(2, len(boxes))
  rows = -(-len(boxes) // columns)
  letters = panel_letters(results.test_sets)
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(_WIDTH * columns, height * rows))
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, (test_set, texts) in zip(grid, boxes.items(), strict=False):
      axes.set_title(f'{letters[test_set]}  {paper.set_name(test_set)}')
      _draw(axes, texts, height - 0.3)
    for axes in grid[len(boxes) :]:
      axes.remove()
  return finish(
    figure,
    'figure_flow',
    'Flow of radiographs into each set',
    'What was read from the archive, what was excluded, the cohort and its splits. The '
    'numbers of every rule are in the appendix.',
    '; '.join(
      f'{paper.set_name(test_set)}: ' + ', then '.join(text.replace('\n', ', ') for text in texts)
      for test_set, texts in boxes.items()
    )
    + '.',
  )


def _texts(results: Results, test_set: str, cohort: dict[str, Any]) -> tuple[str, str, str, str]:
  """The words of the four boxes: read, excluded, cohort, splits."""
  read = [f'{count:,} {noun} read' for noun, count in cohort.get('read', {}).items()]
  rules = [f'{count:,} {rule}' for rule, count in cohort.get('excluded', {}).items() if count]
  if len(rules) > _MOST_RULES:
    rules = [*rules[: _MOST_RULES - 1], f'and {len(rules) - _MOST_RULES + 1} other rules']
  excluded = [line for rule in rules for line in textwrap.wrap(rule, 30, subsequent_indent='   ')]
  splits = [f'{name}: {_counted(counts)}' for name, counts in cohort['splits'].items()]
  tested = results.on(test_set)[0].metrics.get('split', 'split unknown')
  cases = results.cases(test_set)
  splits.append(f'evaluated here ({tested}): {len(cases):,}')
  return (
    '\n'.join(read or ['read: not recorded']),
    '\n'.join(['Excluded:', *excluded] if excluded else ['Excluded: none']),
    f'Cohort: {_counted(cohort["cohort"])}\n{cohort["cohort"]["patients"]:,} patients',
    '\n'.join(splits),
  )


def _counted(counts: dict[str, int]) -> str:
  return f'{counts["nodule"]:,} nodule, {counts["normal"]:,} normal'


def _lines(text: str) -> int:
  return text.count('\n') + 1


def _draw(axes: Axes, texts: tuple[str, str, str, str], height: float) -> None:
  """Draws the boxes in a column, except the exclusions, which are drawn at the side."""
  axes.set(xlim=(0, 1), ylim=(-height, 0))
  axes.axis('off')
  gap, left, right = 0.42, 0.02, 0.44
  read, excluded, cohort, splits = texts
  top = 0.0
  tops = []
  for text in (read, excluded, cohort, splits):
    tops.append(top - 0.1)
    top -= _lines(text) * _LINE + gap
  for text, place, start in zip(texts, tops, (left, right, left, left), strict=True):
    axes.text(start + 0.02, place, text, va='top', fontsize=8, linespacing=1.3, bbox=_BOX)
  stem = left + 0.12
  for above, from_top, to_top in ((read, tops[0], tops[2]), (cohort, tops[2], tops[3])):
    start = from_top - _lines(above) * _LINE - 0.06
    axes.annotate('', (stem, to_top + 0.06), (stem, start), arrowprops=_ARROW)
  middle = tops[1] - _lines(excluded) * _LINE / 2
  axes.annotate('', (right, middle), (stem, middle), arrowprops=_ARROW)
