"""The weights that a network starts from: a published DenseNet, or another network of nodulax."""

import os
import pathlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from nodulax.errors import NodulaxError
from nodulax.model.weight_files import read_arrays

# A network's variables as Flax holds them: {'params': ..., 'batch_stats': ...}.
Variables = dict[str, Any]

PUBLISHED = """\
  densenet{121,169,201}_weights_tf_dim_ordering_tf_kernels[_notop].h5
    https://storage.googleapis.com/tensorflow/keras-applications/densenet/
  densenet121-a639ec97.pth, densenet169-b2777c0a.pth, densenet201-c1103571.pth
    https://download.pytorch.org/models/
  model.safetensors
    https://huggingface.co/timm/densenet121.tv_in1k (and 169, 201)"""


class WeightsError(NodulaxError):
  """Weights do not fit the network; the message says what does not fit, and what would."""


class Report(NamedTuple):
  """What became of the arrays, each named `collection/module/.../array`.

  Attributes:
    taken: arrays of the network that came from the source.
    new: arrays of the network that stay as initialised.
    unused: arrays of the source, by its own names, that the network has no place for.
  """

  taken: tuple[str, ...]
  new: tuple[str, ...]
  unused: tuple[str, ...]

  def __str__(self) -> str:
    return '; '.join(f'{title}: {_outline(names)}' for title, names in self._asdict().items())


def _outline(names: Iterable[str]) -> str:
  """The modules of arrays, without layer numbers, each with its count of arrays."""
  modules = [re.sub(r'^(params|batch_stats)/', '', name).split('/')[:2] for name in names]
  counts = Counter(re.sub(r'\d+', '*', '/'.join(module)) for module in modules)
  return ', '.join(f'{module} ({count})' for module, count in counts.items()) or 'nothing'


KERAS_WEIGHT = {
  'kernel': 'params/{}/kernel',
  'gamma': 'params/{}/scale',
  'beta': 'params/{}/bias',
  'moving_mean': 'batch_stats/{}/mean',
  'moving_variance': 'batch_stats/{}/var',
}
TORCH_NORM_WEIGHT = {
  'weight': 'params/{}/scale',
  'bias': 'params/{}/bias',
  'running_mean': 'batch_stats/{}/mean',
  'running_var': 'batch_stats/{}/var',
}

# Keras names the stem's layers conv1_conv, or conv1/conv in older files.
KERAS_NAME = re.compile(
  r'(?:.*?/)??(?:(?P<stem>conv1)[_/]|conv(?P<block>\d+)_block(?P<layer>\d+)_(?P<index>[012])_'
  r'|pool(?P<transition>\d+)_)?(?P<kind>conv|bn)/(?P<weight>\w+)'
)
# torchvision's published files say norm.1 where its code says norm1.
TORCH_NAME = re.compile(
  r'(?:.*\.)?features\.(?:denseblock(?P<block>\d+)\.denselayer(?P<layer>\d+)\.'
  r'|transition(?P<transition>\d+)\.)?(?P<kind>conv|norm)\.?(?P<index>[0125]?)\.(?P<weight>\w+)'
)


def _from_keras(name: str) -> str | None:
  """The name here of an array of a Keras DenseNet; None if it has none."""
  if not (match := KERAS_NAME.fullmatch(name)) or match['weight'] not in KERAS_WEIGHT:
    return None
  kind = 'norm' if match['kind'] == 'bn' else 'conv'
  if match['stem']:
    module = f'stem_{kind}'
  elif match['block']:
    # Blocks count from conv2; 0_bn, 1_conv, 1_bn, 2_conv are norm1, conv1, norm2, conv2.
    index = int(match['index']) + (kind == 'norm')
    module = f'block{int(match["block"]) - 1}_layer{match["layer"]}/{kind}{index}'
  elif match['transition']:
    module = f'transition{int(match["transition"]) - 1}_{kind}'
  else:
    module = f'final_{kind}'
  return KERAS_WEIGHT[match['weight']].format(f'backbone/{module}')


def _from_torch(name: str) -> str | None:
  """The name here of an array of a torchvision or timm DenseNet; None if it has none."""
  if not (match := TORCH_NAME.fullmatch(name)):
    return None
  kind, index = match['kind'], match['index']
  if match['block']:
    module = f'block{match["block"]}_layer{match["layer"]}/{kind}{index}'
  elif match['transition']:
    module = f'transition{match["transition"]}_{kind}'
  else:
    module = f'{"stem" if index == "0" else "final"}_{kind}'
  weights = {'weight': 'params/{}/kernel'} if kind == 'conv' else TORCH_NORM_WEIGHT
  weight = weights.get(match['weight'])
  return weight and weight.format(f'backbone/{module}')


