"""Fuzzes every reader of files from outside, and prints a table.

  python -m tests.fuzz                         # 5,000 inputs each
  python -m tests.fuzz DICOM PNG --inputs=200  # of these readers
  python -m tests.fuzz DICOM --only=1234       # one input, with its traceback

README.md beside this file says what is done and what came of it.
"""

import argparse
import pathlib
import sys
import tempfile

from rich.console import Console
from rich.table import Table

from tests.fuzz.harness import COLUMNS, fuzz, reproduce
from tests.fuzz.subjects import SUBJECTS


def main() -> int:
  parser = argparse.ArgumentParser(
    prog='python -m tests.fuzz',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('subjects', nargs='*', metavar='READER', help=f'of {", ".join(SUBJECTS)}')
  parser.add_argument('--inputs', type=int, default=5000, help='spoilt files of each reader')
  parser.add_argument('--seed', type=int, default=0, help='of all that is random')
  parser.add_argument('--only', type=int, help='number of the one input to read again')
  parser.add_argument('--keep', type=pathlib.Path, help='folder for the inputs that found faults')
  given = parser.parse_args()
  if unknown := set(given.subjects) - SUBJECTS.keys():
    parser.error(f'no such reader: {", ".join(sorted(unknown))}')
  chosen = given.subjects or list(SUBJECTS)
  if given.only is not None:
    for name in chosen:
      reproduce(name, given.seed, given.only, given.keep or pathlib.Path(tempfile.mkdtemp()))
    return 0
  table = Table(title=f'{given.inputs:,} inputs a reader, seed {given.seed}', title_justify='left')
  for column in ('reader', *COLUMNS):
    table.add_column(column, justify='left' if column == 'reader' else 'right')
  faults = 0
  for name in chosen:
    outcome = fuzz(name, given.seed, given.inputs, given.keep)
    table.add_row(name, *outcome.row())
    for fault in outcome.faults:
      print(f'{name} --only={fault.number}: {fault.what!r}', file=sys.stderr)
    faults += len(outcome.faults)
  Console(width=160).print(table)
  return 1 if faults else 0


if __name__ == '__main__':
  sys.exit(main())
