"""Errors that a user can fix; everything else is a fault of nodulax."""


class NodulaxError(ValueError):
  """Base of all errors whose message says what is wrong and what to do.

  Commands print it in one line and end with exit status 1.
  """


class OptionError(NodulaxError):
  """An option of a command or config is invalid; the message names it, its value and the remedy."""


def missing_extra(what: str, extra: str, error: ImportError) -> str:
  """The message for an extra of pyproject.toml that is not installed.

  nodulax is on no package index, so extras are installed from its checkout.

  Args:
    what: what needs the extra, in the singular.
    extra: name of the extra.
    error: error of the failed import.
  """
  return (
    f"{what} needs the extra {extra}: run pip install -e '.[{extra}]' in the checkout of nodulax "
    f'({error})'
  )
