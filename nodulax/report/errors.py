"""The error of the report."""

from nodulax.errors import NodulaxError


class ReportError(NodulaxError):
  """Results that are missing or unfit for a report; says which file and line, and what to do."""
