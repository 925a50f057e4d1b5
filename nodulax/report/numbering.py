"""Numbers tables and figures in the order in which the page shows them."""

import dataclasses
import pathlib
import re
from collections.abc import Mapping, Sequence

from nodulax.report.drawing import Picture
from nodulax.report.table import Table

_PAGE = pathlib.Path(__file__).with_name('page.html.jinja').read_text('utf-8')
FIGURES = tuple(re.findall(r"figures\('(\w+)'\)", _PAGE))
TABLES = tuple(re.findall(r"table_of\('(\w+)'", _PAGE))


def numbered_tables(tables: Mapping[str, Table]) -> dict[str, Table]:
  """Returns the tables in order, titled 'Table 1. ...' and so on."""
  present = [name for name in TABLES if name in tables]
  return {
    name: dataclasses.replace(tables[name], title=f'Table {number}. {tables[name].title}')
    for number, name in enumerate(present, 1)
  }


def numbered_figures(
  pictures: Mapping[str, Sequence[Picture]],
) -> dict[str, list[Picture]]:
  """Returns the figures in order, titled 'Figure 1. ...' and so on; a name may have several."""
  numbered: dict[str, list[Picture]] = {}
  number = 0
  for name in FIGURES:
    for picture in pictures.get(name, ()):
      number += 1
      titled = dataclasses.replace(picture, title=f'Figure {number}. {picture.title}')
      numbered.setdefault(name, []).append(titled)
  return numbered