def _fit(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """Brings a published array into the shape that it has here, if possible."""
  if len(shape) == 4 and array.ndim == 4 and shape[2] == 1 < array.shape[2]:
    array = array.sum(2, keepdims=True)
  if array.shape == (1, 1, *shape):
    array = array[0, 0]
  return array


def load_published(path: str | os.PathLike[str], variables: Variables) -> tuple[Variables, Report]:
  """Starts a network's backbone from a published DenseNet.

  Reads what Keras (.h5 with or without top, .weights.h5, .keras), torchvision (.pth) and timm
  (.safetensors) write. Squeeze-and-excitation and the sub-network stay as they are.

  The network sees one grey channel. A stem for three channels is summed over them, which is exact
  for a grey image that is repeated three times under one mean and one standard deviation. The
  published networks were trained with a mean and a deviation for each colour; their deviations
  differ by two percent (0.224 to 0.229 on [0, 1]), their means by a third of a deviation (0.406 to
  0.485). The network keeps its own mean and deviation, those of the radiographs it trains on.

  Args:
    path: the file; its suffix gives its kind.
    variables: variables of a `Network`.

  Returns:
    The new variables, and what was taken, new and unused.

  Raises:
    FileNotFoundError: there is no such file. The message says which files fit.
    WeightsError: the file is of another architecture, damaged, or of an unknown kind.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(
      f'{path} is missing. These published files hold ImageNet weights that fit:\n{PUBLISHED}'
    )
  try:
    arrays = read_arrays(path)
  except ValueError as error:
    raise WeightsError(str(error)) from error
  target = flatten_dict(variables, sep='/')
  found: dict[str, np.ndarray] = {}
  unused = []
  for name, array in arrays.items():
    if here := _from_torch(name):
      array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
    else:
      here = _from_keras(name)
    if here is None:
      unused.append(name)
    elif here in found:
      raise WeightsError(f'{path} holds two arrays for {here}; keep one network in the file')
    else:
      found[here] = _fit(array, target[here].shape) if here in target else array
  wanted = {name for name in target if '/backbone/' in name and '_excitation/' not in name}
  if faults := _faults(found, {name: target[name].shape for name in wanted}):
    raise WeightsError(
      f'{path} does not fit: it holds {_architecture(found)}, and the network is '
      f'{_architecture(wanted)}. {len(faults)} faults, the first: {"; ".join(faults[:5])}. '
      f'These published files fit:\n{PUBLISHED}'
    )
  result = target | {name: jnp.asarray(array, jnp.float32) for name, array in found.items()}
  report = Report(tuple(found), tuple(name for name in target if name not in found), tuple(unused))
  return unflatten_dict(result, sep='/'), report


def _faults(found: Mapping[str, np.ndarray], wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
  """Why these arrays are not those of a backbone whose arrays have the wanted shapes."""
  both = sorted(wanted.keys() & found.keys())
  return [
    *(f'{name} is missing' for name in sorted(wanted.keys() - found.keys())),
    *(f'{name} has no place here' for name in sorted(found.keys() - wanted.keys())),
    *(
      f'{name} is {found[name].shape} and not {wanted[name]}'
      for name in both
      if found[name].shape != wanted[name]
    ),
    *(
      f'{name} holds numbers that are not finite'
      for name in both
      if not np.isfinite(np.asarray(found[name], np.float32)).all()
    ),
  ]


def _architecture(names: Iterable[str]) -> str:
  layers = {
    match[0]: match[1] for name in names if (match := re.search(r'block(\d+)_layer\d+', name))
  }
  if not layers:
    return 'no DenseNet'
  sizes = sorted(Counter(layers.values()).items())
  return f'a DenseNet with blocks of {", ".join(str(size) for _, size in sizes)} layers'


def load_network(
  source: Variables, variables: Variables, *, sub_network: bool
) -> tuple[Variables, Report]:
  """Starts a network from another one, with the same or the other head.

  Arrays of the same name and shape are taken. A sub-network of another shape and
  squeeze-and-excitation that the source lacks stay as initialised.

  Args:
    source: variables of the trained network.
    variables: variables of the network to start.
    sub_network: whether to take the sub-network too. One that learned to be averaged over the map
      misleads a network whose map is compared with a mask, so a network of another head starts
      with a new one.

  Returns:
    The new variables, and what was taken, new and unused.

  Raises:
    WeightsError: the backbones differ by more than squeeze-and-excitation.
  """
  target, origin = flatten_dict(variables, sep='/'), flatten_dict(source, sep='/')
  taken = [
    name
    for name in target
    if name in origin
    and origin[name].shape == target[name].shape
    and (sub_network or '/backbone/' in name)
  ]
  new = [name for name in target if name not in set(taken)]
  misfits = [name for name in new if '/backbone/' in name and '_excitation/' not in name]
  if misfits:
    raise WeightsError(
      f'the network to start from is {_architecture(origin)} and this one is '
      f'{_architecture(target)}: {len(misfits)} arrays do not fit, the first {misfits[0]}. '
      'Start from a network of the same size'
    )
  result = target | {name: origin[name] for name in taken}
  unused = tuple(name for name in origin if name not in set(taken))
  return unflatten_dict(result, sep='/'), Report(tuple(taken), tuple(new), unused)
