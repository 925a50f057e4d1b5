"""The network bundled with nodulax, fine-tuned on one half of JSRT and tested on the other.

  python tests/end_to_end/jsrt_two_fold.py --jsrt=DIR --workdir=runs/jsrt_two_fold

`jsrt.py` says what DIR holds. Both ways round, by `configs/hospital.py`, so that each radiograph is
predicted once by a network that never saw it; a half's training takes 80 % of it (the builder keeps
the rest as its test split). Prints the AUC of the network before and after, and how many nodules it
finds. JSRT served for developing that network. For research, not a medical device.
"""

import argparse
import pathlib

from jsrt import write_hospital
from simulated_to_real import build, evaluate, fine_tune, measured, write_halves


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--jsrt', type=pathlib.Path, required=True)
  parser.add_argument('--workdir', type=pathlib.Path, required=True)
  parser.add_argument('--epochs', type=int, default=10)
  parser.add_argument('--seed', type=int, default=0)
  given = parser.parse_args()
  workdir = given.workdir.resolve()
  raw, before = workdir / 'raw', workdir / 'before'
  if not raw.exists():
    write_hospital(given.jsrt, raw / 'jsrt')
    write_halves(raw / 'jsrt', raw)
  if not before.exists():
    evaluate('nodulax', build(raw / 'jsrt', workdir / 'shards' / 'jsrt'), before)
  halves = fine_tune(
    workdir,
    raw,
    '--config=configs/hospital.py',
    f'--config.seed={given.seed}',
    f'--config.train.epochs={given.epochs}',
  )
  print(measured('before fine-tuning', [before]))
  print(measured('fine-tuned, in two folds', halves))
  print('For research, not a medical device.')


if __name__ == '__main__':
  main()
