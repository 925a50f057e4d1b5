"""The features of every example, whatever its source."""

from typing import Literal

import numpy as np
import tensorflow_datasets.public_api as tfds

LABELS = ('normal', 'nodule')

NOTICE = 'nodulax is for research and is not a medical device.'


def features(depth: Literal[8, 16]) -> tfds.features.FeaturesDict:
  """The features of one radiograph.

  Coordinates are pixels of the stored image: the origin is the top-left corner of the top-left
  pixel, x grows to the right, y downwards. Boxes are (x_min, y_min, x_max, y_max), half-open.

  Args:
    depth: bits of the deepest image of the source. Readers decode the PNG's bytes themselves, so
      a 16-bit feature may hold an 8-bit PNG.
  """
  return tfds.features.FeaturesDict(
    {
      'image': tfds.features.Image(
        shape=(None, None, 1),
        dtype=np.uint8 if depth == 8 else np.uint16,
        encoding_format='png',
        doc='bright where tissue is dense; the original file if that is a grey PNG',
      ),
      'label': tfds.features.ClassLabel(names=LABELS),
      'boxes': tfds.features.Tensor(
        shape=(None, 4), dtype=np.float32, doc='one around each located nodule'
      ),
      'mask': tfds.features.Image(
        shape=(None, None, 1),
        dtype=np.uint8,
        encoding_format='png',
        doc='255 within nodules, else 0; all 0 where the location is unknown',
      ),
      'location_known': tfds.features.Scalar(
        np.bool_, doc='False for nodule images whose nodules were not located'
      ),
      'lung_box': tfds.features.Tensor(
        shape=(4,), dtype=np.float32, doc='around the lungs, without a margin'
      ),
      'lung_box_found': tfds.features.Scalar(
        np.bool_, doc='False where the lung box is the whole image'
      ),
      'image_id': tfds.features.Text(doc="file name of a public image, keyed hash of a hospital's"),
      'patient_id': tfds.features.Text(doc='keyed hash'),
      'sex': tfds.features.Text(doc="'female', 'male' or 'unknown'"),
      'age': tfds.features.Scalar(np.float32, doc='years; NaN where unknown'),
      'view': tfds.features.Text(doc="'PA', 'AP' or 'unknown'"),
      'pixel_spacing_mm': tfds.features.Tensor(
        shape=(2,), dtype=np.float32, doc='x and y, at the detector; NaN where unknown'
      ),
      'nodule_diameter_mm': tfds.features.Scalar(
        np.float32, doc='of the largest nodule; NaN where unknown'
      ),
      'zone': tfds.features.Text(doc="where the nodule lies, or 'unknown'"),
      'conspicuity': tfds.features.Text(doc="the source's own grading, or 'unknown'"),
      'source': tfds.features.Text(doc='name of the builder'),
    }
  )
