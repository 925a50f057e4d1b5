"""What can go wrong that a user can mend; everything else is a fault of nodulax."""


class NodulaxError(ValueError):
  """Base of all errors whose message tells a user what is wrong and what to do.

  Commands print it in one line and end with exit status 1.
  """


class OptionError(NodulaxError):
  """An option of a command or config cannot be; the message names it, its value and the remedy."""
