"""Makes the mean frontal radiograph that `nodulax.radiograph.guard` compares images with.

  python -m nodulax.phantom.frontal_template --output=frontal_template.npz

It takes a minute on two cores and uses simulated radiographs only.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from rich.progress import track

from nodulax.phantom.train_lungs import simulated
from nodulax.radiograph.guard import arrangement
from nodulax.radiograph.lungs import find_lung_box


def simulated_arrangement(seed: int) -> np.ndarray | None:
  """The arrangement of a simulated radiograph; None if its lungs are not found."""
  pixels, _ = simulated(seed)
  lungs = find_lung_box(pixels)
  return arrangement(pixels.shape, lungs) if lungs.found else None


def main() -> None:
  """Makes the mean frontal radiograph that images are compared with before prediction."""
  parser = argparse.ArgumentParser(
    prog='python -m nodulax.phantom.frontal_template', description=main.__doc__
  )
  parser.add_argument('--output', required=True, help='.npz file to write')
  parser.add_argument('--radiographs', type=int, default=400, help='how many to simulate')
  arguments = parser.parse_args()
  seeds = range(arguments.radiographs)
  with ProcessPoolExecutor(os.cpu_count(), get_context('spawn')) as pool:
    results = pool.map(simulated_arrangement, seeds, chunksize=8)
    found = [one for one in track(results, 'simulating', total=len(seeds)) if one is not None]
  mean = np.mean(found, axis=0)
  mean /= np.sqrt(np.mean(mean**2, axis=(1, 2), keepdims=True))
  np.savez_compressed(arguments.output, arrangement=mean.astype(np.float16))
  print(
    f'{arguments.output}: the mean of {len(found)}, {os.path.getsize(arguments.output):,} bytes'
  )


if __name__ == '__main__':
  main()
