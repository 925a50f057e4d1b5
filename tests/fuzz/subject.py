"""What is fuzzed, and how an input of it is made."""

import dataclasses
import pathlib
import shutil
from collections.abc import Callable

from tests.fuzz.mutation import Rng, pick

# The files of one input, by their paths within a folder.
Files = dict[str, bytes]


@dataclasses.dataclass(frozen=True)
class Subject:
  """One reader.

  Attributes:
    valid: gives sets of valid files; called once.
    spoil: changes one of these sets, which it must leave as it is.
    read: reads the spoilt files, which lie in the folder given, and checks what comes out of them
      with assertions.
    refusals: what `read` may raise: the exceptions that the reader's documentation names.
    seconds, megabytes: that one input may take at most.
  """

  valid: Callable[[], list[Files]]
  spoil: Callable[[Files, Rng], Files]
  read: Callable[[pathlib.Path], None]
  refusals: Callable[[], tuple[type[Exception], ...]]
  seconds: float = 10
  megabytes: int = 1024


def one_each(name: str, contents: list[bytes]) -> list[Files]:
  return [{name: content} for content in contents]


def spoil_one(*ways: Callable[[bytes, Rng], bytes]) -> Callable[[Files, Rng], Files]:
  """Spoils one of the files in one of the ways."""

  def spoil(files: Files, rng: Rng) -> Files:
    name = pick(sorted(files), rng)
    return {**files, name: pick(ways, rng)(files[name], rng)}

  return spoil


def spoilt(subject: Subject, valid: list[Files], rng: Rng) -> Files:
  """One input."""
  return subject.spoil(pick(valid, rng), rng)


def write(files: Files, folder: pathlib.Path) -> None:
  """Writes an input into a folder, which is emptied first."""
  shutil.rmtree(folder, ignore_errors=True)
  folder.mkdir(parents=True)
  for name, content in files.items():
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
