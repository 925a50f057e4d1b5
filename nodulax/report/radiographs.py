"""Radiographs with heat maps: representative ones for a figure, and films to enlarge."""

import base64
import dataclasses

import cv2
import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from nodulax.report import paper
from nodulax.report.drawing import STYLE, Picture, finish, heading
from nodulax.report.results import UNKNOWN, Evaluation, Results
from nodulax.report.table import decimals

OPACITY = 0.65  # of the colour where the heat map is 1; clear where it is 0
TRUTH_COLOUR = '#40E060'
MOST_BYTES = 4 << 20  # of a picture that is read
_QUARTILES = (0.25, 0.5, 0.75)


@dataclasses.dataclass(frozen=True)
class Film:
  """A radiograph to look at, with what to lay over it.

  Attributes:
    kind: such as 'miss'.
    model: model of the heat map.
    test_set: set of the radiograph.
    image_id: id of the radiograph.
    score: the probability that the model gives it.
    facts: what is known about it, in words.
    alternative: what it shows, in words, for those who cannot see it.
    image: as a data URL.
    heat_map: as a data URL with transparency; None where there is none.
    outline: true outline, as an SVG path on `size`; None where it is not known.
    size: (width, height) of the picture that the outline is on.
  """

  kind: str
  model: str
  test_set: str
  image_id: str
  score: str
  facts: str
  alternative: str
  image: str
  heat_map: str | None
  outline: str | None
  size: tuple[int, int]


def film(results: Results, evaluation: Evaluation, image_id: str, kind: str) -> Film | None:
  """Shows a radiograph of a set with a model's heat map; None if there is no picture of it."""
  thumbnail = _of_set(results, evaluation.test_set, 'thumbnails', image_id)
  if thumbnail is None:
    return None
  case = evaluation.cases.loc[image_id]
  truth = _of_set(results, evaluation.test_set, 'truths', image_id) if case['label'] else None
  heat_map = _read(evaluation, 'heat_maps', image_id)
  canvas = thumbnail if truth is None else truth
  label = 'Nodule' if case['label'] else 'Normal'
  return Film(
    kind=kind,
    model=evaluation.model,
    test_set=evaluation.test_set,
    image_id=image_id,
    score=decimals(case['probability']),
    facts=facts(case),
    alternative=(
      f'{label} radiograph {image_id} of {paper.set_name(evaluation.test_set)}, to which '
      f'{paper.model_name(evaluation.model)} gives {case["probability"]:.2f}'
    ),
    image=_url('jpeg', cv2.imencode('.jpg', thumbnail, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]),
    heat_map=None if heat_map is None else _url('png', _translucent(heat_map)),
    outline=None if truth is None else _outline(truth),
    size=(canvas.shape[1], canvas.shape[0]),
  )


def facts(case: pd.Series) -> str:
  """Says what is known about a radiograph."""
  known = [
    f'{case["nodule_diameter_mm"]:.0f} mm' if case['nodule_diameter_mm'] > 0 else '',
    *(str(case[name]).replace('_', ' ') if case[name] != UNKNOWN else '' for name in ('zone',)),
    f'conspicuity {case["conspicuity"]}' if case['conspicuity'] != UNKNOWN else '',
    f'Dice {decimals(case["dice"])}' if case['dice'] >= 0 else '',
    str(case['sex']) if case['sex'] != UNKNOWN else '',
    f'{case["age"]:.0f} years' if case['age'] >= 0 else '',
    str(case['view']) if case['view'] != UNKNOWN else '',
  ]
  return ', '.join(fact for fact in known if fact)


def representative(results: Results, test_set: str) -> Picture | None:
  """Draws truth and each model's heat map for a set; None if there are no pictures.

  Radiographs are chosen by rule, not by eye: the located nodule radiographs at the quartiles of
  Dice, averaged over the models (of probability, where nothing is located), and the normal one of
  median probability.
  """
  evaluations = [evaluation for evaluation in results.on(test_set) if evaluation.folder is not None]
  chosen = _chosen(evaluations) if evaluations else []
  shown = {
    image_id: thumbnail
    for image_id in chosen
    if (thumbnail := _of_set(results, test_set, 'thumbnails', image_id)) is not None
  }
  if not shown:
    return None
  figure = _representative(results, evaluations, shown)
  name = paper.set_name(test_set)
  return finish(
    figure,
    f'figure_radiographs_{results.test_sets.index(test_set) + 1}',
    f'Representative radiographs of {name}',
    'Chosen by rule: nodule radiographs at the quartiles of Dice averaged over the models (of '
    'probability, where nothing is located), and the normal one of median probability. Green: the '
    'true outline, where it is known. Below each heat map: probability and Dice. Where the heat '
    'map is cold, the radiograph shows through.',
    f'{len(shown)} radiographs of {name} with the true outline and the heat map of each model.',
  )


def _representative(
  results: Results, evaluations: list[Evaluation], shown: dict[str, np.ndarray]
) -> Figure:
  """Draws a row for each radiograph, by image_id: its true outline, then each heat map."""
  columns = 1 + len(evaluations)
  with mpl.rc_context(STYLE):
    figure = Figure(figsize=(1.9 * columns + 0.5, 2.05 * len(shown) + 0.5))
    grid = figure.subplots(len(shown), columns, squeeze=False)
    for row, (image_id, thumbnail) in zip(grid, shown.items(), strict=True):
      _with_truth(row[0], results, evaluations[0], image_id, thumbnail)
      for axes, evaluation in zip(row[1:], evaluations, strict=True):
        _with_heat_map(axes, evaluation, image_id, thumbnail)
    for axes in grid.flat:
      axes.set(xticks=[], yticks=[])
      axes.spines[:].set_visible(False)
    heads = ['Radiograph', *(heading(evaluation.model) for evaluation in evaluations)]
    for axes, head in zip(grid[0], heads, strict=True):
      axes.set_title(head, fontsize=7)
    scale = ScalarMappable(
      Normalize(0, 1), ListedColormap(_clear_when_cold(np.linspace(0, 1, 256)))
    )
    bar = figure.colorbar(scale, ax=grid, shrink=min(1, 1.2 / len(shown)), pad=0.02, aspect=14)
    bar.set_label('heat map', fontsize=8)
    bar.set_ticks([0, 0.5, 1])
  return figure


