"""python -m nodulax.phantom implant --images=DIR --output=DIR [--nodules=DIR]"""

import argparse
from collections.abc import Sequence

from nodulax.phantom.hospitals.writing import PhantomError
from nodulax.phantom.implant.errors import ImplantError
from nodulax.phantom.implant.hospital import NOTICE, write_implants

_DESCRIPTION = """
Puts lung nodules of known place, size and outline into real normal radiographs.

The lungs of each radiograph are found, with the parts behind the heart and below the diaphragm. Its
grey levels tell how much a centimetre of tissue brightens it. A nodule is then added as physics
says, anywhere in the lungs, and blurred as the picture is. What is written is a hospital's folder
that `python -m tfds_builders build gmc_nodule --config=hospital` takes as it is: images/, masks/
(the exact outlines), manifest.csv, and phantom_truth.csv with every nodule. Names and identifiers
of the radiographs are not passed on; what is burnt into their pixels is.
"""
_EPILOG = """
examples:
  a folder of normal radiographs, simulated nodules alone:
    python -m nodulax.phantom implant --images=normals --output=implants
  a manifest, so that images of one patient stay together, and nodules from CT (LUNA16):
    python -m nodulax.phantom implant --images=hospital/manifest.csv --nodules=luna \\
      --output=implants
  then:
    python -m tfds_builders build gmc_nodule --config=hospital --manual_dir=implants \\
      --data_dir=SHARDS

Radiographs in which no pair of lungs is found, that lie on their side or are no chest are left out
and listed at the end. Nodules that a radiograph already has stay without a mark: give normal ones.
For research, not a medical device.
"""


def main(arguments: Sequence[str]) -> None:
  """Runs the command; leaves with status 1 and one message where something is wrong."""
  parser = _parser()
  given = parser.parse_args(arguments)
  try:
    outcome = write_implants(
      given.images,
      given.output,
      given.nodules,
      image_size=given.image_size,
      seed=given.seed,
      normal_share=given.normal_share,
      spacing_mm=given.spacing_mm,
      contrast=tuple(given.contrast),
      processes=given.processes,
    )
  except (ImplantError, PhantomError) as error:
    parser.exit(1, f'{error}\n')
  if outcome.left_out:
    print(f'Left out {len(outcome.left_out)}:')
    for name, reason in outcome.left_out:
      print(f'  {name}: {reason}')
  print(f'{outcome.folder}: {outcome.images} radiographs, {outcome.with_nodules} with nodules.')
  print(NOTICE)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m nodulax.phantom implant',
    description=_DESCRIPTION,
    epilog=_EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add(
    '--images', required=True,
    help='folder of radiographs (PNG, JPEG or DICOM, bright where dense), each a patient of its '
    'own; or a manifest.csv as in tfds_builders/gmc_nodule/README.md, of which the normal rows are '
    'taken',
  )  # fmt: skip
  add('--output', required=True, help='the folder to make')
  add(
    '--nodules',
    help='folder with luna_nodules.csv and luna_nodules.npz, nodules cut out of CT; without it all '
    'nodules are simulated',
  )
  add('--image_size', type=int, default=1024, help='pixels along the longer side; never enlarges')
  add('--seed', type=int, default=0, help='another seed, other nodules and places')
  add('--normal_share', type=float, default=0.25, help='share left without a nodule')
  add(
    '--spacing_mm', type=float,
    help='pixel spacing of radiographs whose manifest and header give none; without it, from the '
    'width of the lungs',
  )  # fmt: skip
  add(
    '--contrast', type=float, nargs=2, default=(0.7, 1.4), metavar=('LEAST', 'GREATEST'),
    help='multiplier of the contrast that physics gives, drawn for each nodule',
  )  # fmt: skip
  add('--processes', type=int, default=None, help='default: one a core')
  return parser
