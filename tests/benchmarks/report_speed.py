"""How long a report takes, and its memory: `python -m tests.benchmarks.report_speed [5000]`.

Four models on four sets, so many radiographs in all or, without a number, 5,000 in all and then
5,000 in each set, two a patient (the slow case: every interval is a bootstrap). Not a test: it
prints, and asserts nothing.
"""

import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from tests.report.fake_runs import write_runs

IN_5000 = {'nih': 2000, 'aihub': 1300, 'gmc': 1000, 'vindr': 700}
EACH = dict.fromkeys(IN_5000, 5000)


def measure(name: str, images: dict[str, int]) -> None:
  """Prints the time, of the clock and of a core, and the memory of one report."""
  with tempfile.TemporaryDirectory() as folder:
    runs = write_runs(pathlib.Path(folder) / 'runs', images, images_a_patient=2, pictures=400)
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, '-m', 'nodulax.report', f'--workdir={runs}'], check=True)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    page = (runs / 'report' / 'index.html').stat().st_size
  gibibytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
  print(
    f'{name}: {seconds:.1f} s ({used:.1f} s of one core), at most {gibibytes:.2f} GiB, '
    f'a page of {page / 1e6:.1f} MB'
  )


def in_all(radiographs: int) -> None:
  """Prints the figures of a report on so many."""
  sets = {name: share * radiographs // 5000 for name, share in IN_5000.items()}
  measure(f'4 models x {radiographs:,} radiographs', sets)


if __name__ == '__main__':
  if sys.argv[1:]:
    in_all(int(sys.argv[1]))
  else:
    in_all(5000)
    measure('4 models x 4 sets of 5,000 radiographs', EACH)
