"""Every command of README and docs/ is run, shrunk where it would be long, some only with -m slow.

A command that no rule below knows fails a test: whoever writes one says here how it is tried.
"""

import csv
import importlib.util
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest

from tests.readme import picture

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
TEXT = '\n'.join(page.read_text() for page in PAGES)

TINY = (
  '--config.model.size=tiny',
  '--config.preprocessing.image_size=64',
  '--config.train.epochs=1',
  '--config.train.batch_size=8',
  '--config.train.pictures=1',
  '--config.data.evaluate=()',
)
SMALL_SOURCES = [
  *(f'--config.sources.{name}.images=24' for name in ('nih', 'aihub', 'gmc', 'vindr')),
  *(f'--config.sources.{name}.image_size=96' for name in ('nih', 'aihub', 'gmc', 'vindr')),
]
HOSPITAL = (
  '--config.preprocessing.image_size=64',
  '--config.train.epochs=1',
  '--config.train.pictures=0',
  '--config.evaluation.overlays=0',
)
RECIPES = (
  '--config.train.epochs=1',
  '--config.seeds=(0,)',
  '--config.order=literal',
  '--config.data.evaluate=gmc',
  '--config.sources.aihub.images=60',
  '--config.sources.gmc.images=12',
  '--config.evaluation.overlays=0',
)
# How each command is tried: its beginning, what is added to it, and which of its words are
# replaced. The first rule that fits holds.
RUN = [
  (r'python -m tfds_builders cohort nih', (), {'DIR': 'nih'}),
  (r'python -m tfds_builders validate nih', (), {'DIR': 'nih'}),
  (r'python -m tfds_builders build nih', (), {'DIR': 'nih', 'SHARDS': 'nih_shards'}),
  (r'(python -m tfds_builders|nodulax) validate gmc_nodule', (), {}),
  (r'(python -m tfds_builders|nodulax) build gmc_nodule', (), {'shards': 'built'}),
  (r'(python -m nodulax.|nodulax )input\b', (), {}),
  (r'python -m nodulax.evaluate', (), {'DIR': 'evaluated'}),
  (r'python -m nodulax.report', (), {}),
  (r'(python -m nodulax.|nodulax )predict\b(?!.*hf://)', (), {'runs/mine': 'RUN'}),
  (r'(python -m nodulax.|nodulax )export\b(?!.*hf://)', (), {}),
  (
    r'(python -m nodulax.|nodulax )phantom\b',
    ('--images=3', '--image_size=64'),
    {'DIR': 'simulated'},
  ),
  (r'python -m nodulax.main --config=configs/nih_image', TINY, {'keras': ''}),
  (r'python -m nodulax.main --config=configs/nih_aihub_pixel', TINY, {}),
  (r'python -m nodulax.main --config=configs/study', (*TINY, *SMALL_SOURCES), {}),
  (r'python -m nodulax.main --config=configs/recipes', RECIPES, {}),
  (r'python -m nodulax.main --config=configs/hospital', HOSPITAL, {}),
  (r'python tests/readme/picture', (), {'DIR': 'RUN/evaluation/hospital', 'FILE': 'picture.png'}),
  (r'tensorboard', ('--inspect',), {}),
]
# What needs an extra that may be absent, and the package that tells.
NEEDS = {'--dicom_': 'highdicom', 'nodulax export': 'flatbuffers'}
# Run, with other folders, by a test in this file; jsrt.py and the virtual study with -m slow.
ELSEWHERE = {
  'python -m nodulax.main --config=configs/demo.py': 'end_to_end/test_demo.py',
  'python -m nodulax.main --config=configs/virtual_study.py': 'end_to_end/test_virtual_study.py',
  'python tests/end_to_end/jsrt.py': 'end_to_end/test_jsrt.py',
  'python tests/end_to_end/jsrt_two_fold.py': 'end_to_end/test_jsrt.py',
  'python tests/end_to_end/real_sets.py': 'end_to_end/test_real_sets.py',
  'nodulax app --dataset': 'app/test_rereading.py',
  'nodulax app': 'app/test_app.py',
  'nodulax labels study': 'labels/test_labels_study.py',
  'nodulax export --push': 'storage/test_hub.py',
  'nodulax predict --checkpoint=hf': 'storage/test_hub.py',
  'nodulax labels': 'labels/test_labels_command.py',
  'python tests/end_to_end/wrong_labels.py': 'end_to_end/test_wrong_labels.py',
  'python tests/labels/real_readers.py': 'labels/test_real_readers.py',
  'python -m tests.labels.rankings': 'labels/test_rankings.py',
  'python -m nodulax.pretrain': 'pretraining/test_pretrain.py',
  'python tests/radiograph/guard_figures.py': 'radiograph/test_guard.py',
}


