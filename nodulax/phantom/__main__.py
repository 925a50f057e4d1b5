"""python -m nodulax.phantom SOURCE --output=DIR --images=N --image_size=S --seed=K

python -m nodulax.phantom implant --images=DIR --output=DIR adds nodules to real radiographs.
"""

import argparse
import pathlib
import sys
from collections.abc import Callable, Sequence

from nodulax.phantom.hospitals.aihub import write_aihub
from nodulax.phantom.hospitals.gmc import write_gmc
from nodulax.phantom.hospitals.nih import write_nih
from nodulax.phantom.hospitals.vindr import write_vindr
from nodulax.phantom.hospitals.writing import PhantomError
from nodulax.phantom.implant import command

_WRITERS: dict[str, Callable[..., pathlib.Path]] = {
  'nih': write_nih,
  'aihub': write_aihub,
  'gmc': write_gmc,
  'vindr': write_vindr,
}


def main(arguments: Sequence[str]) -> None:
  """Writes one virtual hospital's raw download."""
  if arguments[:1] == ['implant']:
    command.main(arguments[1:])
    return
  parser = argparse.ArgumentParser(
    prog='python -m nodulax.phantom',
    description=main.__doc__,
    epilog='To add nodules to real radiographs: python -m nodulax.phantom implant --help',
  )
  parser.add_argument('source', choices=_WRITERS)
  parser.add_argument('--output', required=True, help='folder to create')
  parser.add_argument('--images', type=int, required=True, help='number of radiographs')
  parser.add_argument('--image_size', type=int, default=1024, help='pixels along the longer side')
  parser.add_argument('--seed', type=int, default=0, help='seed of patients and exposures')
  parser.add_argument('--processes', type=int, help='processes (default: one per core)')
  parser.add_argument(
    '--label_noise', type=float, help='nih only: share of wrong labels in each direction'
  )
  parser.add_argument('--masses_only', action='store_true', help='make every nodule a mass (easy)')
  given = parser.parse_args(arguments)
  options: dict[str, float | bool] = {}
  if given.masses_only:
    options['masses_only'] = True
  if given.label_noise is not None:
    if given.source != 'nih':
      parser.error('--label_noise applies to nih only: the other sources have clean labels')
    options.update(false_positives=given.label_noise, false_negatives=given.label_noise)
  try:
    folder = _WRITERS[given.source](
      given.output,
      given.images,
      given.image_size,
      given.seed,
      processes=given.processes,
      **options,
    )
  except PhantomError as error:
    parser.exit(1, f'{error}\n')
  print(f'{folder}: {given.images} simulated radiographs. For research, not a medical device.')


if __name__ == '__main__':
  main(sys.argv[1:])