def _with_truth(
  axes: Axes, results: Results, evaluation: Evaluation, image_id: str, thumbnail: np.ndarray
) -> None:
  """Draws a radiograph with its true outline, and says what it is."""
  case = evaluation.cases.loc[image_id]
  truth = _of_set(results, evaluation.test_set, 'truths', image_id)
  axes.imshow(thumbnail, cmap='gray', vmin=0, vmax=255)
  if case['label'] and truth is not None:
    height, width = thumbnail.shape
    edges = (0, width, height, 0)
    axes.contour(truth, [127], colors=TRUTH_COLOUR, linewidths=1.2, extent=edges, origin='upper')
  size = f', {case["nodule_diameter_mm"]:.0f} mm' if case['nodule_diameter_mm'] > 0 else ''
  axes.set_xlabel(('nodule' if case['label'] else 'normal') + size, fontsize=8)


def _with_heat_map(
  axes: Axes, evaluation: Evaluation, image_id: str, thumbnail: np.ndarray
) -> None:
  """Draws a radiograph under a model's heat map, with probability and Dice."""
  heat_map = _read(evaluation, 'heat_maps', image_id)
  if image_id not in evaluation.cases.index or heat_map is None:
    axes.text(0.5, 0.5, 'no heat map', ha='center', transform=axes.transAxes)
    return
  axes.imshow(_overlaid(thumbnail, heat_map))
  case = evaluation.cases.loc[image_id]
  dice = f', Dice {case["dice"]:.2f}' if case['dice'] >= 0 else ''
  axes.set_xlabel(f'{case["probability"]:.2f}{dice}', fontsize=8)


def _chosen(evaluations: list[Evaluation]) -> list[str]:
  """Chooses the radiographs of the figure, the worst found first, a normal one last."""

  def mean(column: str, label: int) -> pd.Series:
    values = [
      evaluation.cases.loc[evaluation.cases['label'] == label, column] for evaluation in evaluations
    ]
    return pd.concat(values, axis=1, join='inner').mean(axis=1).dropna().sort_values()

  def at(values: pd.Series, quantile: float) -> list[str]:
    return [str(values.index[round(quantile * (len(values) - 1))])] if len(values) else []

  ranked = mean('dice', 1)
  if ranked.empty:
    ranked = mean('probability', 1)
  nodules = [image_id for quantile in _QUARTILES for image_id in at(ranked, quantile)]
  return list(dict.fromkeys([*nodules, *at(mean('probability', 0), 0.5)]))


def _of_set(results: Results, test_set: str, kind: str, image_id: str) -> np.ndarray | None:
  """Reads a picture that does not depend on the model, from any evaluation that has it."""
  found = (_read(evaluation, kind, image_id) for evaluation in results.on(test_set))
  return next((picture for picture in found if picture is not None), None)


def _read(evaluation: Evaluation, kind: str, image_id: str) -> np.ndarray | None:
  """Reads a picture u8[H, W]; None if it is missing, damaged or too large."""
  data = evaluation.picture(kind, image_id)
  if not data or len(data) > MOST_BYTES:
    return None
  return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)


def _overlaid(thumbnail: np.ndarray, heat_map: np.ndarray) -> np.ndarray:
  """Returns the radiograph coloured by its heat map: f64[H, W, 3] in [0, 1]."""
  height, width = thumbnail.shape
  heat = cv2.resize(heat_map, (width, height), interpolation=cv2.INTER_LINEAR) / 255
  colours = _clear_when_cold(heat)
  weight = colours[..., 3:]
  return (1 - weight) * (thumbnail[..., np.newaxis] / 255) + weight * colours[..., :3]


def _clear_when_cold(heat: np.ndarray) -> np.ndarray:
  """Returns the colours f64[..., 4] of a heat map, with opacity; clear where it is 0."""
  return mpl.colormaps['inferno'](heat, alpha=OPACITY * heat)


def heat_colours() -> str:
  """Returns the colours of heat maps from 0 to 1, as a gradient in CSS."""
  stops = [mpl.colors.to_hex(colour, keep_alpha=True)
           for colour in _clear_when_cold(np.linspace(0, 1, 9))]  # fmt: skip
  return f'linear-gradient(to right, {", ".join(stops)})'


def _translucent(heat_map: np.ndarray) -> np.ndarray:
  """Returns the heat map as PNG bytes, clear where it is 0; a browser enlarges it."""
  blue_first = (_clear_when_cold(heat_map / 255)[..., [2, 1, 0, 3]] * 255).round().astype(np.uint8)
  return cv2.imencode('.png', blue_first)[1]


def _outline(truth: np.ndarray) -> str | None:
  """Returns the outlines of the nodules as an SVG path on the picture's pixels."""
  mask = (truth >= 128).astype(np.uint8)
  contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
  parts = [
    'M' + 'L'.join(f'{x + 0.5:g} {y + 0.5:g}' for x, y in contour.reshape(-1, 2)) + 'Z'
    for contour in contours
  ]
  return ' '.join(parts) or None


def _url(kind: str, data: np.ndarray) -> str:
  return f'data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode()}'