def commands(text: str) -> list[str]:
  """Each command of the code blocks and of the code within sentences and tables, once."""
  blocks = re.findall(r'^```(\w*)\n(.*?)^```$', text, re.M | re.S)
  shell = [block for language, block in blocks if language in ('', 'bash')]
  lines = [line for block in shell for line in block.replace('\\\n', ' ').splitlines()]
  prose = re.sub(r'^```.*?^```$', '', text, flags=re.M | re.S)
  lines += re.findall(r'`((?:python|pip|pytest|tensorboard|nodulax [a-z]+ )[^`]*)`', prose)
  parts = [part for line in lines for part in re.split(r'\s&&\s|\s+#\s.*', line)]
  return list(dict.fromkeys(' '.join(part.split()) for part in parts if part.strip()))


def rule(command: str) -> tuple | None:
  return next((entry for entry in RUN if re.match(entry[0], command)), None)


COMMANDS = commands(TEXT)


def test_commands_are_found_wherever_they_stand():
  text = 'Run `python -m a --b`:\n```\npip install c && python d \\\n  --e  # why\n```\n'
  assert commands(text) == ['pip install c', 'python d --e', 'python -m a --b']


def test_a_rule_knows_every_command():
  known = (*ELSEWHERE, 'pip install', 'pytest')
  unknown = [command for command in COMMANDS if not rule(command) and not command.startswith(known)]
  assert not unknown, 'say in tests/readme/test_readme.py how these are tried'


def test_the_first_commands_are_the_demo_a_prediction_and_the_tests():
  assert COMMANDS[:5] == [
    'pip install -e .',
    'python -m nodulax.main --config=configs/demo.py --workdir=runs/demo',
    'nodulax predict --output=findings image.dcm folder/',
    "pip install -e '.[test]'",
    'pytest -n 2 --dist worksteal',
  ]
  assert COMMANDS[4] in (ROOT / '.ci' / 'run').read_text()


def test_the_readme_is_short():
  assert len((ROOT / 'README.md').read_text().splitlines()) <= 200


def test_what_is_installed_and_tested_is_declared():
  project = tomllib.loads((ROOT / 'pyproject.toml').read_text())
  extras = project['project']['optional-dependencies']
  for command in COMMANDS:
    if command.startswith('pip install'):
      for name in re.findall(r'\[([\w,]+)\]', command):
        assert set(name.split(',')) <= extras.keys(), command
  markers = ' '.join(project['tool']['pytest']['ini_options']['markers'])
  assert all(name in markers for c in COMMANDS for name in re.findall(r'pytest -m (\w+)', c))


def test_every_python_that_is_declared_is_tried():
  script = (ROOT / '.ci' / 'versions').read_text()
  tried = re.findall(r'tests/[\w/.]+', script)
  assert tried and all((ROOT / path).exists() for path in tried)
  workflow = (ROOT / '.github' / 'workflows' / 'ci.yml').read_text()
  pythons = re.findall(r'\{python: "([\d.]+)"', workflow)
  project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
  versions = [
    match[1] for text in project['classifiers'] if (match := re.fullmatch(r'.*:: (3\.\d+)', text))
  ]
  assert versions == pythons
  assert project['requires-python'] == f'>={pythons[0]}'


@pytest.mark.parametrize('line', [c for c in COMMANDS if c.startswith(tuple(ELSEWHERE))])
def test_a_test_of_its_own_runs(line):
  start, test = next(entry for entry in ELSEWHERE.items() if line.startswith(entry[0]))
  text = (ROOT / 'tests' / test).read_text()
  program = re.escape(start.split()[-1].split('/')[-1])
  assert re.search(rf"'[^'\n]*{program}[^'\n]*'", text), 'no process is started with it'
  for flag in re.findall(r'--(\w+)=', line):
    assert f'--{flag}=' in text


