"""The metrics of a trained network's evaluations."""

import json
from typing import Any

from etils import epath

from nodulax.checkpoints import shipped

Metrics = dict[str, Any]  # as in metrics.json: `split`, `images` and `auc` are used here


def evaluations(run: epath.PathLike) -> dict[str, Metrics]:
  """The metrics of each set that a network was evaluated on, by the set's name.

  Args:
    run: the workdir of a training run, or 'nodulax' for the bundled network.
  """
  if str(run) == shipped.NAME:
    return shipped.evaluations()
  files = sorted((epath.Path(run) / 'evaluation').glob('*/metrics.json'))
  return {path.parent.name: json.loads(path.read_text()) for path in files}


def shown(auc: dict[str, Any] | None) -> str:
  """An AUC with its 95 % interval, for people to read."""
  if auc is None:
    return 'none, for lack of positive or of negative radiographs'
  interval = '' if auc['low'] is None else f' ({auc["low"]:.2f} to {auc["high"]:.2f})'
  return f'{auc["value"]:.2f}{interval}'
