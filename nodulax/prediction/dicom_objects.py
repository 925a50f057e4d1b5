"""Writes findings as DICOM objects for the study of their radiograph.

A structured report (TID 1500), the heat map as a segmentation, and the overlay as a secondary
capture. Each refers to the radiograph and copies its patient and study modules, which name the
patient: they belong in the archive that the radiograph came from, and nowhere else. Needs the extra
`dicom` (highdicom).
"""

import importlib.metadata
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from nodulax import NOTICE
from nodulax.checkpoints.description import Description
from nodulax.errors import NodulaxError
from nodulax.prediction.dicom_source import read_source
from nodulax.prediction.files import FATAL
from nodulax.prediction.prediction import Prediction, Reading
from nodulax.prediction.reader import draw, whole_heat_map
from nodulax.radiograph import pictures
from nodulax.radiograph.dicom import is_dicom
from nodulax.radiograph.dicom_header import pydicom_silenced

_NEEDED = ('SOPClassUID', 'SOPInstanceUID', 'StudyInstanceUID', 'SeriesInstanceUID')
# Every object has these, empty if they are unknown (type 2 of the patient and study modules).
_EMPTY_WHERE_UNKNOWN = (
  *('PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex'),
  *('StudyDate', 'StudyTime', 'StudyID', 'AccessionNumber', 'ReferringPhysicianName'),
)
_NODULE = Code('27925004', 'SCT', 'Nodule')
_DETECTED = Code('260373001', 'SCT', 'Detected')
_NOT_DETECTED = Code('260415000', 'SCT', 'Not detected')
_LUNG = Code('39607008', 'SCT', 'Lung structure')
_SIDES = {'left': Code('7771000', 'SCT', 'Left'), 'right': Code('24028007', 'SCT', 'Right')}
_CHEST_RADIOGRAPH = Code('399208008', 'SCT', 'Plain chest X-ray')
_CERTAINTY_OF_FINDING = Code('111012', 'DCM', 'Certainty of Finding')
_CERTAINTY_OF_IMPRESSION = Code('111013', 'DCM', 'Certainty of Impression')
_WIDTH = Code('103355008', 'SCT', 'Width')
_HEIGHT = Code('121207', 'DCM', 'Height')
_PERCENT = Code('%', 'UCUM', 'percent')
_MM = Code('mm', 'UCUM', 'millimeter')
_PIXELS = Code('{pixels}', 'UCUM', 'pixels')
_MANUFACTURER = 'nodulax'
_LONGEST = 64  # characters of a DICOM long string


class DicomOutputError(NodulaxError):
  """No DICOM object can be made for a radiograph; the message says why, and names no patient."""


def write(
  kinds: dict[str, pathlib.Path],
  source: str | os.PathLike,
  reading: Reading,
  prediction: Prediction,
  description: Description,
) -> None:
  """Writes the DICOM objects of one radiograph; nothing if its file is not DICOM.

  The same radiograph and network give objects with the same UIDs.

  Args:
    kinds: the file to write for each of `KINDS` that is wanted.
    source: the radiograph's own file.
    reading, prediction: the radiograph, and what the network found in it.
    description: description of the network.

  Raises:
    DicomOutputError: the source lacks what the objects must refer to, or one of them cannot be
      made; the others are written.
    OSError: nothing more can be written.
  """
  data = pathlib.Path(source).read_bytes()
  if not is_dicom(data):
    return
  faults: list[str] = []
  unwritten: list[str] = []
  with pydicom_silenced():
    header = _header(data)
    for kind, path in kinds.items():
      try:
        written = KINDS[kind](_Source(header, description, kind), reading, prediction)
        path.parent.mkdir(parents=True, exist_ok=True)
        written.save_as(path)
      except OSError as error:
        if error.errno in FATAL:
          raise
        unwritten.append(f'--{kind} ({error.strerror})')
      except Exception as error:
        # The message may quote the patient. The other kinds may well be possible.
        faults.append(f'--{kind} ({type(error).__name__})')
  problems = []
  if faults:
    problems.append(
      f'the header of the DICOM file does not allow {", ".join(faults)}; export it again'
    )
  if unwritten:
    problems.append(f'could not be written: {", ".join(unwritten)}')
  if problems:
    raise DicomOutputError('; '.join(problems))


