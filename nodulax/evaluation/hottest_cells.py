"""Where the hottest cell of each heat map lies: on a nodule, if the network learned to locate."""

import dataclasses

import cv2
import numpy as np

from nodulax.evaluation.measures import located
from nodulax.input.prepared import Prepared

# With fewer radiographs than this, that most agree in a cell may be chance.
_FEWEST = 8
# A network that does not learn to locate may satisfy its losses with one cell that is always hot.
_FIXED = 0.5


@dataclasses.dataclass(frozen=True)
class HottestCells:
  """Of the heat maps of a split.

  Attributes:
    same: share of the radiographs in which the hottest cell is the one that it most often is.
    on_nodule: share of the located nodule radiographs in which it lies on a nodule; NaN where there
      is none.
    row, column: the cell that most often is the hottest.
    images: how many radiographs there are.
  """

  same: float
  on_nodule: float
  row: int
  column: int
  images: int

  @property
  def fixed(self) -> bool:
    """Whether the same cell is the hottest whatever the radiograph."""
    return self.images >= _FEWEST and self.same > _FIXED


def hottest_cells(prepared: Prepared, heat_maps: np.ndarray) -> HottestCells:
  """Finds them.

  Args:
    prepared: the split, N radiographs.
    heat_maps: f32[N, h, w].
  """
  count, height, width = heat_maps.shape
  cells = heat_maps.reshape(count, -1).argmax(axis=1)
  tally = np.bincount(cells)
  most = int(tally.argmax())
  hits = []
  for index in located(prepared):
    truth = prepared.truth(index).astype(np.float32)
    share = cv2.resize(truth, (width, height), interpolation=cv2.INTER_AREA)
    hits.append(share.ravel()[cells[index]] > 0)
  on_nodule = float(np.mean(hits)) if hits else float('nan')
  row, column = divmod(most, width)
  return HottestCells(float(tally[most] / count), on_nodule, row, column, count)
