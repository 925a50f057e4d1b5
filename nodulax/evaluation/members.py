"""Networks that answer together: their mean answer, and its spread."""

import dataclasses
import hashlib
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath
from rich.progress import track

from nodulax.checkpoints import checkpoint, networks
from nodulax.checkpoints.description import Description
from nodulax.distributed import hosts, inference, parallel
from nodulax.errors import OptionError
from nodulax.input.batches import Batch, evaluation_batches
from nodulax.input.prepared import Prepared
from nodulax.statistics import roc
from nodulax.storage import folders


@dataclasses.dataclass(frozen=True)
class Member:
  """A training run, and the description of its best network."""

  run: epath.Path
  description: Description


@dataclasses.dataclass(frozen=True)
class Answers:
  """Answers of M members for N radiographs.

  Attributes:
    each: f64[M, N], the probabilities.
    heat_maps: f32[N, h, w], their mean.
  """

  each: np.ndarray
  heat_maps: np.ndarray

  @property
  def probability(self) -> np.ndarray:
    """f64[N], the mean."""
    return self.each.mean(axis=0)

  @property
  def spread(self) -> np.ndarray | None:
    """f64[N], the standard deviation over the members; None for a single one."""
    return self.each.std(axis=0, ddof=1) if len(self.each) > 1 else None


def read_members(runs: Sequence[str | os.PathLike]) -> list[Member]:
  """Reads the descriptions of the runs.

  Raises:
    CheckpointError: there is no such run.
    OptionError: they prepare radiographs differently.
  """
  fetched = [folders.fetch(run, only=checkpoint.NEEDED) for run in runs]
  members = [Member(run, checkpoint.describe(run)) for run in fetched]
  first = members[0].description.preprocessing
  for number, member in enumerate(members[1:], 1):
    if any(member.description == other.description for other in members[:number]):
      raise OptionError(f'{member.run}: the same network twice; name each once')
    if member.description.preprocessing != first:
      raise OptionError(
        f'{members[0].run} and {member.run} prepare radiographs differently; networks that '
        'answer together must share config.preprocessing'
      )
  return members


def described(members: Sequence[Member]) -> Description:
  """Describes all members as one network, whose thresholds are their mean.

  It is not calibrated: the mean of calibrated probabilities is not calibrated.
  """
  first = members[0].description
  if len(members) == 1:
    return first
  each = [member.description for member in members]
  thresholds = [description.thresholds for description in each]
  heat_map = dataclasses.replace(
    first.thresholds.heat_map, value=_mean(part.heat_map.value for part in thresholds)
  )
  if len({part.heat_map.relative for part in thresholds}) > 1:
    raise OptionError('the heat map thresholds of these networks are of different kinds')
  digest = hashlib.sha256(''.join(part.weights_sha256 for part in each).encode())
  return dataclasses.replace(
    first,
    name=' + '.join(part.name for part in each),
    step=max(part.step for part in each),
    weights_sha256=digest.hexdigest(),
    thresholds=dataclasses.replace(
      first.thresholds,
      probability=_mean(part.probability for part in thresholds),
      heat_map=heat_map,
      tune_auc=_mean(part.tune_auc for part in thresholds),
      temperature=None,
      specificity_90=_mean_if_known([part.specificity_90 for part in thresholds]),
    ),
    seen=next((part.seen for part in each if part.seen), ''),
  )


def answers(
  members: Sequence[Member], prepared: Prepared, batch_size: int, *, flip: bool, title: str
) -> Answers:
  """Runs every member on every radiograph, on all devices.

  Args:
    members: networks that prepare radiographs alike.
    prepared: the split.
    batch_size: radiographs at a time, over all hosts.
    flip: also reads the mirrored radiographs, and averages both answers.
    title: title of the progress report.

  Raises:
    OptionError: their heat maps are of different sizes.
  """
  devices = parallel.devices()
  size = inference.rounded_up(batch_size, devices)
  each: list[np.ndarray] = []
  heat_maps: list[np.ndarray] = []
  for number, member in enumerate(members, 1):
    network, variables = networks.load_network(member.run)
    predictor = inference.Predictor(network, devices)
    replicated = parallel.replicate(variables, devices)
    of = f' ({number} of {len(members)})' if len(members) > 1 else ''
    asked = []
    for mirrored in (False, True) if flip else (False,):
      batches: Iterable[Batch] = track(
        evaluation_batches(prepared, size, jax.process_index(), jax.process_count()),
        title + of + (', mirrored' if mirrored else ''),
        total=math.ceil(len(prepared) / size),
        disable=not hosts.is_first(),
      )
      probability, heat = predictor(replicated, _mirrored(batches) if mirrored else batches)
      asked.append((probability, heat[:, :, ::-1] if mirrored else heat))
    each.append(np.mean([probability for probability, _ in asked], axis=0))
    heat_maps.append(np.mean([heat for _, heat in asked], axis=0))
  if len({maps.shape for maps in heat_maps}) > 1:
    raise OptionError('the heat maps of these networks are of different sizes')
  return Answers(np.stack(each), np.mean(heat_maps, axis=0))


def against_the_best(
  members: Sequence[Member], labels: np.ndarray, patients: Sequence[str], found: Answers
) -> dict[str, Any]:
  """Compares the members' mean with the best of them on the same radiographs, for JSON.

  The best is chosen on these radiographs, which favours it. What cannot be estimated is None.
  """
  areas = [roc.auc(labels, probability) for probability in found.each]
  best = int(np.argmax(areas))
  test = roc.delong_test(labels, found.probability, found.each[best], patients)
  spread = found.spread
  return {
    'members': [
      {'run': member.description.name, 'auc': area}
      for member, area in zip(members, areas, strict=True)
    ],
    'mean_spread': None if spread is None else float(spread.mean()),
    'minus_best': {
      'run': members[best].description.name,
      'value': test.difference,
      'low': _known(test.interval[0]),
      'high': _known(test.interval[1]),
      'p': _known(test.p_value),
    },
  }


def _mirrored(batches: Iterable[Batch]) -> Iterator[Batch]:
  for batch in batches:
    yield {**batch, 'image': np.ascontiguousarray(batch['image'][:, :, ::-1])}


def _known(number: float) -> float | None:
  """Replaces NaN, which JSON does not have, by None."""
  return None if math.isnan(number) else number


def _mean(values: Iterable[float]) -> float:
  return float(np.mean(list(values)))


def _mean_if_known(values: Sequence[float | None]) -> float | None:
  known = [value for value in values if value is not None]
  return _mean(known) if len(known) == len(values) else None