@pytest.fixture(scope='module')
def home(command, hospital, shards, trained_run, tmp_path_factory) -> pathlib.Path:
  """A folder in which everything that the README names is there."""
  folder = tmp_path_factory.mktemp('readme')
  for name in ('configs', 'tests'):
    (folder / name).symlink_to(ROOT / name)
  for name, there in {'FOLDER': hospital, 'shards': shards, 'SHARDS': shards}.items():
    (folder / name).symlink_to(there)
  (folder / 'runs' / 'demo').mkdir(parents=True)
  shutil.copytree(trained_run, folder / 'runs' / 'demo' / 'nih_aihub_pixel')
  (folder / 'RUN').symlink_to('runs/demo/nih_aihub_pixel')
  with (hospital / 'manifest.csv').open(newline='') as file:
    images = [hospital / row['image'] for row in csv.DictReader(file)]
  dicom = next(image for image in images if image.suffix == '.dcm')
  png = next(image for image in images if image.suffix == '.png')
  for name, image in {
    'image.dcm': dicom,
    'folder/a.dcm': dicom,
    'scans/1/a.png': png,
    'new_images/b.dcm': dicom,
    'chest.png': png,
  }.items():
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(image, folder / name)
  command('nodulax.phantom', 'nih', f'--output={folder}/nih', '--images=40', '--image_size=64')
  return folder


def run(command: str, folder: pathlib.Path) -> subprocess.CompletedProcess:
  words = shlex.split(command)
  if words[0] == 'python':
    words[0] = sys.executable
  elif words[0] == 'nodulax':
    words[:1] = [sys.executable, '-m', 'nodulax']
  elif words[0] == 'tensorboard':
    words[:1] = [sys.executable, '-m', 'tensorboard.main']
  return subprocess.run(
    words,
    cwd=folder,
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
    capture_output=True,
    text=True,
  )


@pytest.mark.parametrize('line', [c for c in COMMANDS if rule(c)])
def test_runs(line, home):
  for sign, package in NEEDS.items():
    if sign in line and importlib.util.find_spec(package) is None:
      pytest.skip(f'{package} is not here')
  _, added, replaced = rule(line)
  for old, new in replaced.items():
    line = re.sub(rf'(?<=[=\s]){old}(?=\s|$)', new, line)
  for word in re.findall(r'(?<=--output=)\S+', line):  # the same for several lines
    if (home / word).is_dir():
      shutil.rmtree(home / word)
  finished = run(' '.join([line, *added]), home)
  assert finished.returncode == 0, finished.stdout + finished.stderr
  assert 'Traceback' not in finished.stderr


def test_python_in_the_pages_runs(home):
  if importlib.util.find_spec('flatbuffers') is None:
    pytest.skip('flatbuffers is not here')
  snippets = re.findall(r'^```python\n(.*?)^```', TEXT, re.M | re.S)
  export = next(command for command in COMMANDS if 'nodulax export' in command)
  for name in ('model.nodulax', 'loader'):
    path = home / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
  assert run(export, home).returncode == 0
  for snippet in snippets:
    finished = subprocess.run(
      [sys.executable, '-c', snippet],
      cwd=home,
      env={**os.environ, 'PYTHONPATH': str(ROOT)},
      capture_output=True,
      text=True,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout


def test_what_the_pages_link_to_is_there():
  for page in PAGES:
    for target in re.findall(r'\]\(([^)#:]+)\)', page.read_text()):
      assert (page.parent / target).exists(), f'{page.name}: {target}'
  for name in re.findall(r'`((?:configs|launch|nodulax|tests|tfds_builders)/[\w./*]+)`', TEXT):
    assert list(ROOT.glob(name.rstrip('/'))), name


def test_the_picture_is_made_from_an_evaluation_and_small(trained_run):
  png = picture.picture(trained_run / 'evaluation' / 'hospital')
  assert png.startswith(b'\x89PNG')
  committed = ROOT / 'tests' / 'readme' / 'findings.png'
  assert committed.stat().st_size < 300_000
