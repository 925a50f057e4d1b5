"""Who may import whom: imports go down the layers, and what is imported is declared."""

import ast
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# From below to above: a module imports its own room and the layers below its own. A file has the
# layer of its longest prefix. The package itself (the notice) lies below all of them.
LAYERS = (
  ('errors', 'files', 'memory', 'csv_files', 'checkpoints.description', 'checkpoints.typed_json'),
  ('radiograph', 'statistics', 'model', 'storage', 'prediction.findings') + ('labels.rereading',),
  ('phantom', 'input', 'distributed'),
  ('checkpoints',),
  ('evaluation',),
  ('training', 'prediction'),
  ('labels', 'report', 'pretraining'),
  ('study', 'app', 'cli', 'main', 'train', 'evaluate', 'predict', 'export', 'exported', 'pretrain')
  + ('models', 'readers')
  + ('__main__', 'input.__main__', 'report.__main__', 'labels.__main__', 'labels.crossfit')
  + ('labels.study', 'labels.budget', 'labels.commands'),
)
# Within a layer, or against it: who imports whom.
SIDEWAYS = {
  ('checkpoints.description', 'checkpoints.typed_json'),
  ('checkpoints.description', 'errors'),
  ('checkpoints.typed_json', 'errors'),
  ('checkpoints.description', 'radiograph'),  # Preprocessing, which is plain data
  ('checkpoints.description', 'statistics'),  # OverlapThreshold, which is plain data
  ('csv_files', 'errors'),
  ('prediction.findings', 'radiograph'),
  ('prediction.findings', 'statistics'),
  ('main', 'study'),
  ('main', 'train'),
  ('study', 'train'),
  ('train', 'evaluate'),
  ('export', 'exported'),
  ('readers', 'exported'),
  ('models', 'readers'),
  ('predict', 'readers'),
  ('app', 'readers'),
  ('models', 'evaluate'),
  ('evaluate', 'models'),  # within the function that both are
  *((command, 'cli') for command in LAYERS[-1] if command not in ('cli', 'exported', 'study')),
  ('input.__main__', 'input'),
  ('labels.__main__', 'labels.commands'),
  ('labels.commands', 'labels.crossfit'),
  ('labels.commands', 'labels.study'),
  ('labels.study', 'labels.budget'),
  ('labels.study', 'train'),
  ('labels.study', 'study'),
  ('labels.budget', 'labels.crossfit'),
  ('labels.crossfit', 'train'),
  ('labels.crossfit', 'evaluate'),
  ('report.__main__', 'report'),
}
# Rooms that see less than all that lies below them.
SEES = {
  'report': (*LAYERS[0], *LAYERS[1]),
  'statistics': (),
  'exported': ('errors', *LAYERS[0][2:], 'radiograph', 'statistics', 'prediction.findings')
  + ('prediction',),
}
LAYER = {name: layer for layer, names in enumerate(LAYERS) for name in names}
PACKAGES = {'nodulax', 'tfds_builders', 'configs'}


def imported(path: pathlib.Path) -> set[str]:
  """Full names of all that a file imports, `from package import module` as package.module."""
  package = path.relative_to(ROOT).with_suffix('').parts[:-1]
  names = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      base = package[: len(package) - node.level + 1] if node.level else ()
      stem = '.'.join((*base, *filter(None, [node.module])))
      names |= {f'{stem}.{alias.name}' for alias in node.names}
  return names


def part(name: str) -> str | None:
  """'nodulax.input.shards.Shards' -> 'input', the longest entry of LAYERS; None for the package.

  Raises:
    KeyError: a room that LAYERS does not place.
  """
  parts = name.split('.')
  rooms = {path.stem for path in (ROOT / 'nodulax').iterdir()} - {'__init__'}
  if parts[0] != 'nodulax' or len(parts) < 2 or parts[1] not in rooms:
    return None
  for length in range(len(parts), 1, -1):
    if (entry := '.'.join(parts[1:length])) in LAYER:
      return entry
  raise KeyError(f'{parts[1]} is a new room: say in LAYERS of this test where it lies')


def may_import(own: str, other: str) -> bool:
  """Whether a module of the part `own` may import one of `other`."""
  if own == other or (own, other) in SIDEWAYS:
    return True
  return LAYER[other] < LAYER[own] and other in SEES.get(own, LAYER)


FILES = sorted((ROOT / 'nodulax').rglob('*.py'))


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_the_layers(path):
  names = imported(path)
  own = part('.'.join(path.relative_to(ROOT).with_suffix('').parts))
  others = {part(name) for name in names} - {None}
  if path == ROOT / 'nodulax' / '__init__.py':
    others -= {'models'}  # once it is asked for
  assert not {other for other in others if own is None or not may_import(own, other)}
  assert not any(name.split('.')[0] == 'tfds_builders' for name in names)


def test_builders_import_the_two_lowest_layers_and_cli_alone():
  for path in (ROOT / 'tfds_builders').rglob('*.py'):
    for name in imported(path):
      other = part(name)
      assert other in (None, 'cli') or LAYER[other] <= 1, f'{path}: {name}'


@pytest.mark.parametrize('module', ['description', 'typed_json'])
def test_the_description_is_read_without_jax_or_orbax(module):
  code = (
    f'import sys, nodulax.checkpoints.{module}; '
    'print(*{name.split(".")[0] for name in sys.modules} & {"jax", "orbax", "tensorflow"})'
  )
  finished = subprocess.run(
    [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
  )
  assert not finished.stdout.strip()


def test_configs_import_each_other_alone():
  for path in (ROOT / 'configs').glob('*.py'):
    packages = {name.split('.')[0] for name in imported(path)} - sys.stdlib_module_names
    assert packages <= {'configs', 'ml_collections'}


def test_one_room_knows_orbax_and_one_file_pmap():
  def knowing(pattern: str) -> set[str]:
    return {
      path.relative_to(ROOT / 'nodulax').as_posix()
      for path in FILES
      if re.search(pattern, path.read_text())
    }

  assert {name.split('/')[0] for name in knowing(r'\b(import|from) orbax')} == {'checkpoints'}
  assert knowing(r'jax\.pmap\b') == {'distributed/parallel.py'}


def test_every_imported_package_is_declared():
  project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
  requirements = project['dependencies'] + sum(project['optional-dependencies'].values(), [])
  declared = {re.split(r'[\[>=<;! ]', line)[0].lower().replace('_', '-') for line in requirements}
  modules = {  # whose package has another name
    'absl': 'absl-py',
    'cv2': 'opencv-python-headless',
    'orbax': 'orbax-checkpoint',
    'PIL': 'pillow',
  }
  for folder in PACKAGES:
    for path in (ROOT / folder).rglob('*.py'):
      for name in imported(path):
        top = name.split('.')[0]
        if top in PACKAGES or top in sys.stdlib_module_names:
          continue
        package = modules.get(top, top).lower().replace('_', '-')
        assert package in declared, f'{path.relative_to(ROOT)} imports {top}'