def _header(data: bytes) -> pydicom.Dataset:
  """The parts of the radiograph's header that the objects copy.

  Raises:
    DicomOutputError: no object can refer to it.
  """
  try:
    header = read_source(data, 'the DICOM file')
  except Exception as error:
    raise DicomOutputError(
      f'the header of the DICOM file is invalid ({type(error).__name__}); export it again'
    ) from None
  missing = [keyword for keyword in _NEEDED if not header.get(keyword)]
  if missing:
    raise DicomOutputError(f'the DICOM file states no valid {", ".join(missing)}; export it again')
  for keyword in _EMPTY_WHERE_UNKNOWN:
    if keyword not in header:
      setattr(header, keyword, None)
  return header


class _Source:
  """A radiograph's header, and what all objects made from it share.

  Args:
    header: header of the radiograph, without its pixels.
    description: description of the network.
    kind: kind of the object.
  """

  def __init__(self, header: pydicom.Dataset, description: Description, kind: str):
    self.header = header
    self.network = description.title[:_LONGEST]
    self.version = importlib.metadata.version('nodulax')
    identity = [header.SOPInstanceUID, description.name, str(description.step), kind]
    self.uid = lambda what: generate_uid(entropy_srcs=[*identity, what])
    self.series: dict[str, Any] = {
      'series_instance_uid': self.uid('series'),
      'series_number': 1,
      'sop_instance_uid': self.uid('instance'),
      'instance_number': 1,
      'manufacturer': _MANUFACTURER,
      'manufacturer_model_name': self.network,
      'software_versions': self.version,
      'device_serial_number': 'none',
      'transfer_syntax_uid': ExplicitVRLittleEndian,
    }


def structured_report(source: _Source, reading: Reading, prediction: Prediction) -> pydicom.Dataset:
  """A Comprehensive SR: TID 1500 with the radiograph's probability and each marked finding."""
  algorithm = sr.AlgorithmIdentification(
    source.network, source.version, parameters=_notices(reading)
  )
  image = source.header.SOPClassUID, source.header.SOPInstanceUID
  whole = sr.MeasurementsAndQualitativeEvaluations(
    tracking_identifier=sr.TrackingIdentifier(source.uid('radiograph'), 'Whole radiograph'),
    finding_type=_NODULE,
    algorithm_id=algorithm,
    measurements=[_percentage(_CERTAINTY_OF_IMPRESSION, prediction.probability)],
    qualitative_evaluations=[
      sr.QualitativeEvaluation(_NODULE, _DETECTED if prediction.positive else _NOT_DETECTED)
    ],
    source_images=[sr.SourceImageForMeasurementGroup(*image)],
  )
  marked = [
    sr.PlanarROIMeasurementsAndQualitativeEvaluations(
      tracking_identifier=sr.TrackingIdentifier(
        source.uid(f'finding {number}'), f'Finding {number}'
      ),
      referenced_region=sr.ImageRegion(
        'POLYLINE', _outline(finding.box), sr.SourceImageForRegion(*image)
      ),
      finding_type=_NODULE,
      algorithm_id=algorithm,
      finding_sites=[sr.FindingSite(_LUNG, laterality=_SIDES.get(place.laterality))],
      measurements=[
        _percentage(_CERTAINTY_OF_FINDING, finding.score),
        *_extent(finding.box, reading.radiograph.spacing_mm),
      ],
    )
    for number, (finding, place, shown) in enumerate(
      zip(prediction.findings, prediction.places, prediction.marked, strict=True), 1
    )
    if shown
  ]
  device = sr.DeviceObserverIdentifyingAttributes(
    source.uid('device'), name=source.network, manufacturer_name=_MANUFACTURER
  )
  content = sr.MeasurementReport(
    sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DCM.Device, device)),
    _CHEST_RADIOGRAPH,
    [whole, *marked],
    title=codes.DCM.ImagingMeasurementReport,
  )
  report = sr.ComprehensiveSR([source.header], content, **source.series)
  report.SeriesDescription = _series('Nodule findings', reading)
  return report


