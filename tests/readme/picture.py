r"""Makes the picture of the README from an evaluation of a network on simulated radiographs.

  python -m nodulax.phantom aihub --output=raw --images=2400 --image_size=256 --seed=98 \
    --masses_only
  python -m tfds_builders build aihub_nodule --manual_dir=raw --data_dir=shards
  python -m nodulax.main --config=configs/nih_aihub_pixel.py --workdir=runs/picture \
    --config.data.shards.aihub=shards --config.init.checkpoint= \
    "--config.data.evaluate=('aihub',)" --config.model.size=tiny \
    --config.model.batch_norm_momentum=0.9 --config.preprocessing.image_size=192 \
    --config.optimizer.learning_rate=1e-3 '--config.optimizer.drop_epochs=(11,)' \
    --config.train.epochs=14
  python tests/readme/picture.py --evaluation=runs/picture/evaluation/aihub \
    --output=tests/readme/findings.png

Shows the first radiographs of the test split, four with a nodule and two without, whatever the
network made of them: above as it sees them, below with its heat map and the true outline.
"""

import argparse
import csv
import io
import pathlib

import numpy as np
from PIL import Image

NODULES, NORMALS = 4, 2
COLOURS = 256  # of the palette, spread over the colours and not over the greys alone


def picture(evaluation: pathlib.Path) -> bytes:
  """A PNG of two rows: radiographs, and the same with heat map and true outline."""
  with (evaluation / 'predictions.csv').open(newline='') as file:
    rows = list(csv.DictReader(file))
  drawn = [row for row in rows if (evaluation / 'overlays' / name(row)).exists()]
  nodules = [row for row in drawn if row['label'] == '1'][:NODULES]
  normals = [row for row in drawn if row['label'] == '0'][:NORMALS]
  columns = []
  for row in nodules + normals:
    overlay = Image.open(evaluation / 'overlays' / name(row)).convert('RGB')
    plain = Image.open(evaluation / 'thumbnails' / name(row)).convert('RGB').resize(overlay.size)
    columns.append(np.concatenate([np.asarray(plain), np.asarray(overlay)]))
  whole = Image.fromarray(np.concatenate(columns, axis=1)).quantize(
    COLOURS, Image.Quantize.MAXCOVERAGE
  )
  file = io.BytesIO()
  whole.save(file, 'PNG', optimize=True)
  return file.getvalue()


def name(row: dict[str, str]) -> str:
  return f'{row["image_id"]}.png'


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--evaluation', type=pathlib.Path, required=True)
  parser.add_argument('--output', type=pathlib.Path, required=True)
  arguments = parser.parse_args()
  arguments.output.write_bytes(picture(arguments.evaluation))


if __name__ == '__main__':
  main()
