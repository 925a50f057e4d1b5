"""Checks untrusted JSON values against the types that they are needed in."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from nodulax.errors import NodulaxError

Made = TypeVar('Made')

_SHOWN = 60  # characters of an untrusted value that an error quotes


def construct(make: Callable[..., Made], values: Any, where: str = '') -> Made:
  """Calls a dataclass or function with the values of a JSON object as keyword arguments.

  Args:
    make: its parameters are annotated with bool, int, float, str, None, Literal, `tuple[X, Y]`,
      `dict[str, Any]`, dataclasses, or unions of these.
    values: JSON object with their values.
    where: the name of the object, for messages.

  Raises:
    NodulaxError: a value is missing, unknown or of another type, or refused by `make`.
  """
  if not isinstance(values, dict):
    raise NodulaxError(f'{where or "it"} is not a JSON object but {_shown(values)}')
  parameters = inspect.signature(make).parameters
  needed = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
  if missing := sorted(needed - values.keys()):
    raise NodulaxError(f'{where or "it"} lacks {", ".join(missing)}')
  if unknown := sorted(values.keys() - parameters.keys()):
    raise NodulaxError(f'{where or "it"} has the unknown {", ".join(unknown)[:_SHOWN]}')
  hints = typing.get_type_hints(make)
  prefix = f'{where}.' if where else ''
  return make(**{
    name: _converted(value, hints[name], prefix + name) for name, value in values.items()
  })  # fmt: skip


def _converted(value: Any, wanted: Any, where: str) -> Any:
  """Converts `value` to the type `wanted`; raises NodulaxError if it does not fit."""
  origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
  if dataclasses.is_dataclass(wanted):
    return construct(wanted, value, where)  # type: ignore[arg-type]
  if origin in (typing.Union, types.UnionType):
    if value is None and type(None) in arguments:
      return None
    (only,) = (argument for argument in arguments if argument is not type(None))
    return _converted(value, only, where)
  if origin is tuple and isinstance(value, list | tuple) and len(value) == len(arguments):
    pairs = zip(value, arguments, strict=True)
    return tuple(_converted(part, argument, where) for part, argument in pairs)
  is_number = isinstance(value, int | float) and not isinstance(value, bool)
  if wanted is float and is_number and abs(value) < 1e300:
    return float(value)
  if origin is Literal and isinstance(value, str) and value in arguments:
    return value
  plain = origin if origin is dict else wanted
  if plain in (bool, int, str, dict) and type(value) is plain:
    return value
  raise NodulaxError(f'{where} is {_shown(value)}; it must be {_described(wanted)}')


def _shown(value: Any) -> str:
  return repr(value)[:_SHOWN]


def _described(wanted: Any) -> str:
  """What values a type allows, in words."""
  arguments = typing.get_args(wanted)
  if typing.get_origin(wanted) is Literal:
    return 'one of ' + ', '.join(map(repr, arguments))
  if typing.get_origin(wanted) is tuple:
    return f'{len(arguments)} values'
  names = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'a text'}
  return names.get(wanted, 'an object')