def segmentation(source: _Source, reading: Reading, prediction: Prediction) -> pydicom.Dataset:
  """The heat map as a fractional segmentation (probability) of the radiograph's size."""
  height, width = reading.radiograph.pixels.shape
  heat = whole_heat_map(prediction.heat_map, reading.crop, (height, width), (width, height))
  written = hd.seg.Segmentation(
    [source.header],
    heat[np.newaxis].clip(0, 1),
    'FRACTIONAL',
    [
      hd.seg.SegmentDescription(
        1,
        'Nodule heat map',
        Code('49755003', 'SCT', 'Morphologically Abnormal Structure'),
        _NODULE,
        'AUTOMATIC',
        hd.AlgorithmIdentificationSequence(
          source.network, codes.DCM.ArtificialIntelligence, source.version
        ),
      )
    ],
    fractional_type='PROBABILITY',
    content_description=NOTICE,
    content_label='HEAT_MAP',
    **source.series,
  )
  written.SeriesDescription = _series('Nodule heat map', reading)
  written.PatientOrientation = source.header.get('PatientOrientation')
  return written


def secondary_capture(source: _Source, reading: Reading, prediction: Prediction) -> pydicom.Dataset:
  """The overlay as a picture, with the notice in it."""
  picture = pictures.caption(draw(reading, prediction), NOTICE, row=-1)
  series = {name: value for name, value in source.series.items() if name != 'device_serial_number'}
  written = hd.sc.SCImage.from_ref_dataset(
    source.header,
    picture,
    'RGB',
    8,
    'PATIENT',
    patient_orientation=('L', 'F'),
    **series,
  )
  # As in the source, even if empty, although the library demands a value.
  written.PatientOrientation = source.header.get('PatientOrientation')
  written.SeriesDescription = _series('Nodule overlay', reading)
  written.BodyPartExamined = 'CHEST'
  return written


def _notices(reading: Reading) -> list[str]:
  """The notices that every measurement needs."""
  forced = f'Read by force: {reading.objection}'
  return [NOTICE, forced] if reading.objection else [NOTICE]


def _series(name: str, reading: Reading) -> str:
  """The description of a series."""
  forced = 'BY FORCE: ' if reading.objection else ''
  return f'{forced}{name}, for research, not a medical device'


def _outline(box: Sequence[float]) -> np.ndarray:
  """The corners of a box as a closed polyline, f[5, 2].

  DICOM counts as we do: 0, 0 is the outer corner of the first pixel (PS3.3 C.18.6).
  """
  x_min, y_min, x_max, y_max = box
  return np.array([(x_min, y_min), (x_max, y_min), (x_max, y_max), (x_min, y_max), (x_min, y_min)])


def _extent(
  box: Sequence[float], spacing_mm: tuple[float, float] | None
) -> tuple[sr.Measurement, sr.Measurement]:
  """The width and height of a box, in pixels where the spacing is unknown."""
  x_min, y_min, x_max, y_max = box
  (x, y), unit = ((1.0, 1.0), _PIXELS) if spacing_mm is None else (spacing_mm, _MM)
  return (
    sr.Measurement(_WIDTH, round((x_max - x_min) * x, 3), unit),
    sr.Measurement(_HEIGHT, round((y_max - y_min) * y, 3), unit),
  )


def _percentage(name: Code, probability: float) -> sr.Measurement:
  return sr.Measurement(name, round(100 * probability, 2), _PERCENT)


# What each flag of the command writes.
KINDS: dict[str, Callable[[_Source, Reading, Prediction], pydicom.Dataset]] = {
  'dicom_sr': structured_report,
  'dicom_seg': segmentation,
  'dicom_sc': secondary_capture,
}
