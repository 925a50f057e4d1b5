"""Small raw downloads in the layouts of the sources, and what reads their shards back."""

import csv
import functools
import json
import pathlib

import cv2
import numpy as np
import pydicom
import pytest
import tensorflow_datasets as tfds
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from tfds_builders import commands


def radiograph(seed: int, height: int = 96, width: int = 96, bits: int = 8) -> np.ndarray:
  """A smooth picture of its own for each seed, u8 or u16[height, width]."""
  coarse = np.random.default_rng(seed).uniform(0.1, 0.9, (12, 12)).astype(np.float32)
  smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
  return (smooth * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def write_png(path: pathlib.Path, pixels: np.ndarray) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  assert cv2.imwrite(str(path), pixels)


def write_csv(path: pathlib.Path, header: list[str], rows: list[list]) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  with path.open('w', newline='') as file:
    csv.writer(file).writerows([header, *rows])


def write_dicom(path: pathlib.Path, pixels: np.ndarray, **attributes) -> None:
  """A 16-bit radiograph, MONOCHROME2, with these attributes."""
  dataset = pydicom.Dataset()
  dataset.file_meta = FileMetaDataset()
  dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
  dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
  dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
  dataset.SOPClassUID = ComputedRadiographyImageStorage
  dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
  dataset.Modality = 'CR'
  dataset.PhotometricInterpretation = 'MONOCHROME2'
  dataset.SamplesPerPixel = 1
  dataset.Rows, dataset.Columns = pixels.shape
  dataset.BitsAllocated = dataset.BitsStored = 16
  dataset.HighBit = 15
  dataset.PixelRepresentation = 0
  dataset.PixelData = pixels.astype('<u2').tobytes()
  for name, value in attributes.items():
    setattr(dataset, name, value)
  path.parent.mkdir(parents=True, exist_ok=True)
  dataset.save_as(path, enforce_file_format=True)


NIH_HEADER = [
  'Image Index', 'Finding Labels', 'Follow-up #', 'Patient ID', 'Patient Age', 'Patient Gender',
  'View Position', 'OriginalImage[Width', 'Height]', 'OriginalImagePixelSpacing[x', 'y]',
]  # fmt: skip
BOX_HEADER = ['Image Index', 'Finding Label', 'Bbox [x', 'y', 'w', 'h]', '', '', '']


def nih_row(image: str, labels: str, patient: int) -> list:
  return [image, labels, 0, patient, 57, 'M', 'PA', 192, 288, 0.143, 0.143]


@pytest.fixture
def nih(tmp_path) -> pathlib.Path:
  """20 images of 20 patients, 10 with a nodule or mass; one of them boxed."""
  folder = tmp_path / 'nih'
  rows = []
  for number in range(1, 21):
    image = f'{number:08d}_000.png'
    rows.append(nih_row(image, 'Nodule' if number <= 10 else 'No Finding', number))
    write_png(folder / 'images' / image, radiograph(number))
  rows[1][1] = 'Mass|Nodule'
  write_csv(folder / 'Data_Entry_2017_v2020.csv', NIH_HEADER, rows)
  # Boxes are of the published 1024 x 1024 pixels: 20.5, 30, 10 and 16 of these 96.
  edges = [edge * 1024 / 96 for edge in (20.5, 30, 10, 16)]
  box = ['00000001_000.png', 'Nodule', *edges, '', '', '']
  write_csv(folder / 'BBox_List_2017.csv', BOX_HEADER, [box])
  return folder


@pytest.fixture
def hospital(tmp_path) -> pathlib.Path:
  """A hospital's 10 PNGs of 10 patients, 5 with a nodule: 3 masks, 1 box, 1 without location."""
  folder = tmp_path / 'hospital'
  rows = []
  for number in range(10):
    nodule = number < 5
    write_png(folder / f'images/{number}.png', radiograph(100 + number))
    mask = np.zeros((96, 96), np.uint8)
    mask[40:50, 20:32] = 200
    if number < 3:
      write_png(folder / f'masks/{number}.png', mask)
    rows.append(
      [
        f'images/{number}.png',
        f'P{number}',
        'nodule' if nodule else 'normal',
        f'masks/{number}.png' if number < 3 else '',
        '10 20 30 50' if number == 3 else '',
      ]
    )
  write_csv(folder / 'manifest.csv', ['image', 'patient_id', 'label', 'mask', 'boxes'], rows)
  return folder


@pytest.fixture
def aihub(tmp_path) -> pathlib.Path:
  """AI-HUB's layout: 10 images with a boxed nodule, 12 without, of 22 patients."""
  folder = tmp_path / 'aihub'
  (folder / 'annotations').mkdir(parents=True)
  for number in range(22):
    annotation = {
      'image': f'{number:04d}.png',
      'patient_id': f'P{number}',
      'label': 'nodule' if number < 10 else 'normal',
      'sex': 'F',
      'age': 61,
      'view': 'PA',
      'pixel_spacing_mm': [0.2, 0.3],
      'boxes': [[10, 20, 30, 40]] if number < 10 else [],
    }
    write_png(folder / 'images' / annotation['image'], radiograph(200 + number))
    (folder / f'annotations/{number:04d}.json').write_text(json.dumps(annotation))
  return folder


@pytest.fixture
def make_radiograph():
  return radiograph


@pytest.fixture
def make_dicom():
  return write_dicom


@pytest.fixture
def change_csv():
  """Rewrites a table: `change(path, edit)`, where `edit` gets and changes the list of rows."""

  def change(path: pathlib.Path, edit) -> None:
    with path.open(newline='') as file:
      rows = list(csv.reader(file))
    edit(rows)
    with path.open('w', newline='') as file:
      csv.writer(file).writerows(rows)

  return change


class Outcome:
  """What a command said and left: its exit status, output, and shards."""

  def __init__(self, status: int, out: str, err: str, data_dir: pathlib.Path):
    self.status = status
    self.out = out
    self.err = err
    self.data_dir = data_dir

  @property
  def folder(self) -> pathlib.Path:
    """Where the shards are, as the last line says."""
    return pathlib.Path(self.out.strip().splitlines()[-1])

  def examples(self, split: str) -> list[dict]:
    """The examples of a split, images and masks as encoded bytes."""
    skip = tfds.decode.SkipDecoding()
    source = tfds.builder_from_directory(self.folder).as_data_source(
      split, decoders={'image': skip, 'mask': skip}
    )
    return [source[index] for index in range(len(source))]

  def all_examples(self) -> dict[str, dict]:
    """Every example of every split, by its image_id."""
    splits = tfds.builder_from_directory(self.folder).info.splits
    return {
      example['image_id'].decode(): example | {'split': split}
      for split in splits
      for example in self.examples(split)
    }


@pytest.fixture
def run(tmp_path, capfd):
  """Runs a command: `run('build', 'nih_chestxray14', folder, '--seed=1')`."""

  def command(name: str, source: str, manual_dir: pathlib.Path, *options: str) -> Outcome:
    data_dir = tmp_path / 'shards'
    places = {'build': [f'--data_dir={data_dir}'], 'validate': [f'--output={tmp_path / "report"}']}
    capfd.readouterr()
    status = commands.main(
      [name, source, f'--manual_dir={manual_dir}', *places.get(name, []), *options]
    )
    out, err = capfd.readouterr()
    return Outcome(status, out, err, data_dir)

  return command


@pytest.fixture
def build(run):
  return functools.partial(run, 'build')


@pytest.fixture
def validate(run):
  return functools.partial(run, 'validate')
