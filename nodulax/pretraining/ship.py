"""Writes a trained network as the one bundled with nodulax."""

import dataclasses
import json
import os
import pathlib

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import save

from nodulax.checkpoints import checkpoint, networks, shipped
from nodulax.files import whole_file


def ship(run: str | os.PathLike, folder: str | os.PathLike) -> None:
  """Writes weights.safetensors, in float16, and description.json, as `shipped` reads them.

  Args:
    run: the workdir of the training run whose best network is written.
    folder: folder to write, that of `shipped` or another to check first.

  Raises:
    CheckpointError: there is no such run.
  """
  _, variables = networks.load_network(run)
  halves = {
    name: np.asarray(array, np.float16) for name, array in flatten_dict(variables, sep='/').items()
  }
  # The digest is of the weights as they will be used.
  used = unflatten_dict({name: array.astype(np.float32) for name, array in halves.items()}, sep='/')
  description = dataclasses.replace(
    checkpoint.describe(run), name=shipped.NAME, weights_sha256=checkpoint.digest(used)
  )
  folder = pathlib.Path(folder)
  text = json.dumps(description.to_json(), indent=2, allow_nan=False)
  with whole_file(folder / 'weights.safetensors') as weights:
    weights.write_bytes(save(halves))
  with whole_file(folder / 'description.json') as described:
    described.write_text(text + '\n')
  with whole_file(folder / 'evaluations.json') as measured:
    measured.write_text('{}\n')  # nothing is known of this one yet
