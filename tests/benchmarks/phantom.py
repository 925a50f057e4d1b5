"""Seconds of one core that a simulated radiograph costs: python tests/benchmarks/phantom.py"""

import time

import cv2
import numpy as np

from nodulax.phantom.anatomy.nodule import draw_nodule
from nodulax.phantom.hospitals.profiles import NIH
from nodulax.phantom.imaging.radiography import simulate


def seconds_an_image(image_size: int, images: int) -> float:
  """Median processor time."""
  spent = []
  for number in range(images + 1):
    rng = np.random.default_rng([1, number])
    patient, pose = NIH.patient(rng), NIH.pose(rng)
    equipment = NIH.equipment(rng, bedside=pose.view == 'AP')
    extras = NIH.draw_extras(rng, pose)
    start = time.process_time()
    simulate(patient, pose, equipment, image_size, [draw_nodule(rng)], extras)
    spent.append(time.process_time() - start)
  return float(np.median(spent[1:]))


if __name__ == '__main__':
  cv2.setNumThreads(1)
  for side in (256, 512, 1024):
    print(f'{side:5d} pixels a side: {seconds_an_image(side, 12):.3f} s')
