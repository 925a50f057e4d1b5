"""Who may import whom: every arrow points down, and what is imported is declared."""

import ast
import pathlib
import re
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
LEAVES = ('radiograph', 'phantom', 'statistics', 'model')
ENGINE = (
  *LEAVES, 'storage', 'input', 'description', 'checkpoint', 'hosts', 'parallel', 'inference'
)  # fmt: skip

# Which rooms of nodulax each room may import, beside itself and the package's own constants.
MAY_IMPORT = {
  **{leaf: () for leaf in LEAVES},
  'phantom': ('radiograph',),
  'losses': (),
  'optimizer': (),
  'parallel': (),
  'bucket': (),
  'storage': ('bucket',),
  'loss_scale': (),
  'hosts': (),
  'interruption': (),
  'logbook': (),
  'workdir': (),
  'typed_json': (),
  'input': ('radiograph', 'storage'),
  'description': ('radiograph', 'statistics', 'typed_json'),
  'checkpoint': ('description', 'storage'),
  'inference': ('model', 'checkpoint', 'parallel', 'typed_json'),
  'step': ('model', 'losses', 'loss_scale', 'parallel'),
  'train': (
    *ENGINE,
    'evaluate',
    'step',
    'loss_scale',
    'optimizer',
    'interruption',
    'logbook',
    'typed_json',
    'workdir',
  ),
  'findings': ('radiograph', 'statistics'),
  'evaluation_files': ('input', 'radiograph', 'statistics', 'findings'),
  'evaluate': (*ENGINE, 'evaluation_files', 'provenance'),
  'provenance': (),
  'prediction': ('findings', 'radiograph', 'statistics'),
  'reader': (*ENGINE, 'prediction'),
  'prediction_files': ('description', 'prediction'),
  'dicom_output': ('description', 'radiograph', 'prediction', 'reader'),
  'predict': (*ENGINE, 'prediction', 'reader', 'prediction_files', 'dicom_output'),
  'exported': ('findings', 'prediction', 'radiograph', 'statistics'),
  'export': (*ENGINE, 'exported'),
  'app': (*ENGINE, 'prediction', 'reader', 'prediction_files'),
  'report': ('statistics', 'storage'),
  'train_lungs': ('radiograph', 'phantom'),
  'plan': (),
  'true_labels': ('evaluate', 'description'),
  'study': (
    'checkpoint',
    'phantom',
    'plan',
    'train',
    'hosts',
    'true_labels',
    'workdir',
    'report',
  ),
  'dry_run': (*ENGINE, 'plan', 'step', 'optimizer'),
  'main': (*ENGINE, 'study', 'dry_run', 'train', 'interruption'),
}


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


def room(name: str) -> str | None:
  """'nodulax.input.shards.Shards' -> 'input'; None for constants of the package itself."""
  parts = name.split('.')
  rooms = {path.stem for path in (ROOT / 'nodulax').iterdir()} - {'__init__'}
  return parts[1] if parts[0] == 'nodulax' and len(parts) > 1 and parts[1] in rooms else None


FILES = sorted((ROOT / 'nodulax').rglob('*.py'))


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_stands_below_it(path):
  own = path.relative_to(ROOT / 'nodulax').parts[0].removesuffix('.py')
  if own == '__init__':
    allowed = set()
  else:
    assert own in MAY_IMPORT, f'{own} is a new room: say in this test whom it may import'
    allowed = {own, *MAY_IMPORT[own]}
  others = {room(name) for name in imported(path)} - {None}
  assert others <= allowed
  assert not any(name.split('.')[0] == 'tfds_builders' for name in imported(path))


def test_builders_import_the_radiograph_alone():
  for path in (ROOT / 'tfds_builders').rglob('*.py'):
    for name in imported(path):
      assert not name.startswith('nodulax') or room(name) == 'radiograph', f'{path}: {name}'


def test_configs_import_each_other_alone():
  for path in (ROOT / 'configs').glob('*.py'):
    packages = {name.split('.')[0] for name in imported(path)} - sys.stdlib_module_names
    assert packages <= {'configs', 'ml_collections'}


@pytest.mark.parametrize(
  ('library', 'only'), [('orbax', 'checkpoint.py'), ('pmap', 'parallel.py')]
)
def test_one_file_knows(library, only):
  pattern = r'\bimport orbax' if library == 'orbax' else r'jax\.pmap\b'
  knowing = [path.name for path in FILES if re.search(pattern, path.read_text())]
  assert knowing == [only]


def test_every_imported_package_is_declared():
  project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
  requirements = project['dependencies'] + sum(project['optional-dependencies'].values(), [])
  declared = {re.split(r'[\[>=<;! ]', line)[0].lower().replace('_', '-') for line in requirements}
  modules = {  # whose package has another name
    'absl': 'absl-py',
    'cv2': 'opencv-python-headless',
    'orbax': 'orbax-checkpoint',
    'PIL': 'pillow',
    'tensorflow': 'tensorflow-cpu',
  }
  own = {'nodulax', 'tfds_builders', 'configs'}
  for folder in ('nodulax', 'tfds_builders', 'configs'):
    for path in (ROOT / folder).rglob('*.py'):
      for name in imported(path):
        top = name.split('.')[0]
        if top in own or top in sys.stdlib_module_names:
          continue
        package = modules.get(top, top).lower().replace('_', '-')
        assert package in declared, f'{path.relative_to(ROOT)} imports {top}'
