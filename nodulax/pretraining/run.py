"""Trains the network bundled with nodulax, from backgrounds to checkpoint."""

import contextlib
import dataclasses
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from etils import epath
from ml_collections import ConfigDict

from nodulax.checkpoints import checkpoint, networks, typed_json
from nodulax.checkpoints.description import Description
from nodulax.distributed import inference, parallel
from nodulax.errors import OptionError
from nodulax.evaluation import thresholds
from nodulax.input.prepared import Prepared
from nodulax.input.shards import Case
from nodulax.model import pretrained
from nodulax.model.build import build_network
from nodulax.model.heads import CELL
from nodulax.phantom.implant import CTNodules
from nodulax.pretraining import batches, mining
from nodulax.pretraining.backgrounds import read_backgrounds
from nodulax.pretraining.batches import Batch, Plan
from nodulax.pretraining.views import Lesions, Look, Views
from nodulax.radiograph.augmentation import Augmentation
from nodulax.radiograph.preprocessing import Preprocessing
from nodulax.training import workdir
from nodulax.training.interruption import Interrupted, Interruption
from nodulax.training.logbook import Logbook
from nodulax.training.losses import Loss
from nodulax.training.step import State, initial_state, step_function


@flax.struct.dataclass
class Pretraining:
  """What a step of the training changes.

  Attributes:
    state: training state of the network that learns.
    average: moving average of its weights, which becomes the final network.
    pool: u8[P, s, s, 1], crops where the network saw a nodule and there is none.
    pooled: i32[], how many of them were mined; the others are black.
  """

  state: State
  average: Any
  pool: Any
  pooled: Any

  @property
  def variables(self) -> dict[str, Any]:
    return {'params': self.average, 'batch_stats': self.state.batch_stats}


def optimizer(
  *, learning_rate: float, weight_decay: float, clip: float, warmup_steps: int, steps: int
) -> optax.GradientTransformation:
  """AdamW under a cosine schedule with a linear start; gradients are clipped by global norm.

  Raises:
    ValueError: the linear start is as long as the training.
  """
  if warmup_steps >= steps:
    raise OptionError(
      f'config.optimizer.warmup_steps is {warmup_steps}; it must be below the {steps} steps'
    )
  schedule = optax.warmup_cosine_decay_schedule(
    0.0, learning_rate, warmup_steps, steps, learning_rate * 0.01
  )
  return optax.chain(
    optax.clip_by_global_norm(clip), optax.adamw(schedule, weight_decay=weight_decay)
  )


def averaging(step: Any, decay: float) -> Any:
  """A training step that also moves the average of the weights.

  Args:
    step: what `step_function` returns.
    decay: decay of the average, in (0, 1); smaller at the start, where weights change fast.
  """

  def both(state: State, average: Any, batch: Batch) -> tuple[State, Any, dict]:
    state, metrics = step(state, batch)
    count = state.step.astype(jnp.float32)
    keep = jnp.minimum(decay, (1 + count) / (10 + count))
    average = jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, average, state.params)
    return state, average, metrics

  return both


