"""Trains the network that finds the lung box, only on simulated radiographs.

  python -m nodulax.phantom.train_lungs --output=lung_network.npz

It takes some twenty minutes on two cores. `radiograph/lungs.py` reads the file from its own folder.
"""

import argparse
import dataclasses
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.progress import track

from nodulax.phantom import simulate
from nodulax.phantom.anatomy.extras import DEVICES, FINDINGS
from nodulax.phantom.anatomy.patient import draw_patient, draw_pose
from nodulax.phantom.hospitals.profiles import AIHUB, GMC, NIH, VINDR
from nodulax.radiograph import lung_network
from nodulax.radiograph.lungs import network_input

HOSPITALS = (NIH, AIHUB, GMC, VINDR)
_SIZE = 160  # of the simulated radiographs
Pair = tuple[np.ndarray, np.ndarray]


def simulated(seed: int) -> Pair:
  """A random patient in a random X-ray room: u8[160, 160], bright where dense, and the lungs,
  bool[160, 160].

  We chose ranges that are wider than in any single hospital.
  """
  cv2.setNumThreads(1)
  rng = np.random.default_rng(seed)
  hospital = HOSPITALS[rng.integers(len(HOSPITALS))]
  room = hospital.equipment(rng)
  look = dataclasses.replace(
    room.processing,
    latitude=float(rng.uniform(0.5, 1)),
    window=(float(rng.uniform(0, 4)), float(rng.uniform(96, 100))),
    bits=8,
  )
  room = dataclasses.replace(
    room, field_mm=(float(rng.uniform(330, 460)), float(rng.uniform(330, 460))), processing=look
  )
  extras = [name for name in (*DEVICES, *FINDINGS) if rng.random() < 0.12]
  radiograph = simulate(draw_patient(rng), draw_pose(rng, ap_share=0.4), room, _SIZE, extras=extras)
  return radiograph.pixels, radiograph.lungs


def spoilt(pixels: np.ndarray, lungs: np.ndarray, rng: np.random.Generator) -> Pair:
  """Varies a simulated radiograph as archives do: crops, exposures, diseases and film borders.

  Returns:
    u8[160, 160], and how much of each pixel is lung, f32[160, 160] in [0, 1].
  """
  film = pixels.astype(np.float32) / 255
  truth = lungs.astype(np.float32)
  film = _consolidated(film, truth, rng)
  film = _exposed(film, rng)
  film, truth = _placed(film, truth, rng)
  film, truth = _collimated(film, truth, rng)
  film = _labelled(film, rng)
  film += rng.normal(0, rng.uniform(0, 0.03), film.shape).astype(np.float32)
  return (np.clip(film, 0, 1) * 255).astype(np.uint8), truth


