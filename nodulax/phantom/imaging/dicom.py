"""A simulated radiograph as a DICOM object (DX Image Storage, uncompressed)."""

import pathlib

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from nodulax.phantom.imaging.radiography import Simulated


def write_dicom(
  path: pathlib.Path, radiograph: Simulated, bits: int, *, name: str, inverted: bool = False
) -> None:
  """Writes pixels, spacing, sex, age and view; the same bytes for the same radiograph and name.

  Args:
    bits: significant bits of the pixels.
    name: is used as the patient's identifier and determines the UIDs.
    inverted: whether to store MONOCHROME1, in which thin tissue has high values.
  """
  data = Dataset()
  data.SOPClassUID = DigitalXRayImageStorageForPresentation
  data.SOPInstanceUID = generate_uid(entropy_srcs=[name, 'instance'])
  data.StudyInstanceUID = generate_uid(entropy_srcs=[name, 'study'])
  data.SeriesInstanceUID = generate_uid(entropy_srcs=[name, 'series'])
  data.Modality = 'DX'
  data.Manufacturer = 'nodulax phantom'
  data.PatientName = f'Phantom^{name}'
  data.PatientID = name
  data.PatientSex = 'F' if radiograph.patient.sex == 'female' else 'M'
  data.PatientAge = f'{int(radiograph.patient.age):03d}Y'
  data.BodyPartExamined = 'CHEST'
  data.ViewPosition = radiograph.pose.view
  across, down = radiograph.spacing_mm
  data.ImagerPixelSpacing = [f'{down:.6f}', f'{across:.6f}']
  top = 2**bits - 1
  pixels = top - radiograph.pixels if inverted else radiograph.pixels
  data.PhotometricInterpretation = 'MONOCHROME1' if inverted else 'MONOCHROME2'
  data.PresentationLUTShape = 'INVERSE' if inverted else 'IDENTITY'
  data.PixelIntensityRelationship = 'LOG'
  data.RescaleIntercept, data.RescaleSlope, data.RescaleType = 0, 1, 'US'
  data.WindowCenter, data.WindowWidth = 2 ** (bits - 1), 2**bits
  data.SamplesPerPixel = 1
  data.Rows, data.Columns = pixels.shape
  data.BitsAllocated, data.BitsStored, data.HighBit = 16, bits, bits - 1
  data.PixelRepresentation = 0
  data.PixelData = np.ascontiguousarray(pixels, '<u2').tobytes()
  data['PixelData'].VR = 'OW'

  meta = FileMetaDataset()
  meta.MediaStorageSOPClassUID = data.SOPClassUID
  meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
  meta.TransferSyntaxUID = ExplicitVRLittleEndian
  path.parent.mkdir(parents=True, exist_ok=True)
  file = FileDataset(str(path), data, file_meta=meta, preamble=bytes(128))
  file.save_as(path, enforce_file_format=True)
