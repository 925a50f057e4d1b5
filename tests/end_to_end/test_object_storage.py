"""Data and workdir in object storage: a run is stopped, goes on elsewhere, and is evaluated.

On a server of this machine that speaks S3's or Google's protocol, for which a test extra is needed.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import fsspec
import pytest

from tests.prediction.test_predict import images_in

ROOT = pathlib.Path(__file__).parents[2]
# The config of the fixture `trained_run`, whose results must come out.
SMALL = [
  '--config=configs/default.py',
  '--config.data.train=hospital',
  "--config.data.evaluate=('hospital',)",
  '--config.preprocessing.image_size=64',
  '--config.model.head=pixel',
  '--config.model.size=tiny',
  '--config.train.epochs=2',
  '--config.train.batch_size=8',
  '--config.train.log_every=1',
  '--config.train.devices=2',
  '--config.train.pictures=2',
  '--config.name=small',
]


def s3_server(port: int, monkeypatch) -> subprocess.Popen:
  pytest.importorskip('s3fs')
  pytest.importorskip('flask', reason='the S3 server of moto needs it')
  pytest.importorskip('moto')
  for name, value in {
    'AWS_ENDPOINT_URL': f'http://127.0.0.1:{port}',
    'AWS_ACCESS_KEY_ID': 'nobody',
    'AWS_SECRET_ACCESS_KEY': 'nothing',
    'AWS_DEFAULT_REGION': 'us-east-1',
  }.items():
    monkeypatch.setenv(name, value)
  serve = 'import sys; from moto.server import main; main(sys.argv[1:])'
  return subprocess.Popen(
    [sys.executable, '-c', serve, '-H', '127.0.0.1', '-p', str(port)], stderr=subprocess.DEVNULL
  )


def gs_server(port: int, monkeypatch) -> subprocess.Popen:
  pytest.importorskip('gcsfs')
  pytest.importorskip('gcp_storage_emulator')
  monkeypatch.setenv('STORAGE_EMULATOR_HOST', f'http://127.0.0.1:{port}')
  return subprocess.Popen(
    [
      sys.executable,
      '-m',
      'gcp_storage_emulator',
      'start',
      '--host=127.0.0.1',
      f'--port={port}',
      '--in-memory',
      '--default-bucket=data',
    ],
    stderr=subprocess.DEVNULL,
  )


@pytest.fixture
def bucket(scheme, monkeypatch, tmp_path):
  """A file system and 's3://data' or 'gs://data', an empty bucket in it."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'here'))
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    port = free.getsockname()[1]
  server = {'s3': s3_server, 'gs': gs_server}[scheme](port, monkeypatch)
  try:
    wait_for(lambda: answers(port), server)
    system = fsspec.filesystem(scheme, skip_instance_cache=True)
    if scheme == 's3':
      system.mkdir('data')
    yield system, f'{scheme}://data'
  finally:
    server.kill()
    server.wait()


def answers(port: int) -> bool:
  with socket.socket() as trial:
    return trial.connect_ex(('127.0.0.1', port)) == 0


def wait_for(condition, process: subprocess.Popen) -> None:
  until = time.monotonic() + 600
  while not condition():
    assert process.poll() is None and time.monotonic() < until, process.args
    time.sleep(0.05)


@pytest.fixture
def start():
  """Starts a command on a machine, that is with a cache of its own; ends what still runs."""
  started = []

  def start_one(*arguments: str, machine: pathlib.Path) -> subprocess.Popen:
    process = subprocess.Popen(
      [sys.executable, '-m', *arguments],
      env={**os.environ, 'XDG_CACHE_HOME': str(machine)},
      cwd=ROOT,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )
    started.append(process)
    return process

  yield start_one
  for process in started:
    process.kill()
    process.communicate()


@pytest.mark.parametrize(('scheme', 'how'), [('s3', signal.SIGTERM), ('gs', signal.SIGKILL)])
def test_a_run_in_a_bucket_goes_on_on_another_machine(
  bucket, how, start, shards, trained_run, tmp_path
):
  system, address = bucket
  system.put(f'{shards}/', f'{address}/shards/', recursive=True)
  run = f'{address}/runs/small'
  training = (
    'nodulax.main',
    *SMALL,
    f'--workdir={run}',
    f'--config.data.shards.hospital={address}/shards',
  )

  def steps_sent() -> int:
    system.invalidate_cache()
    latest = f'{run}/checkpoints/latest'
    if not system.exists(f'{run}/files.json') or not system.exists(latest):
      return 0
    return max((int(name.split('/')[-1]) for name in system.ls(latest, detail=False)), default=0)

  first = start(*training, '--config.train.checkpoint_minutes=0', machine=tmp_path / 'first')
  wait_for(lambda: steps_sent() >= 2, first)
  first.send_signal(how)
  printed, _ = first.communicate(timeout=600)
  assert steps_sent() < 8, printed
  if how == signal.SIGTERM:
    assert f'stopped and saved at step {steps_sent()} of 8' in printed

  second = start(*training, machine=tmp_path / 'second')
  printed, _ = second.communicate(timeout=600)
  assert second.returncode == 0, printed
  assert 'resuming from step' in printed
  for name in ('metrics.jsonl', 'evaluation/hospital/predictions.csv'):
    assert system.cat_file(f'{run}/{name}') == (trained_run / name).read_bytes()

  evaluation = start(
    'nodulax.evaluate',
    f'--checkpoint={run}',
    f'--dataset={address}/shards',
    f'--output={address}/evaluation',
    machine=tmp_path / 'third',
  )
  printed, _ = evaluation.communicate(timeout=600)
  assert evaluation.returncode == 0, printed
  predictions = (trained_run / 'evaluation' / 'hospital' / 'predictions.csv').read_bytes()
  assert system.cat_file(f'{address}/evaluation/predictions.csv') == predictions


@pytest.mark.parametrize('scheme', ['s3'])
def test_predictions_and_an_exported_network_go_to_a_bucket(
  bucket, start, hospital, trained_run, tmp_path
):
  system, address = bucket
  radiographs = images_in(hospital)[:2]
  for command in (
    ('nodulax.predict', f'--output={address}/findings', *map(str, radiographs)),
    ('nodulax.export', f'--output={address}/model.nodulax', f'--loader={address}/loader'),
  ):
    process = start(*command, f'--checkpoint={trained_run}', machine=tmp_path / 'first')
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    assert address in printed
  system.invalidate_cache()
  findings = system.cat_file(f'{address}/findings/findings.csv').decode()
  assert all(path.name in findings for path in radiographs)
  overlays = system.ls(f'{address}/findings/overlays', detail=False)
  assert len(overlays) == len(radiographs)
  assert system.cat_file(f'{address}/model.nodulax')[:2] == b'PK'
  assert system.exists(f'{address}/loader/nodulax/exported.py')