def _consolidated(film: np.ndarray, lungs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Makes parts of the lungs, sometimes most of one, as dense as the soft tissue beside them."""
  rows, columns = np.mgrid[:_SIZE, :_SIZE].astype(np.float32)
  opacity = np.zeros_like(film)
  for _ in range(rng.poisson(0.7)):
    row, column = rng.uniform(0.2, 0.9) * _SIZE, rng.uniform(0.1, 0.9) * _SIZE
    height, width = rng.uniform(0.05, 0.4, 2) * _SIZE
    distance = ((rows - row) / height) ** 2 + ((columns - column) / width) ** 2
    edge = rng.uniform(0.5, 4)
    opacity = np.maximum(opacity, rng.uniform(0.3, 1) * np.exp(-(distance**edge)))
  dense = np.percentile(film, rng.uniform(60, 90))
  return film + opacity * lungs * np.maximum(dense - film, 0)


def _exposed(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Changes gamma, window and evenness of the exposure; some images are sharpened or equalized."""
  rows, columns = np.mgrid[-1 : 1 : _SIZE * 1j, -1 : 1 : _SIZE * 1j].astype(np.float32)
  slope = rng.normal(0, 0.12, 2)
  film = film + np.float32(slope[0]) * rows + np.float32(slope[1]) * columns
  low, high = rng.uniform(-0.1, 0.15), rng.uniform(0.75, 1.3)
  film = np.clip((film - low) / (high - low), 0, 1) ** np.float32(np.exp(rng.normal(0, 0.5)))
  if rng.random() < 0.2:
    equalizer = cv2.createCLAHE(rng.uniform(1, 6), (8, 8))
    film = equalizer.apply((film * 255).astype(np.uint8)).astype(np.float32) / 255
  if rng.random() < 0.5:
    film = cv2.GaussianBlur(film, (0, 0), rng.uniform(0.3, 1.8))
  return film


def _placed(film: np.ndarray, lungs: np.ndarray, rng: np.random.Generator) -> Pair:
  """Changes place, size, angle and proportions of the body in the image."""
  mirrored = -1 if rng.random() < 0.5 else 1
  scale = np.exp(rng.uniform(np.log(0.6), np.log(1.6)))
  stretch = np.exp(rng.normal(0, 0.1))
  angle, shear = np.deg2rad(rng.normal(0, 6)), rng.normal(0, 0.04)
  rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
  matrix = rotation @ np.array([[mirrored * stretch, shear], [0, 1 / stretch]]) * scale
  centre = np.array([_SIZE / 2, _SIZE / 2])
  # An image larger than the body is not always centred on it; one of the same size usually is.
  shift = rng.normal(0, 0.03 + 0.12 * abs(np.log(scale)), 2) * _SIZE
  affine = np.column_stack([matrix, centre - matrix @ centre + shift])
  size = (_SIZE, _SIZE)
  beyond = cv2.BORDER_CONSTANT if rng.random() < 0.7 else cv2.BORDER_REPLICATE
  fill = float(rng.choice([0.0, 0.0, 1.0, rng.random()]))
  film = cv2.warpAffine(film, affine, size, borderMode=beyond, borderValue=(fill,))
  return film, cv2.warpAffine(lungs, affine, size)


def _collimated(film: np.ndarray, lungs: np.ndarray, rng: np.random.Generator) -> Pair:
  """Adds collimator blades or film edges, black or white, slightly oblique to the image's sides."""
  film, lungs = film.copy(), lungs.copy()
  for side in range(4):
    if rng.random() < 0.2:
      width, slant = rng.uniform(0, 0.12) * _SIZE, rng.normal(0, 0.015) * _SIZE
      corners = np.array([[0, 0], [_SIZE, 0], [_SIZE, width + slant], [0, width - slant]])
      for _ in range(side):
        corners = np.column_stack([_SIZE - corners[:, 1], corners[:, 0]])
      blade = [corners.round().astype(np.int32)]
      cv2.fillPoly(film, blade, float(rng.choice([0.0, 0.0, 1.0, rng.random()])))
      cv2.fillPoly(lungs, blade, 0.0)
  return film, lungs


def _labelled(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Adds labels and blacked-out names in the corners and at the edges."""
  for _ in range(rng.poisson(1.0)):
    x, y = rng.integers(0, _SIZE, 2)
    width, height = rng.integers(3, 24, 2)
    if max(abs(x - _SIZE / 2), abs(y - _SIZE / 2)) > 0.4 * _SIZE:
      film[y : y + height, x : x + width] = rng.choice([0.0, 1.0])
  return film


def batches(library: list[Pair], size: int, rng: np.random.Generator) -> Iterator[Pair]:
  """Yields (f32[size, 128, 128, 2], f32[size, 64, 64] in [0, 1]) forever."""
  target_size = (lung_network.OUTPUT_SIZE, lung_network.OUTPUT_SIZE)
  while True:
    films, targets = [], []
    for index in rng.integers(len(library), size=size):
      pixels, lungs = library[index]
      film, lungs = spoilt(pixels, lungs, rng)
      films.append(network_input(film))
      targets.append(cv2.resize(lungs, target_size, interpolation=cv2.INTER_AREA))
    yield np.stack(films), np.stack(targets)


def initial_parameters(rng: np.random.Generator) -> lung_network.Parameters:
  """Weights as He et al. (2015) draw them."""
  parameters = {}
  for name, shape in lung_network.kernel_shapes().items():
    deviation = np.sqrt(2 / np.prod(shape[:3]))
    parameters[f'{name}/kernel'] = rng.normal(0, deviation, shape).astype(np.float32)
    parameters[f'{name}/bias'] = np.zeros(shape[-1], np.float32)
  return parameters


def loss(parameters: lung_network.Parameters, films: jax.Array, targets: jax.Array) -> jax.Array:
  """Binary cross-entropy plus one minus the mean soft Dice."""
  logits = lung_network.lung_logits(parameters, films, jnp)
  entropy = optax.sigmoid_binary_cross_entropy(logits, targets).mean()
  probability = jax.nn.sigmoid(logits)
  overlap = 2 * (probability * targets).sum((1, 2)) + 1
  dice = overlap / (probability.sum((1, 2)) + targets.sum((1, 2)) + 1)
  return entropy + 1 - dice.mean()


def train(
  library: list[Pair], steps: int, batch_size: int, learning_rate: float, rng: np.random.Generator
) -> lung_network.Parameters:
  """Trains with Adam and a one-cycle learning rate, whose highest value is given."""
  schedule = optax.cosine_onecycle_schedule(steps, learning_rate)
  optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
  parameters = initial_parameters(rng)
  state = optimizer.init(parameters)

  @jax.jit
  def step(parameters: Any, state: Any, films: jax.Array, targets: jax.Array) -> tuple:
    value, gradients = jax.value_and_grad(loss)(parameters, films, targets)
    updates, state = optimizer.update(gradients, state)
    return optax.apply_updates(parameters, updates), state, value

  stream = batches(library, batch_size, rng)
  recent = []
  for number in track(range(1, steps + 1), 'learning'):
    parameters, state, value = step(parameters, state, *next(stream))
    recent.append(value)
    if number % 500 == 0:
      print(f'step {number}: loss {np.mean(recent):.4f}')
      recent.clear()
  return parameters


def main() -> None:
  """Trains the network that finds the lung box, only on simulated radiographs."""
  parser = argparse.ArgumentParser(
    prog='python -m nodulax.phantom.train_lungs', description=main.__doc__
  )
  parser.add_argument('--output', required=True, help='.npz file to write')
  parser.add_argument('--radiographs', type=int, default=3000, help='how many to simulate')
  parser.add_argument('--steps', type=int, default=5000, help='batches to train on')
  parser.add_argument('--batch_size', type=int, default=16, help='radiographs per batch')
  parser.add_argument('--learning_rate', type=float, default=2e-3, help='highest of the cycle')
  parser.add_argument('--seed', type=int, default=0, help='seed of everything random')
  arguments = parser.parse_args()
  rng = np.random.default_rng(arguments.seed)
  seeds = rng.integers(2**63, size=arguments.radiographs).tolist()
  with ProcessPoolExecutor(os.cpu_count(), get_context('spawn')) as pool:
    results = pool.map(simulated, seeds, chunksize=16)
    library = list(track(results, 'simulating', total=len(seeds)))
  cv2.setNumThreads(1)
  parameters = train(library, arguments.steps, arguments.batch_size, arguments.learning_rate, rng)
  # Half precision moves the edges of the box by much less than a pixel.
  halves: dict[str, Any] = jax.tree.map(lambda value: np.asarray(value, np.float16), parameters)
  np.savez_compressed(arguments.output, **halves)
  print(f'{arguments.output}: {os.path.getsize(arguments.output):,} bytes')


if __name__ == '__main__':
  main()
