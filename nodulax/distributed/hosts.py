"""Several hosts that each run the same command: how they find each other and work together.

Every host runs the whole of `train`, with its own part of each batch. Only the first writes logs,
pictures and evaluations; all write checkpoints together. The workdir must be on storage that all
of them see.
"""

import os
import pathlib

import jax
import numpy as np
from jax.experimental import multihost_utils

from nodulax.errors import NodulaxError

_SHARED = 'shared-by-hosts'  # file that shows whether a folder is shared


class HostsError(NodulaxError):
  """The hosts cannot find each other; the message names the flag or variable at fault."""


def join(coordinator: str = '', processes: int = 0, process_id: int = -1) -> None:
  """Joins this process to the others, if any; call it before anything else uses JAX.

  They are found, in this order, through
  1. the arguments,
  2. SLURM, for a step of several tasks,
  3. the variables of a TPU pod on Kubernetes, or, with coordinator='auto', whatever
     `jax.distributed.initialize` finds: a TPU pod on Compute Engine, Open MPI, Kubernetes.
  Otherwise this process runs alone.

  Args:
    coordinator: address and port of the first process, or 'auto'.
    processes: number of processes.
    process_id: index of this process, from 0.

  Raises:
    HostsError: some arguments are missing, or nothing was found.
  """
  given = (bool(coordinator), processes > 0, process_id >= 0)
  # Its handler of SIGTERM would replace ours.
  jax.config.update('jax_enable_preemption_service', False)
  # On CPUs two computations at once may wait for each other across hosts.
  jax.config.update('jax_cpu_enable_async_dispatch', False)
  if all(given):
    jax.distributed.initialize(coordinator, processes, process_id, _own_gpus(os.environ))
  elif coordinator == 'auto' or (not any(given) and _one_of_several(os.environ)):
    try:
      jax.distributed.initialize(local_device_ids=_own_gpus(os.environ))
    except ValueError as error:
      raise HostsError(
        f'no other hosts were found ({error}); give --coordinator=HOST:PORT, --processes=N and '
        '--process_id=I'
      ) from error
  elif any(given):
    raise HostsError(
      '--coordinator=HOST:PORT, --processes=N and --process_id=I belong together; '
      '--coordinator=auto finds them by itself on a TPU pod and under SLURM'
    )
  wait('joined')


def _one_of_several(environment: os._Environ | dict[str, str]) -> bool:
  """Whether SLURM or Kubernetes started several processes."""
  tasks = environment.get('SLURM_STEP_NUM_TASKS', '1')  # of this step; 1 outside of srun
  workers = environment.get('TPU_PROCESS_ADDRESSES') or environment.get('TPU_WORKER_HOSTNAMES', '')
  return int(tasks) > 1 or ',' in workers


def _own_gpus(environment: os._Environ | dict[str, str]) -> list[int] | None:
  """Which of the GPUs that a SLURM task sees are its own; None leaves that to JAX.

  JAX gives each task one GPU, by its number on the node. That is wrong for the only task of a node,
  which takes all, and where SLURM shows each task only its own GPUs.
  """
  visible = environment.get('CUDA_VISIBLE_DEVICES', '')
  tasks_here = environment.get('SLURM_STEP_TASKS_PER_NODE', '').split('(')[0].split(',')[0]
  own = visible.split(',') if visible else []
  if own and (tasks_here == '1' or len(own) == 1):
    return list(range(len(own)))
  return None


def several() -> bool:
  return jax.process_count() > 1


def is_first() -> bool:
  """Whether this host writes what is written once."""
  return jax.process_index() == 0


def first_says(answer: bool) -> bool:
  """The first host's answer, on every host."""
  if jax.process_count() == 1:
    return answer
  return bool(multihost_utils.broadcast_one_to_all(np.asarray(answer)))


def together(values: np.ndarray) -> np.ndarray:
  """The `values [n, ...]` of every host, on every host: [hosts * n, ...]."""
  if jax.process_count() == 1:
    return values
  return np.asarray(multihost_utils.process_allgather(values, tiled=True))


def wait(where: str) -> None:
  """Waits until every host has reached this point, which has the same name on all."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(where)


def share_folder(folder: str | os.PathLike) -> bool:
  """Whether this host sees the first host's folder of that name; all hosts must call it together.

  '' means no folder, which is never shared.
  """
  if not several() or not folder:
    return False
  mark = pathlib.Path(folder) / _SHARED
  if is_first():
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
  else:
    mark.unlink(missing_ok=True)  # of a start that was killed, on a disk of this host's own
  wait('marked a folder')
  if is_first():
    mark.touch()  # if another host removed it, the disk is shared
  wait('marked a folder again')
  shared = mark.exists()
  wait('looked at a folder')
  mark.unlink(missing_ok=True)
  return shared


def tell(message: object) -> None:
  """Prints a line, once for all hosts."""
  if is_first():
    print(message)
