"""Writes a trained network and all it needs to run into one file.

  python -m nodulax.export --checkpoint=RUN --output=model.nodulax --loader=FOLDER

`nodulax.exported` describes the file and loads it; --loader copies that module and what it
needs to a folder, so that the network runs without the training code: put the folder on the
Python path where jax, numpy, opencv-python-headless and flatbuffers are installed. For research,
not a medical device. --onnx adds the network as ONNX, for one radiograph at a time; it needs the
extra `onnx`. --push=hf://OWNER/NAME uploads the file to the Hugging Face Hub with a model card,
whose metadata hold the measured AUCs; it needs the extra `hub` and a token (`hf auth login`, or
HF_TOKEN). `nodulax.load('hf://OWNER/NAME')` reads it from there.
"""

import argparse
import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import io
import json
import logging
import os
import pathlib
import re
import shutil
import tempfile
import zipfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging as absl_logging
from jax import export as jax_export

from nodulax import NOTICE, cli, exported
from nodulax.checkpoints import checkpoint, evaluations, networks
from nodulax.checkpoints.description import Description
from nodulax.distributed import inference
from nodulax.errors import OptionError, missing_extra
from nodulax.files import whole_file
from nodulax.model import Network
from nodulax.storage import folders, hub

_PACKAGE = pathlib.Path(__file__).parent
LOADER = (
  '__init__.py',
  'checkpoints/__init__.py',
  'checkpoints/description.py',
  'checkpoints/typed_json.py',
  'errors.py',
  'exported.py',
  'prediction/__init__.py',
  'prediction/findings.py',
  'prediction/prediction.py',
)
ONNX_TOLERANCE = 1e-3  # largest difference of logits and heat
LOADER_FOLDERS = ('radiograph', 'statistics')


def export(run: str | os.PathLike, output: str | os.PathLike, *, with_onnx: bool = False) -> None:
  """Writes a run's best network to the file `output`, whole or not at all.

  Raises:
    CheckpointError: there is no such run.
    ExportError: the ONNX network cannot be made.
  """
  run = folders.fetch(run, only=(*checkpoint.NEEDED, 'evaluation/*/metrics.json'))
  description = checkpoint.describe(run)
  network, variables = networks.load_network(run)
  members = {
    exported.CARD: card(description, evaluations.evaluations(run)).encode(),
    exported.STABLEHLO: stablehlo(network, variables, description.preprocessing.image_size),
  }
  if with_onnx:
    members[exported.ONNX] = onnx(network, variables, description.preprocessing.image_size)
  write(output, description, members)


def stablehlo(network: Network, variables: Any, image_size: int) -> bytes:
  """The network as serialized StableHLO for every platform and any batch size.

  Its input is u8[B, S, S, 1]; its outputs are the logit f32[B] of a nodule or mass and its heat
  map f32[B, h, h] in [0, 1].
  """
  constants = jax.tree.map(np.asarray, variables)
  forward = jax.jit(functools.partial(inference.forward, network, constants))
  shape = jax_export.symbolic_shape(f'b, {image_size}, {image_size}, 1')
  image = jax.ShapeDtypeStruct(shape, jnp.uint8)
  return bytes(jax_export.export(forward, platforms=exported.PLATFORMS)(image).serialize())


def onnx(network: Network, variables: Any, image_size: int) -> bytes:
  """The network as ONNX, from f32[1, S, S, 1] in 0 to 255; the outputs are those of `stablehlo`.

  Raises:
    ExportError: the extra is missing, or the converted network differs by more than 1e-3.
  """
  try:
    import jax2onnx
    import onnxruntime
  except ImportError as error:
    raise exported.ExportError(missing_extra('ONNX', 'onnx', error)) from None
  constants = jax.tree.map(np.asarray, variables)
  forward = functools.partial(inference.forward, network, constants)
  shape = (1, image_size, image_size, 1)
  # It reports each of its plugins that this version of JAX is too new for; none is used here.
  logging.getLogger('jax2onnx').setLevel(logging.ERROR)
  with contextlib.redirect_stdout(io.StringIO()):  # the converter prints its progress
    converted = jax2onnx.to_onnx(forward, [shape]).SerializeToString()
  session = onnxruntime.InferenceSession(converted, providers=['CPUExecutionProvider'])
  compiled, rng = jax.jit(forward), np.random.default_rng(0)
  for _ in range(3):
    image = rng.integers(0, 256, shape).astype(np.float32)
    answers = session.run(None, {session.get_inputs()[0].name: image})
    for answer, expected in zip(answers, compiled(image), strict=True):
      if not np.allclose(answer, expected, rtol=0, atol=ONNX_TOLERANCE):
        raise exported.ExportError('the ONNX network differs too much; export without --onnx')
  return converted


