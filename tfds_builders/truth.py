"""Checks a radiograph's nodule locations against the image, the spacing and each other.

Nothing else would reveal a wrong truth, so what is impossible is a fault, and what is merely
unlikely is a suspect.
"""

import dataclasses
import hashlib
import math

import numpy as np

from nodulax.radiograph.png import png_samples
from nodulax.radiograph.reading import RadiographError
from tfds_builders.locations import boxes_around
from tfds_builders.records import Box, Fault, Record, read_file

# The largest masses are 10 cm wide: 5 % of a radiograph with sides of 40 cm.
_LARGE_SHARE, _IMPOSSIBLE_SHARE, _IMPOSSIBLE_BOX = 0.1, 0.25, 0.5
# Four pixels of 1024, too few to show a nodule.
_SMALL_SIDE = 0.004
# A reader outlines at most this many separate nodules; a mask with more regions is damaged.
_MOST_REGIONS = 20
# A mask fills at least this share of its boxes; an ellipse fills 79 %.
_LEAST_FILLED = 0.1
# Least share of the mask's pixels that are within the boxes.
_DOUBTFUL_AGREEMENT, _LEAST_AGREEMENT = 0.5, 0.2
# How many diameters wide a box may be: projection, magnification and generous boxes.
_LARGEST_RATIO = 3.0
# The sides of a chest radiograph, from a child's to a stitched one.
_FIELD_MM = (80.0, 1000.0)
# Copies of another size must have the same aspect ratio.
_SAME_RATIO = 0.01


@dataclasses.dataclass(frozen=True)
class Truth:
  """Where the nodules of a radiograph are, in pixels of the stored image.

  Attributes:
    boxes: from the table, or else around the mask's regions.
    mask_digest: SHA-256 of the mask's file; empty if there is none.
    faults: why the locations cannot be right.
    suspects: why someone should look at them.
  """

  boxes: tuple[Box, ...]
  mask_digest: bytes
  faults: tuple[Fault, ...]
  suspects: tuple[Fault, ...]


def locate(
  record: Record, shape: tuple[int, int], image_digest: bytes, spacing_mm: tuple[float, float]
) -> Truth:
  """Reads and checks the boxes and the mask of a radiograph.

  Args:
    record: the radiograph's entry in the tables.
    shape: (height, width) of the stored image.
    image_digest: SHA-256 of its file.
    spacing_mm: spacing of its pixels along x and y; NaN if unknown.
  """
  check = _Check(record, shape)
  boxes = check.boxes()
  digest = b''
  if record.mask is not None and not check.faults:
    digest, mask = check.mask(image_digest)
    if mask is not None:
      check.compare(mask, boxes)
      if not boxes:
        boxes = boxes_around(mask)
        check.regions(boxes)
  if not check.faults:
    check.measure(boxes, spacing_mm)
  return Truth(boxes, digest, tuple(check.faults), tuple(check.suspects))


def decode_mask(data: bytes, name: str) -> np.ndarray:
  """Decodes a mask's file to u8[H, W] of 0 and 255; `name` is for messages.

  In a colour mask every pixel that is neither black nor transparent is marked.

  Raises:
    RadiographError: it is damaged or not a PNG.
  """
  samples = png_samples(data, name)
  if samples.ndim == 3 and samples.shape[2] in (2, 4):
    samples = samples[..., :-1] * (samples[..., -1:] > 0)
  marked = samples > 0 if samples.ndim == 2 else np.any(samples, axis=-1)
  return np.where(marked, np.uint8(255), np.uint8(0))


