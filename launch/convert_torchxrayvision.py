"""Writes torchxrayvision's DenseNet-121 for chest radiographs as a file that nodulax reads.

  pip install torch torchxrayvision safetensors
  python launch/convert_torchxrayvision.py --output=FILE

Its published files are whole pickled models, which can run arbitrary code when they are opened, so
nodulax does not open them. This program does: run it where that can do no harm, and copy the file
that it writes. It does not need nodulax. Cohen et al., MIDL 2022, arXiv 2111.00595. For research,
not a medical device.
"""

import argparse
import pathlib

import torchxrayvision
from safetensors.torch import save_file

WEIGHTS = 'densenet121-res224-all'
CACHE = pathlib.Path('~/.cache/nodulax/weights').expanduser()


def convert(model: torchxrayvision.models.DenseNet, output: pathlib.Path) -> None:
  """Writes the features of a model under torchvision's names."""
  arrays = {
    f'features.{name}': array.contiguous()
    for name, array in model.features.state_dict().items()
    if not name.endswith('num_batches_tracked')
  }
  output.parent.mkdir(parents=True, exist_ok=True)
  save_file(arrays, output)


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  default = CACHE / f'torchxrayvision-{WEIGHTS}.safetensors'
  parser.add_argument('--output', type=pathlib.Path, default=default, help=f'default: {default}')
  output = parser.parse_args().output
  convert(torchxrayvision.models.DenseNet(weights=WEIGHTS), output)
  print(output)


if __name__ == '__main__':
  main()