def write(output: str | os.PathLike, description: Description, members: dict[str, bytes]) -> None:
  """Writes the members and model.json, and reads them again before the file gets its name."""
  model = exported.ModelFile(
    format=exported.FORMAT,
    version=exported.VERSION,
    notice=NOTICE,
    nodulax=importlib.metadata.version('nodulax'),
    jax=jax.__version__,
    description=description.with_inputs(),
    sha256={name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
  )
  text = json.dumps(dataclasses.asdict(model), indent=1, allow_nan=False).encode()
  with whole_file(output) as unfinished:
    with zipfile.ZipFile(unfinished, 'w', zipfile.ZIP_STORED) as archive:
      for name, data in {exported.MODEL: text, **members}.items():
        archive.writestr(zipfile.ZipInfo(name), data)
      archive.comment = hashlib.sha256(text).hexdigest().encode()
    exported.unpack(unfinished)


def card(description: Description, metrics: dict[str, dict[str, Any]]) -> str:
  """The model card, Markdown."""
  thresholds = description.thresholds
  lines = [
    f'# {description.name}',
    f'**{NOTICE}**',
    'Gives a probability of a pulmonary nodule or mass on a frontal chest radiograph of an adult, '
    'and a heat map. For researchers. A low score does not clear a radiograph; other findings are '
    'not looked for; not meant for children or lateral radiographs.',
    f'- Network: {json.dumps(description.model)}, {description.step} training steps',
    f'- Threshold {thresholds.probability:.4f}, frozen on {thresholds.tune_images} tune images '
    f'(AUC there {thresholds.tune_auc:.3f})',
    f'- Temperature {thresholds.temperature:.3f}: probabilities are calibrated for the tune '
    "split's share of nodules"
    if thresholds.temperature
    else '- No temperature: probabilities are not calibrated',
  ]
  for name, values in metrics.items():
    auc = evaluations.shown(values['auc'])
    lines.append(f'- {name}, {values["split"]}, {values["images"]} images: AUC {auc}')
  return '\n\n'.join(lines) + '\n'


def hub_card(
  address: str, description: Description, metrics: dict[str, dict[str, Any]], license: str
) -> str:
  """The model card in the Hub's format: metadata in YAML, then Markdown.

  Args:
    address: hf://OWNER/NAME.
    description: description of the network.
    metrics: metrics of its evaluations, by set; the AUC of each goes into the metadata.
    license: licence of the weights, as the Hub names it.

  Raises:
    StorageError: the extra is missing.
  """
  library = hub.library()
  results = [
    library.EvalResult(
      task_type='image-classification',
      dataset_type=re.sub(r'\W+', '-', name.lower()),
      dataset_name=name,
      dataset_split=values['split'],
      metric_type='roc_auc',
      metric_name=f'AUC of {values["images"]} radiographs',
      metric_value=values['auc']['value'],
    )
    for name, values in metrics.items()
    if values['auc']
  ]
  metadata = library.ModelCardData(
    license=license,
    library_name='nodulax',
    pipeline_tag='image-classification',
    tags=['jax', 'medical-imaging', 'radiology', 'chest-x-ray', 'lung-nodule'],
    model_name=description.name,
    eval_results=results or None,
  )
  use = (
    'With nodulax and its extra `hub`:\n\n'
    f"```python\nimport nodulax\n\nprint(nodulax.load('{address}')('chest.dcm'))\n```\n"
  )
  return f'---\n{metadata.to_yaml()}\n---\n\n{card(description, metrics)}\n{use}'


def push(
  run: str | os.PathLike,
  file: str | os.PathLike,
  address: str,
  license: str,
  *,
  private: bool = False,
) -> str:
  """Uploads the exported file of a run with its model card, as `hub.push` does.

  Returns:
    The address with the commit as its revision.

  Raises:
    StorageError: the extra is missing, or the Hub refuses.
  """
  run = folders.fetch(run, only=(*checkpoint.NEEDED, 'evaluation/*/metrics.json'))
  readme = hub_card(address, checkpoint.describe(run), evaluations.evaluations(run), license)
  return hub.push(
    address, {hub.MODEL: pathlib.Path(file), hub.CARD: readme.encode()}, private=private
  )


def copy_loader(folder: str | os.PathLike) -> None:
  """Copies `nodulax.exported` and what it needs, as a package `nodulax`, into `folder`."""
  package = pathlib.Path(folder) / 'nodulax'
  package.mkdir(parents=True, exist_ok=True)
  for name in LOADER:
    (package / name).parent.mkdir(exist_ok=True)
    shutil.copy(_PACKAGE / name, package / name)
  for name in LOADER_FOLDERS:
    shutil.copytree(
      _PACKAGE / name,
      package / name,
      dirs_exist_ok=True,
      ignore=shutil.ignore_patterns('__pycache__', '*.md'),
    )


def add_arguments(parser: cli.Parser) -> None:
  cli.add_checkpoint(parser)
  add = parser.add_argument
  add('--output', help='file to write')
  add('--onnx', action='store_true', help='also write the network as ONNX')
  add('--loader', help='folder to copy the loader to')
  add('--push', metavar='hf://OWNER/NAME', help='upload the file to the Hugging Face Hub')
  add('--license', default='unknown', help='licence of the uploaded weights (default: unknown)')
  add('--private', action='store_true', help='make a new repository private')


def main(given: argparse.Namespace) -> None:
  absl_logging.set_verbosity(absl_logging.WARNING)
  if not (given.output or given.push):
    raise OptionError('name the file to write with --output, or --push=hf://OWNER/NAME')
  if given.push:
    hub.check(given.push)
  with contextlib.ExitStack() as stack:
    if given.output:
      file = stack.enter_context(folders.file_to_send(given.output))
    else:
      file = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory())) / hub.MODEL
    export(given.checkpoint, file, with_onnx=given.onnx)
    size = file.stat().st_size
    where = [given.output] if given.output else []
    if given.push:
      where.append(push(given.checkpoint, file, given.push, given.license, private=given.private))
  if given.loader:
    folder = folders.check_out(given.loader)
    copy_loader(folder)
    folders.publish(folder)
  print(f'{", ".join(where)}: {size / 1e6:.1f} MB, for {", ".join(exported.PLATFORMS)}')
  print(NOTICE)


if __name__ == '__main__':
  cli.run('export', prog='python -m nodulax.export')