class Run:
  """One training of the bundled network.

  Args:
    config: as `configs/pretrain.py` describes it.
    folder: the workdir.
  """

  def __init__(self, config: ConfigDict, folder: epath.Path):
    self._config = config
    self._folder = folder
    self._devices = parallel.devices(1)
    self._preprocessing = Preprocessing.from_dict(config.preprocessing.to_dict())
    self._plan = Plan(**config.plan)
    self._views, self._tune = self._read_data()
    self._network = typed_json.construct(build_network, dict(config.model), 'config.model')
    self._optimizer = optimizer(**config.optimizer, steps=self._plan.steps)
    self._predictor = inference.Predictor(self._network, self._devices)

  def _read_data(self) -> tuple[Views, Batch]:
    """Views to train on, and a fixed set of views of other patients and other nodules."""
    data = self._config.data
    lesions = typed_json.construct(Lesions, self._config.lesions.to_dict(), 'config.lesions')
    look = typed_json.construct(Look, self._config.look.to_dict(), 'config.look')
    augmentation = Augmentation(**self._config.augmentation)
    train, tune = read_backgrounds(data.backgrounds, data.tune_images)
    print(f'{len(train)} radiographs to train on, {len(tune)} of other patients to tune on')
    parts = []
    for backgrounds, scans in ((train, 'train'), (tune, 'tune')):
      nodules = CTNodules(data.nodules, scans) if data.nodules else None
      parts.append(Views(backgrounds, nodules, self._preprocessing, lesions, look, augmentation))
    views, tuning = parts
    return views, batches.whole_views(tuning, data.tune_views, 1.0, [self._config.seed, 3])

  def train(self, interruption: Interruption) -> None:
    """Trains from the start, or from where the last call stopped.

    Raises:
      Interrupted: after SIGINT or SIGTERM; the run is saved.
    """
    with checkpoint.Checkpoints(self._folder) as checkpoints:
      self._train(checkpoints, interruption)

  def _train(self, checkpoints: checkpoint.Checkpoints, interruption: Interruption) -> None:
    config, plan = self._config, self._plan
    progress: dict[str, Any] = {'best': -1.0, 'logs': {}}
    now = self._initial()
    if restored := checkpoints.restore_latest(now):
      step, now, progress = restored
      print(f'{config.name}: resumes at step {step} of {plan.steps}')
    start = int(now.state.step)
    workdir.cut_back_logs(self._folder, progress['logs'])
    steps = {whole: self._mapped_step(whole) for whole in (False, True)}
    stream = batches.batches(self._views, plan, config.seed, start, config.data.worker_processes)
    log = Logbook(
      self._folder,
      name=config.name,
      first_step=start,
      total_steps=plan.steps,
      batch_size=plan.batch_size,
      log_every=config.train.log_every,
    )
    pool = mining.Pool(np.array(now.pool), int(now.pooled))
    state, average = (parallel.replicate(tree, self._devices) for tree in (now.state, now.average))

    def saved(step: int) -> None:
      log.flush()
      progress['logs'] = workdir.log_sizes(self._folder)
      now = Pretraining(
        parallel.first(state), parallel.first(average), pool.crops, np.int32(pool.count)
      )
      checkpoints.save_latest(step, now, progress)

    with interruption.held(), log, contextlib.closing(stream):
      for step in range(start, plan.steps):
        whole = step >= plan.first_whole_step
        if not whole and step % config.train.mine_every == 0 and step > 0:
          variables = {'params': average, 'batch_stats': state.batch_stats}
          self._mine(pool, variables, step)
          log.resume_clock(step)
        with log.waiting_for_data():
          batch = next(stream)
        if not whole:
          batch = pool.fill_in(batch, plan.mined, np.random.default_rng([config.seed, 4, step]))
        state, average, metrics = steps[whole](state, average, parallel.split(batch, self._devices))
        done = step + 1
        scalars = {name: float(value) for name, value in parallel.first(metrics).items()}
        if not np.isfinite(list(scalars.values())).all():
          raise FloatingPointError(f'step {done}: the loss is not finite: {scalars}')
        log.train(done, scalars)
        if done % config.train.tune_every == 0 or done == plan.steps:
          variables = {'params': average, 'batch_stats': state.batch_stats}
          self._evaluate(checkpoints, variables, done, progress, log)
        if done % config.train.save_every == 0 or done == plan.steps or interruption.asked:
          saved(done)
          log.resume_clock(done)
        if interruption.asked and done < plan.steps:
          checkpoints.wait()
          raise Interrupted(f'{config.name}: stopped and saved at step {done} of {plan.steps}')
      checkpoints.wait()

  def _initial(self) -> Pretraining:
    state = initial_state(self._network, self._optimizer, self._config.seed, self._plan.crop_size)
    if start := self._config.init.checkpoint:
      _, source = networks.load_network(start)
      variables, _ = pretrained.load_network(source, state.variables, sub_network=True)
      state = dataclasses.replace(
        state, params=variables['params'], batch_stats=variables['batch_stats']
      )
    return Pretraining(state, state.params, *mining.empty(self._config.train.pool, self._plan))

  def _mapped_step(self, whole: bool) -> Any:
    """The step for crops or for whole views.

    The pixel loss is summed over a map's cells, whatever its size.
    """
    side = self._preprocessing.image_size if whole else self._plan.crop_size
    weight = self._config.loss.cell_weight * (side // CELL) ** 2
    step = step_function(self._network, self._optimizer, Loss(weight))
    return parallel.map_devices(
      averaging(step, self._config.train.average), self._devices, donate=(0, 1)
    )

  def _mine(self, pool: mining.Pool, variables: Any, step: int) -> None:
    seed = [self._config.seed, 5, step]
    seen = batches.whole_views(
      self._views, self._config.train.mine_views, step / self._plan.steps, seed
    )
    _, heat_maps = self._predict(variables, seen)
    pool.add(mining.wrong_crops(seen, heat_maps, self._plan.crop_size))

  def _predict(self, variables: Any, seen: Batch) -> tuple[np.ndarray, np.ndarray]:
    size = 8
    images = seen['image']
    parts = [
      {'image': part, 'valid': np.arange(size) < len(images) - at}
      for at in range(0, len(images), size)
      for part in [np.resize(images[at : at + size], (size, *images.shape[1:]))]
    ]
    return self._predictor(variables, parts)

  def _evaluate(
    self,
    checkpoints: checkpoint.Checkpoints,
    variables: Any,
    step: int,
    progress: dict[str, Any],
    log: Logbook,
  ) -> None:
    """Scores the average on the tune views, and keeps it if it is the best so far.

    The best has the highest mean of AUC and of the share of nodules that the hottest cell lies on.
    """
    probability, heat_maps = self._predict(variables, self._tune)
    frozen = thresholds.freeze_thresholds(_as_split(self._tune), probability, heat_maps)
    on_nodule = mining.hottest_on_nodule(heat_maps, self._tune['truth'])
    scalars = {'auc': frozen.tune_auc, 'hottest_on_nodule': on_nodule}
    score = sum(scalars.values()) / 2
    best = score > progress['best']
    log.tune(step, step // self._config.train.tune_every, scalars, best)
    if best:
      progress['best'] = score
      checkpoints.save_best(
        parallel.first(variables),
        Description(
          self._config.name,
          self._config.model.to_dict(),
          self._preprocessing,
          frozen,
          step,
          seen=self._config.data.seen,
        ).with_inputs(),
      )


def _as_split(seen: Batch) -> Prepared:
  """Views as a prepared split, each of its own patient."""
  known = dataclasses.fields(Case)
  cases = []
  for number, label in enumerate(seen['label']):
    values: dict[str, Any] = {field.name: 'unknown' for field in known}
    values |= {
      'image_id': str(number),
      'patient_id': str(number),
      'label': int(label),
      'location_known': True,
      'boxes': (),
      'lung_box': (),
      'height': 0,
      'width': 0,
      'age': float('nan'),
      'pixel_spacing_mm': (float('nan'), float('nan')),
      'nodule_diameter_mm': float('nan'),
    }
    cases.append(Case(**values))
  count = len(cases)
  return Prepared(
    'implants', 'tune', cases, seen['image'][..., 0], seen['mask'], np.zeros(count), None
  )
