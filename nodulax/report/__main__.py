"""Writes the report on every evaluation of a workdir.

  python -m nodulax.report --workdir=RUNS
  python -m nodulax.report --workdir=RUNS --predictions=mine.csv --prevalence=0.02

For research, not a medical device.
"""

from collections.abc import Sequence

from absl import app, flags

from nodulax.report import ReportError, write_report
from nodulax.storage import folders

WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of runs, or of one run.', required=True)
OUTPUT = flags.DEFINE_string('output', None, 'Folder to write; report/ in the workdir if empty.')
PREDICTIONS = flags.DEFINE_multi_string(
  'predictions', [], "CSV file of another tool's predictions; may be given several times."
)
PREVALENCE = flags.DEFINE_float(
  'prevalence', None, 'Share of nodules where the models would be used, for the decision curve.'
)


def main(arguments: Sequence[str]) -> None:
  if len(arguments) > 1:
    raise app.UsageError(f'unexpected argument: {arguments[1]}')
  try:
    folder = folders.check_out(WORKDIR.value)
    page = write_report(
      folder,
      OUTPUT.value or None,
      predictions=PREDICTIONS.value,
      prevalence=PREVALENCE.value,
    )
    folders.publish(folder)
  except (ReportError, OSError) as error:
    raise SystemExit(f'nodulax: {error}') from error
  print(f'Report: {page}')


if __name__ == '__main__':
  app.run(main)
