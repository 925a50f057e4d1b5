"""The one error of this package."""

from nodulax.errors import NodulaxError


class ImplantError(NodulaxError):
  """A picture, a nodule or an option cannot be used; the message names it and the remedy."""
