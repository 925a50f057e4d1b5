"""The report: what `evaluate` wrote becomes tables, figures and one page for people.

  python -m nodulax.report --workdir=RUNS

Read `writing` from top to bottom. For research, not a medical device.
"""

from nodulax.report.errors import ReportError
from nodulax.report.writing import write_report

__all__ = ['ReportError', 'write_report']
