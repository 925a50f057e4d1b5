"""python -m nodulax.phantom implant --images=DIR --output=DIR [--nodules=DIR]"""

import argparse
from collections.abc import Sequence

from nodulax.phantom.hospitals.writing import PhantomError
from nodulax.phantom.implant.errors import ImplantError
from nodulax.phantom.implant.hospital import NOTICE, write_implants

_DESCRIPTION = """
Adds lung nodules of known place, size and outline to real normal radiographs.

The command finds the lungs of each radiograph, including the parts behind the heart and below the
diaphragm, and estimates from the grey levels how much a centimetre of tissue brightens the image.
It then adds nodules anywhere in the lungs, with the contrast that physics predicts and the blur of
the image. The output is a hospital's folder for `python -m tfds_builders build gmc_nodule`:
images/, masks/ (the exact outlines), manifest.csv, and phantom_truth.csv with every nodule. It does
not hold names or identifiers of the radiographs, except for what is burnt into their pixels.
"""
_EPILOG = """
examples:
  a folder of normal radiographs, only simulated nodules:
    python -m nodulax.phantom implant --images=normals --output=implants
  a manifest, so that images of one patient stay together, and nodules from CT (LUNA16):
    python -m nodulax.phantom implant --images=hospital/manifest.csv --nodules=luna \\
      --output=implants
  then:
    python -m tfds_builders build gmc_nodule --config=hospital --manual_dir=implants \\
      --data_dir=SHARDS

Radiographs in which no pair of lungs is found, that lie on their side or do not show a chest are
left out and listed at the end. Give normal radiographs: their own nodules would stay unmarked.
For research, not a medical device.
"""


def main(arguments: Sequence[str]) -> None:
  """Runs the command; exits with status 1 and one message if something is wrong."""
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
  add('--output', required=True, help='folder to create')
  add(
    '--nodules',
    help='folder with luna_nodules.csv and luna_nodules.npz, nodules cut out of CT; without it all '
    'nodules are simulated',
  )
  add('--image_size', type=int, default=1024, help='most pixels along the longer side')
  add('--seed', type=int, default=0, help='seed of the nodules and their places')
  add('--normal_share', type=float, default=0.25, help='share of radiographs without a nodule')
  add(
    '--spacing_mm', type=float,
    help='pixel spacing of radiographs whose manifest and header give none; without it, from the '
    'width of the lungs',
  )  # fmt: skip
  add(
    '--contrast', type=float, nargs=2, default=(0.7, 1.4), metavar=('LEAST', 'GREATEST'),
    help='range of the multiplier of the contrast that physics predicts, drawn for each nodule',
  )  # fmt: skip
  add('--processes', type=int, help='processes (default: one per core)')
  return parser
