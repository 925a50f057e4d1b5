"""Two hosts of two devices each do what one host of any size does."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nodulax.checkpoints import checkpoint
from nodulax.distributed import hosts

ROOT = pathlib.Path(__file__).parents[2]


def free_port() -> int:
  with socket.socket() as listener:
    listener.bind(('localhost', 0))
    return listener.getsockname()[1]


def start_both(*command: str) -> list[subprocess.Popen]:
  """The same command in two processes of two devices, each told where the other is."""
  address = f'--coordinator=localhost:{free_port()}'
  environment = {**os.environ, 'XLA_FLAGS': os.environ['XLA_FLAGS'].replace('count=4', 'count=2')}
  return [
    subprocess.Popen(
      [sys.executable, *command, address, '--processes=2', f'--process_id={number}'],
      cwd=ROOT,
      env=environment,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )
    for number in (0, 1)
  ]


def outputs(processes: list[subprocess.Popen]) -> list[str]:
  try:
    return [process.communicate(timeout=540)[0] for process in processes]
  finally:
    for process in processes:
      process.kill()


STEP = """
import sys
import jax, numpy as np
from nodulax.distributed import hosts, parallel
coordinator, processes, process_id = (flag.split('=')[1] for flag in sys.argv[2:])
hosts.join(coordinator, int(processes), int(process_id))
from tests.distributed import test_hosts, test_parallel
devices = parallel.devices()
agreement = parallel.Agreement(devices)
asked = [agreement(jax.process_index() == 1 and call >= 1, False) for call in range(4)]
share = test_parallel.BATCH // 2
mine = slice(jax.process_index() * share, (jax.process_index() + 1) * share)
batch = {name: values[mine] for name, values in test_parallel.whole_batch().items()}
gradient = test_hosts.flat(*test_parallel.one_sgd_step('pixel', devices, batch=batch)[:2])
np.savez(sys.argv[1] + f'/{jax.process_index()}.npz', gradient=gradient, asked=asked,
  together=hosts.together(np.array([jax.process_index()])),
  first=hosts.first_says(jax.process_index() == 0))
"""


def flat(before, after) -> np.ndarray:
  """The gradient: with a rate of 1 the parameters moved by it."""
  moved = jax.tree.map(jnp.subtract, before.params, after.params)
  return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(moved)])


def test_two_hosts_take_the_gradient_of_one_and_agree(tmp_path):
  from tests.distributed import test_parallel

  printed = outputs(start_both('-c', STEP, str(tmp_path)))
  alone = flat(*test_parallel.one_sgd_step('pixel', 1)[:2])
  for number in (0, 1):
    assert (tmp_path / f'{number}.npz').exists(), printed[number]
    found = np.load(tmp_path / f'{number}.npz')
    assert np.linalg.norm(found['gradient'] - alone) < 1e-5 * np.linalg.norm(alone)
    # The second host asks from the second call on; both hear of it at the third.
    assert found['asked'].tolist() == [[False, False]] * 2 + [[True, False]] * 2
    assert found['together'].tolist() == [0, 1]
    assert found['first']


@pytest.mark.slow
def test_two_hosts_train_stop_together_and_go_on(shards, tmp_path):
  from tests.end_to_end.kill_stress import tensorboard_points

  folder = tmp_path / 'run'
  command = (
    '-m',
    'nodulax.main',
    '--config=configs/default.py',
    f'--workdir={folder}',
    '--config.data.train=hospital',
    f'--config.data.shards.hospital={shards}',
    "--config.data.evaluate=('hospital',)",
    '--config.preprocessing.image_size=64',
    '--config.model.size=tiny',
    '--config.train.epochs=4',
    '--config.train.batch_size=8',
    '--config.train.log_every=1',
    '--config.train.checkpoint_minutes=0',
    f'--config.data.cache_dir={tmp_path / "cache"}',
  )
  processes = start_both(*command)
  while processes[0].poll() is None and (checkpoint.latest_step(folder) or 0) < 2:
    time.sleep(0.05)
  processes[1].send_signal(signal.SIGTERM)  # the one that writes nothing
  printed = outputs(processes)
  step = checkpoint.latest_step(folder)
  # The cache is on a disk that both see: one prepares, the other takes it.
  assert 'preprocessing gmc_nodule train' in printed[0]
  assert 'preprocessing gmc_nodule train' not in printed[1]
  for text in printed:
    assert f'stopped and saved at step {step} of 16' in text, text
    assert 'Traceback' not in text
  assert step < 16

  processes = start_both(*command)
  printed = outputs(processes)
  assert [process.returncode for process in processes] == [0, 0], printed
  assert f'resuming from step {step} of 16' in printed[0]
  assert 'AUC' in printed[0] and 'AUC' not in printed[1]
  assert checkpoint.latest_step(folder) == 16
  logged = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
  assert [line['step'] for line in logged if 'loss' in line] == list(range(1, 17))
  assert [line['step'] for line in logged if 'tune_auc' in line] == [4, 8, 12, 16]
  points = tensorboard_points(folder)
  assert len(points) == len(set(points))
  assert [step for step, tag in points if tag == 'train/loss'] == list(range(1, 17))
  assert (folder / 'evaluation' / 'hospital' / 'metrics.json').exists()


@pytest.mark.parametrize(
  'arguments', [('host:1', 0, -1), ('', 2, -1), ('host:1', 2, -1), ('', 2, 0)]
)
def test_half_of_the_flags_is_an_error_that_names_them(arguments):
  with pytest.raises(hosts.HostsError, match='--coordinator=HOST:PORT, --processes=N'):
    hosts.join(*arguments)


def test_slurm_and_kubernetes_say_whether_there_are_several():
  assert not hosts._one_of_several({})
  assert not hosts._one_of_several({'SLURM_NTASKS': '4'})  # a batch script outside of srun
  assert not hosts._one_of_several({'SLURM_STEP_NUM_TASKS': '1'})
  assert hosts._one_of_several({'SLURM_STEP_NUM_TASKS': '2'})
  assert not hosts._one_of_several({'TPU_WORKER_HOSTNAMES': 'localhost'})
  assert hosts._one_of_several({'TPU_WORKER_HOSTNAMES': 'a,b'})


def test_a_slurm_task_takes_its_own_gpus():
  def own(visible, tasks):
    return hosts._own_gpus({'CUDA_VISIBLE_DEVICES': visible, 'SLURM_STEP_TASKS_PER_NODE': tasks})

  assert hosts._own_gpus({}) is None
  assert own('0,1', '1(x2)') == [0, 1]  # one task on each of two nodes
  assert own('3', '4') == [0]  # shown its own alone
  assert own('0,1,2,3', '4(x2)') is None  # JAX's own rule: the one of its number
