"""Checkpoints of a run: the only file that knows Orbax.

WORKDIR/checkpoints/latest holds what training resumes from (state and progress, together or not at
all; the data's position follows from the step). WORKDIR/checkpoints/best holds the network that is
best on the tune split, with everything needed to use it, and the one before it, for a run that
falls back to an earlier checkpoint. Digests reveal damage.
"""

import asyncio
import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any, Self

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from etils import epath

from nodulax.checkpoints import shipped
from nodulax.checkpoints.description import Description
from nodulax.errors import NodulaxError
from nodulax.storage import folders

NEEDED = ('checkpoints/best', 'config.json')  # files of a run that its network needs
KEPT = 2  # if one is corrupt, the one before it is used


class CheckpointError(NodulaxError):
  """A checkpoint is missing, unreadable or of another kind; the message names it and the remedy."""


class Checkpoints:
  """Writes and reads the checkpoints of one run, within a `with` statement."""

  def __init__(self, workdir: epath.PathLike):
    self._folder = epath.Path(workdir).resolve() / 'checkpoints'

  def __enter__(self) -> Self:
    with contextlib.ExitStack() as stack:
      stack.enter_context(_patient_loops())  # saving continues in other threads until the end
      self._latest = stack.enter_context(contextlib.closing(_manager(self._folder / 'latest')))
      self._best = stack.enter_context(contextlib.closing(_manager(self._folder / 'best')))
      self._stack = stack.pop_all()
    return self

  def __exit__(self, *exception: Any) -> None:
    self._stack.__exit__(*exception)

  def save_latest(self, step: int, state: Any, progress: dict) -> None:
    """Saves what an exact restart needs; returns once it is copied, and writes in the background.

    Args:
      step: training steps done.
      state: one device's copy of the training state.
      progress: JSON; what else the training loop must remember.
    """
    state = _on_host(state)
    with self._writing():
      if step in self._latest.all_steps():  # saved before its evaluation, which a stop cut short
        self._latest.delete(step)
      self._latest.save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(state),
          progress=ocp.args.JsonSave({**progress, 'state_sha256': digest(state)}),
        ),
      )

  def save_best(self, variables: Any, description: Description) -> None:
    """Saves a network that beats the last best one; fills in the digest of its weights."""
    variables = _on_host(variables)
    description = dataclasses.replace(description, weights_sha256=digest(variables))
    with self._writing():
      self._best.save(
        description.step,
        args=ocp.args.Composite(
          variables=ocp.args.StandardSave(variables),
          description=ocp.args.JsonSave(description.to_json()),
        ),
      )

  def restore_latest(self, state: Any) -> tuple[int, Any, dict] | None:
    """The newest readable (step, state, progress).

    What the run wrote after that step is removed, to be done again. None if nothing was saved.

    Raises:
      CheckpointError: there are checkpoints, and none of them can be read.
    """
    steps = sorted(self._latest.all_steps(), reverse=True)
    for step in steps:
      try:
        restored = self._latest.restore(
          step,
          args=ocp.args.Composite(
            state=ocp.args.StandardRestore(_on_host(state)),
            progress=ocp.args.JsonRestore(),
          ),
        )
        progress = restored['progress']
        _require_digest(restored['state'], progress.pop('state_sha256', ''))
      except Exception as error:  # a damaged file can fail in any way, in any of four libraries
        logging.error(
          'The checkpoint of step %d is damaged and is skipped: %s: %s',
          step,
          type(error).__name__,
          str(error).split('\n')[0],
        )
        continue
      for newer in self._latest.all_steps():
        if newer > step:
          self._latest.delete(newer)
      for newer in self._best.all_steps():
        if newer > step:
          self._best.delete(newer)
      return step, restored['state'], progress
    if steps:
      raise CheckpointError(
        f'{self._latest.directory}: none of the checkpoints {steps} can be read; '
        'remove the folder to start the run again from the beginning'
      )
    return None

  def latest_path(self) -> epath.Path | None:
    """The path of the newest state; None if none was saved."""
    step = self._latest.latest_step()
    return None if step is None else self._latest.directory / str(step)

  def wait(self) -> None:
    """Waits until everything saved is on disk."""
    with self._writing():
      self._latest.wait_until_finished()
      self._best.wait_until_finished()

  @contextlib.contextmanager
  def _writing(self) -> Iterator[None]:
    """Explains a failure to write, which may be that of the last save, in the background."""
    try:
      yield
    except Exception as error:  # of a full disk, in any of three libraries
      reason = f'{type(error).__name__}: {error}'.splitlines()[0]
      raise CheckpointError(
        f'{self._latest.directory.parent}: a checkpoint could not be written: {reason}.\n'
        f'The last good one is {self.latest_path()}. Make room if the disk is full; the same '
        'command resumes from there'
      ) from error


