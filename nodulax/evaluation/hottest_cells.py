"""Where the hottest cell of each heat map lies: on a nodule, if the network learned to locate."""

import dataclasses

import cv2
import numpy as np

from nodulax.evaluation.measures import located
from nodulax.input.prepared import Prepared

# With fewer radiographs than this, agreement on a cell may be chance.
_FEWEST = 8
# A network that does not learn to locate may satisfy its losses with one cell that is always hot.
_FIXED = 0.5


@dataclasses.dataclass(frozen=True)
class HottestCells:
  """Where the hottest cells of the heat maps of a split lie.

  Attributes:
    same: share of the radiographs whose hottest cell is the most frequent one.
    on_nodule: share of the located nodule radiographs whose hottest cell lies on a nodule; NaN if
      there are none.
    row, column: the most frequent hottest cell.
    images: number of radiographs.
  """

  same: float
  on_nodule: float
  row: int
  column: int
  images: int

  @property
  def fixed(self) -> bool:
    """Whether the same cell is the hottest regardless of the radiograph."""
    return self.images >= _FEWEST and self.same > _FIXED


def hottest_cells(prepared: Prepared, heat_maps: np.ndarray) -> HottestCells:
  """Finds the hottest cells.

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
