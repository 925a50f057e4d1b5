"""nodulax finds lung nodules on chest radiographs. For research, not a medical device.

import nodulax
model = nodulax.load()
prediction = model('chest.dcm')
prediction.probability, prediction.findings, prediction.show()
nodulax.evaluate(model, 'shards/gmc_nodule')
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from nodulax.models import Evaluation, Model, Prediction, load

__all__ = ['NOTICE', 'Evaluation', 'Model', 'Prediction', 'load']

# XLA heeds TensorFlow's variable: its warnings are not for the user.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

NOTICE = 'For research. Not a medical device.'


def __getattr__(name: str) -> Any:
  """Imports what takes JAX along only when it is asked for."""
  if name in __all__:
    return getattr(importlib.import_module('nodulax.models'), name)
  if name == 'evaluate':
    return importlib.import_module('nodulax.evaluate')
  raise AttributeError(f'module nodulax has no attribute {name!r}')