class _Check:
  """Collects what is wrong with the truth of one record."""

  def __init__(self, record: Record, shape: tuple[int, int]):
    self._record = record
    self._height, self._width = shape
    self.faults: list[Fault] = []
    self.suspects: list[Fault] = []

  def _fault(self, kind: str, remedy: str) -> None:
    self.faults.append(Fault(kind, self._record.name, remedy))

  def _suspect(self, kind: str, remedy: str) -> None:
    self.suspects.append(Fault(kind, self._record.name, remedy))

  def boxes(self) -> tuple[Box, ...]:
    """The table's boxes in pixels of this image, each checked separately."""
    boxes, size = self._record.boxes, f'{self._width} x {self._height} pixels'
    if boxes and self._record.boxes_size and (self._width, self._height) != self._record.boxes_size:
      width, height = self._record.boxes_size
      across, down = self._width / width, self._height / height
      if abs(across / down - 1) > _SAME_RATIO:
        self._fault(
          'image of another size',
          f'its boxes are of an image of {width} x {height} pixels, this one has {size}; give the '
          'image as it was published',
        )
        return boxes
      boxes = tuple((a * across, b * down, c * across, d * down) for a, b, c, d in boxes)
    for x_min, y_min, x_max, y_max in boxes:
      if not (x_min < x_max and y_min < y_max):
        self._fault('box empty', 'a box has no area; it is x_min y_min x_max y_max in pixels')
      elif x_min >= 0 and y_min >= 0 and max(x_max, y_max) <= 1:
        self._fault(
          'box between 0 and 1',
          f'a box is {x_min:g} {y_min:g} {x_max:g} {y_max:g}, as parts of the image; give it in '
          f'pixels of this file, which has {size}',
        )
      elif x_min < 0 or y_min < 0 or x_max > self._width or y_max > self._height:
        self._fault(
          'box outside the image',
          f'a box reaches {x_min:g} {y_min:g} {x_max:g} {y_max:g} in an image of {size}; give it '
          'in pixels of this file',
        )
      elif (share := _area((x_min, y_min, x_max, y_max)) / self._area) > _IMPOSSIBLE_BOX:
        self._fault('box covers too much', f'a box covers {share:.0%} of the image; correct it')
      elif share > _LARGE_SHARE:
        self._suspect('box large', f'a box covers {share:.0%} of the image; look at it')
      elif self._is_tiny((x_min, y_min, x_max, y_max)):
        self._suspect(
          'box tiny',
          f'a box of {x_max - x_min:g} x {y_max - y_min:g} in an image of {size}; is it in pixels '
          'of this file?',
        )
    return boxes

  def _is_tiny(self, box: Box) -> bool:
    x_min, y_min, x_max, y_max = box
    return min(x_max - x_min, y_max - y_min) < _SMALL_SIDE * max(self._width, self._height)

  def regions(self, boxes: tuple[Box, ...]) -> None:
    """Looks at the regions of a mask, by the boxes around them."""
    if len(boxes) > _MOST_REGIONS:
      self._suspect(
        'mask in pieces', f'the mask has {len(boxes):,} separate regions; check that it is a mask'
      )
    elif any(map(self._is_tiny, boxes)):
      self._suspect('mask tiny', 'a region of the mask is hardly a pixel wide; look at it')

  @property
  def _area(self) -> int:
    return self._width * self._height

  def mask(self, image_digest: bytes) -> tuple[bytes, np.ndarray | None]:
    """The digest of the mask's file, and the mask if it fits this image."""
    assert self._record.mask is not None
    name = f'the mask of {self._record.name}'
    try:
      data = read_file(self._record.mask, name)
      digest = hashlib.sha256(data).digest()
      if digest == image_digest:
        self._fault('mask is the image', 'its mask is the radiograph itself; correct its path')
        return digest, None
      mask = decode_mask(data, name)
    except RadiographError as error:
      self._fault('mask unreadable', str(error).removeprefix(f'{name}: '))
      return b'', None
    share = np.count_nonzero(mask) / mask.size
    if mask.shape != (self._height, self._width):
      self._fault(
        'mask of another size',
        f'the mask has {mask.shape[1]} x {mask.shape[0]} pixels, the image {self._width} x '
        f'{self._height}; draw it on this image',
      )
    elif self._record.label == 'normal' and share > 0:
      self._fault(
        'mask of a normal image', 'the mask of a normal image marks something; correct the label'
      )
    elif self._record.label == 'nodule' and share == 0:
      self._fault('mask empty', 'the mask of a nodule image is empty; give none if unknown')
    elif share > _IMPOSSIBLE_SHARE:
      self._fault(
        'mask covers too much',
        f'the mask marks {share:.1%} of the image; invert it, or give the mask of a nodule',
      )
    else:
      if share > _LARGE_SHARE:
        self._suspect('mask large', f'the mask marks {share:.0%} of the image; look at it')
      return digest, mask
    return digest, None

  def compare(self, mask: np.ndarray, boxes: tuple[Box, ...]) -> None:
    """Compares the mask with the boxes, if there are both."""
    marked = np.count_nonzero(mask)
    if not boxes or not marked:
      return
    within = np.zeros(mask.shape, bool)
    empty = False
    for x_min, y_min, x_max, y_max in boxes:
      rows = slice(math.floor(y_min), math.ceil(y_max))
      columns = slice(math.floor(x_min), math.ceil(x_max))
      within[rows, columns] = True
      empty = empty or not mask[rows, columns].any()
    share = np.count_nonzero(mask[within]) / marked
    share_inside = f'{share:.0%} of what the mask marks lies within the boxes'
    if share < _LEAST_AGREEMENT:
      self._fault('mask and boxes disagree', f'{share_inside}; correct the mask or the boxes')
    elif share < _DOUBTFUL_AGREEMENT:
      self._suspect('mask and boxes disagree', f'{share_inside}; look at them')
    elif empty or np.count_nonzero(mask[within]) < _LEAST_FILLED * np.count_nonzero(within):
      self._suspect('mask and boxes disagree', 'the mask leaves a box nearly empty; look at them')

  def measure(self, boxes: tuple[Box, ...], spacing_mm: tuple[float, float]) -> None:
    """Compares the largest nodule's extent with the diameter in the table."""
    x, y = spacing_mm
    wide = self._width * x, self._height * y
    if not math.isnan(x + y) and not all(_FIELD_MM[0] <= side <= _FIELD_MM[1] for side in wide):
      self._suspect(
        'pixel spacing unlikely',
        f'by its spacing the image is {wide[0]:.0f} x {wide[1]:.0f} mm; check the spacing and its '
        'unit',
      )
    diameter = self._record.diameter_mm
    extents = [max((right - left) * x, (bottom - top) * y) for left, top, right, bottom in boxes]
    if not extents or not diameter > 0 or math.isnan(x + y):
      return
    ratio = max(extents) / diameter
    if not 1 / _LARGEST_RATIO <= ratio <= _LARGEST_RATIO:
      self._suspect(
        'extent and diameter disagree',
        f'the largest nodule is {diameter:g} mm by the table and {max(extents):.0f} mm in the '
        'image; check boxes or mask, diameter and pixel spacing',
      )


def _area(box: Box) -> float:
  x_min, y_min, x_max, y_max = box
  return (x_max - x_min) * (y_max - y_min)
