"""The one error of this package."""


class ImplantError(ValueError):
  """A picture, a nodule or an option that cannot be used; the message names it and the remedy."""
