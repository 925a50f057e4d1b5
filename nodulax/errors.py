"""What can go wrong that a user can mend; everything else is a fault of nodulax."""


class NodulaxError(ValueError):
  """Base of all errors whose message tells a user what is wrong and what to do.

  Commands print it in one line and end with exit status 1.
  """


class OptionError(NodulaxError):
  """An option of a command or config cannot be; the message names it, its value and the remedy."""


def missing_extra(what: str, extra: str, error: ImportError) -> str:
  """The message for an extra of pyproject.toml that is not installed.

  nodulax is on no package index, so extras are installed from its checkout.

  Args:
    what: singular; what needs the extra.
    extra: its name.
    error: of the import that failed.
  """
  return (
    f"{what} needs the extra {extra}: run pip install -e '.[{extra}]' in the checkout of nodulax "
    f'({error})'
  )
