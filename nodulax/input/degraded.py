"""A training set made worse on purpose, to measure what labels and numbers are worth."""

import dataclasses

import numpy as np

from nodulax.errors import OptionError
from nodulax.input.prepared import Prepared
from nodulax.input.shards import Case


def reduced(prepared: Prepared, count: int, seed: int) -> Prepared:
  """`count` radiographs of a split drawn by seed, half of them with nodules as far as there are.

  A smaller draw of the same seed is part of a larger one.

  Raises:
    ValueError: the split has fewer radiographs.
  """
  if not 0 < count <= len(prepared):
    raise OptionError(
      f'{prepared.name}: the split {prepared.split} has {len(prepared)} radiographs, not {count}; '
      'change --config.data.train_images'
    )
  order = np.random.default_rng([seed, 0]).permutation(len(prepared))
  labels = np.array([prepared.cases[index].label for index in order])
  nodules, normals = order[labels == 1], order[labels == 0]
  wanted = min(max(count // 2, count - len(normals)), len(nodules))
  chosen = np.sort([*nodules[:wanted], *normals[: count - wanted]])
  return prepared.subset(chosen.tolist())


def mislabelled(prepared: Prepared, rate: float, seed: int) -> Prepared:
  """The same radiographs, `rate` of those of either class with the other class's label.

  A nodule that becomes normal loses its location; a normal that becomes a nodule has none. The
  wrong labels of a lower rate stay wrong at a higher one of the same seed.

  Raises:
    ValueError: the rate does not lie in [0, 1].
  """
  if not 0 <= rate <= 1:
    raise OptionError(f'config.data.label_noise is {rate}; it must lie between 0 and 1')
  cases = list(prepared.cases)
  for label in (0, 1):
    of_class = [index for index, case in enumerate(prepared.cases) if case.label == label]
    order = np.random.default_rng([seed, 1, label]).permutation(of_class)
    for index in order[: round(rate * len(of_class))]:
      cases[index] = _turned(cases[index])
  return dataclasses.replace(prepared, cases=cases, folder=None)


def _turned(case: Case) -> Case:
  return dataclasses.replace(case, label=1 - case.label, location_known=case.label == 1, boxes=())
