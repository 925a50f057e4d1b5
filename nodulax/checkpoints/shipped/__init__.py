"""The network bundled with nodulax: weights in float16 and their description, beside this file.

`nodulax.pretrain` trained it. Wherever a run is named, `nodulax` names this network.
"""

import json
import pathlib
from typing import Any

import numpy as np
from flax.traverse_util import unflatten_dict
from safetensors.numpy import load_file

from nodulax.checkpoints.description import Description

NAME = 'nodulax'
_FOLDER = pathlib.Path(__file__).parent


def description() -> Description:
  """The description of the bundled network."""
  return Description.from_json(json.loads((_FOLDER / 'description.json').read_text()))


def evaluations() -> dict[str, Any]:
  """The results of the bundled network on real radiographs, by set, as in docs/network.md."""
  return json.loads((_FOLDER / 'evaluations.json').read_text())


def variables() -> dict[str, Any]:
  """The bundled network's weights and running statistics, in float32."""
  arrays = load_file(_FOLDER / 'weights.safetensors')
  return unflatten_dict({name: array.astype(np.float32) for name, array in arrays.items()}, sep='/')
