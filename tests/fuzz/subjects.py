"""Each reader of files from outside that is fuzzed, by its name.

To add one, write a `Subject` and name it in one of these.
"""

from tests.fuzz import networks, radiographs, tables
from tests.fuzz.subject import Subject

SUBJECTS: dict[str, Subject] = {
  **radiographs.SUBJECTS,
  **tables.SUBJECTS,
  **networks.SUBJECTS,
}