def latest_step(workdir: epath.PathLike) -> int | None:
  """How many training steps the run in `workdir` has saved; None if there is nothing."""
  return max(_steps(epath.Path(workdir) / 'checkpoints' / 'latest'), default=None)


def finished(workdir: epath.PathLike, total_steps: int) -> bool:
  """Whether the run in `workdir` has done all its steps, and the evaluation after the last."""
  if latest_step(workdir) != total_steps:
    return False
  folder = epath.Path(workdir).resolve() / 'checkpoints' / 'latest' / str(total_steps)
  try:
    progress = _read(folder, progress=ocp.args.JsonRestore())['progress']
  except CheckpointError:
    return False
  return progress['tuned'] == total_steps


def describe(run: epath.PathLike) -> Description:
  """The description of a run's best network, or of the bundled one if `run` is 'nodulax'.

  Raises:
    CheckpointError: the folder `run` has none, or its network was trained on other crops than this
      program makes.
  """
  if str(run) == shipped.NAME:
    return shipped.description()
  restored = _read_best(run, description=ocp.args.JsonRestore())
  try:
    description = Description.from_json(restored['description'])
    description.check_inputs()
  except ValueError as error:
    raise CheckpointError(
      f'{run}: the description of its best network is damaged or of another release: {error}'
    ) from error
  return description


def load(run: epath.PathLike, variables: Any) -> Any:
  """The weights of a run's best network.

  Args:
    run: the workdir of a training run.
    variables: shapes and types that the weights must have, as `jax.eval_shape` gives them.

  Raises:
    CheckpointError: there is none, or its weights are of other shapes.
  """
  if str(run) == shipped.NAME:
    restored = shipped.variables()
  else:
    here = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), variables)
    restored = _read_best(run, variables=ocp.args.StandardRestore(here))['variables']
  try:
    _require_digest(restored, describe(run).weights_sha256)
  except ValueError as error:
    raise CheckpointError(f'{run}: its best checkpoint cannot be read: {error}') from error
  return restored


def digest(tree: Any) -> str:
  """SHA-256 of every array of a tree: its place, type, shape and values."""
  total = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    array = np.ascontiguousarray(leaf)
    total.update(f'{jax.tree_util.keystr(path)} {array.dtype} {array.shape}'.encode())
    total.update(array.tobytes())
  return total.hexdigest()


def _require_digest(tree: Any, expected: str) -> None:
  if expected and digest(tree) != expected:
    raise ValueError('its arrays are not those that were saved')


def _on_host(tree: Any) -> Any:
  """Copies to NumPy arrays, which Orbax lets one host write and every host read."""
  return jax.tree.map(np.array, tree)


def _manager(folder: epath.Path) -> ocp.CheckpointManager:
  options = ocp.CheckpointManagerOptions(
    max_to_keep=KEPT, create=True, cleanup_tmp_directories=True
  )
  return ocp.CheckpointManager(folder, options=options)


def _read_best(run: epath.PathLike, **items: ocp.args.CheckpointArgs) -> Any:
  """Reads items of the best checkpoint, and changes nothing in its folder."""
  folder = folders.fetch(run, only=NEEDED).resolve() / 'checkpoints' / 'best'
  if not folder.exists():
    raise CheckpointError(
      f'{run}: no checkpoint here; give the workdir of a training run, the folder that holds '
      '"checkpoints"'
    )
  step = max(_steps(folder), default=None)
  if step is None:
    raise CheckpointError(
      f'{run}: the run has not finished an epoch, so it has no best checkpoint yet; let it continue'
    )
  return _read(folder / str(step), **items)


def _read(checkpoint: epath.Path, **items: ocp.args.CheckpointArgs) -> Any:
  """Reads items of a checkpoint."""
  with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as reader, _patient_loops():
    try:
      return reader.restore(checkpoint, args=ocp.args.Composite(**items))
    except Exception as error:  # a damaged file can fail in any way
      reason = str(error).split('\n')[0]
      raise CheckpointError(f'{checkpoint}: cannot be read: {reason}') from error


class _PatientLoop(asyncio.SelectorEventLoop):
  """An event loop that closes only after all its tasks have ended."""

  def close(self) -> None:
    if not self.is_closed():
      self.run_until_complete(self._end_tasks())
    super().close()

  async def _end_tasks(self) -> None:
    others = asyncio.all_tasks(self) - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


@contextlib.contextmanager
def _patient_loops() -> Iterator[None]:
  """Makes new event loops wait for their tasks before they close.

  Orbax reads or writes all arrays at once and closes its loop at the first failure; each later
  failure then prints a stack trace from a thread where nothing can catch it.
  """
  usual = asyncio.new_event_loop
  asyncio.new_event_loop = _PatientLoop
  try:
    yield
  finally:
    asyncio.new_event_loop = usual


def _steps(folder: epath.Path) -> list[int]:
  """The steps of the finished checkpoints in a folder."""
  return [int(path.name) for path in folder.glob('*') if path.name.isdigit()]
