"""What a DICOM header says of the patient, the view and the orientation."""

import warnings

import numpy as np
import pytest
from pydicom.dataset import Dataset

from nodulax.phantom.train_lungs import simulated
from nodulax.radiograph.reading import decode_radiograph
from tests.radiograph.test_dicom import as_bytes, dicom, read, with_text


def test_attributes_of_the_patient_and_the_detector():
  radiograph = read(
    dicom(PatientSex='F', PatientAge='062Y', ViewPosition='AP', PixelSpacing=['0.2', '0.1'])
  )
  assert (radiograph.sex, radiograph.age, radiograph.view) == ('female', 62, 'AP')
  assert radiograph.spacing_mm == (0.1, 0.2)  # DICOM gives the distance between rows first


def code(meaning: str) -> list[Dataset]:
  item = Dataset()
  item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = '1', 'SCT', meaning
  return [item]


LATERAL = 'its header states a lateral, oblique or axial view'


@pytest.mark.parametrize(
  ('stated', 'view', 'objection'),
  [
    ('PA', 'PA', ''),
    ('AP', 'AP', ''),
    ('', 'unknown', ''),
    ('ERECT', 'unknown', ''),
    ('LL', 'unknown', LATERAL),
    ('RLO', 'unknown', LATERAL),
    ('LATERAL', 'unknown', LATERAL),
  ],
)
def test_view(stated, view, objection):
  radiograph = read(dicom(ViewPosition=stated))
  assert (radiograph.view, radiograph.objection) == (view, objection)
  assert not read(dicom()).objection


@pytest.mark.parametrize(
  ('attributes', 'objection'),
  [
    ({'BodyPartExamined': 'EXTREMITY'}, 'another part of the body (extremity)'),
    ({'BodyPartExamined': 'Hand '}, 'another part of the body (hand)'),
    ({'BodyPartExamined': 'CHEST'}, ''),
    ({'BodyPartExamined': 'LOWER EXTREMITY'}, 'another part of the body (extremity)'),
    ({'BodyPartExamined': 'LOW_EXM'}, 'another part of the body (exm)'),
    ({'BodyPartExamined': 'CHEST AND ABDOMEN'}, ''),
    ({'ViewPosition': 'CHEST LAT'}, 'lateral, oblique or axial'),
    ({'ViewPosition': 'PA_LAT'}, 'lateral, oblique or axial'),
    ({'ViewCodeSequence': code('lateral')}, 'lateral, oblique or axial'),
    ({'ViewCodeSequence': code('postero-anterior')}, ''),
    ({'AnatomicRegionSequence': code('Knee')}, 'another part of the body (knee)'),
    ({'AnatomicRegionSequence': code('Chest')}, ''),
    ({'BodyPartExamined': 'PORTABLE CHEST'}, ''),
    ({'Modality': 'CT'}, 'its modality is CT'),
    ({'Modality': 'Kim^Hong'}, 'its modality is another one'),
    ({'Modality': 'DX'}, ''),
    ({'SOPClassUID': '1.2.840.10008.5.1.4.1.1.1.1'}, ''),
    ({'SOPClassUID': '1.2.840.10008.5.1.4.1.1.7'}, ''),
    ({'SOPClassUID': '1.2.840.10008.5.1.4.1.1.2'}, 'its SOP class'),  # CT
    ({'SOPClassUID': '1.2.840.10008.5.1.4.1.1.66.4'}, 'its SOP class'),  # segmentation
    ({'SOPClassUID': '1.2.840.10008.5.1.4.1.1.1.2'}, 'its SOP class'),  # mammography
    ({'SOPClassUID': '1.2.3.4'}, ''),  # a maker's own
  ],
)
def test_a_header_that_rules_a_chest_radiograph_out(attributes, objection):
  dataset = dicom()
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # pydicom's, about the value
    for keyword, value in attributes.items():
      setattr(dataset, keyword, value)
    read_objection = decode_radiograph(as_bytes(dataset), 'chest.dcm').objection
  assert objection in read_objection and bool(objection) == bool(read_objection)
  assert 'Kim' not in read_objection.title()


@pytest.mark.parametrize(
  ('age', 'years'), [('018M', 1.5), ('62', 62), ('', None), ('old', None), ('999Y', None)]
)
def test_age(age, years):
  dataset = dicom()
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # pydicom's, about the value
    dataset.PatientAge = age
    data = as_bytes(dataset)
  read_age = decode_radiograph(data, 'chest.dcm').age
  assert read_age == years if years is not None else np.isnan(read_age)


@pytest.mark.parametrize(
  ('text', 'attribute', 'value'),
  [
    ({'PatientSex': 'F\\M'}, 'sex', 'unknown'),
    ({'PatientSex': 'Female'}, 'sex', 'unknown'),
    ({'PatientSex': 'f'}, 'sex', 'female'),
    ({'ViewPosition': 'PA\\AP'}, 'view', 'unknown'),
    ({'ViewPosition': 'PA\\AP'}, 'objection', ''),
    ({'ViewPosition': 'PA\\LL'}, 'objection', LATERAL),
    ({'PatientOrientation': 'A\\F'}, 'objection', LATERAL),
    ({'PatientOrientation': 'L\\P'}, 'objection', LATERAL),
    ({'NumberOfFrames': ''}, 'objection', ''),
  ],
)
def test_values_that_are_not_of_their_kind(text, attribute, value):
  assert getattr(read(with_text(dicom(), **text)), attribute) == value


def test_a_number_of_frames_that_is_none():
  data = as_bytes(dicom(NumberOfFrames='21'))
  data = data.replace(b'IS\x02\x0021', b'IS\x02\x00x ')
  np.testing.assert_array_equal(decode_radiograph(data, 'chest.dcm').pixels, read(dicom()).pixels)


def test_a_header_that_calls_an_upright_chest_turned_is_not_followed():
  pixels, _ = simulated(10_000)
  dataset = dicom(pixels, bits=8)
  dataset.PatientOrientation = ['F', 'L']
  radiograph = read(dataset)
  np.testing.assert_array_equal(radiograph.pixels, pixels)
  assert radiograph.orientation == '' and 'the picture is stored upright' in radiograph.doubts[0]
  # Where it does lie as the header says, it is turned.
  dataset = dicom(np.ascontiguousarray(pixels.T), bits=8)
  dataset.PatientOrientation = ['F', 'L']
  radiograph = read(dataset)
  np.testing.assert_array_equal(radiograph.pixels, pixels)
  assert radiograph.orientation == 'LF'


# An F and its mirror tell all eight ways apart; each is turned by what its letters say.
LETTER_F = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 0, 0]], np.uint8)


LYING = {
  'L\\F': LETTER_F,
  'R\\F': [[1, 1, 1], [0, 0, 1], [0, 1, 1], [0, 0, 1]],
  'L\\H': [[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 1]],
  'R\\H': [[0, 0, 1], [0, 1, 1], [0, 0, 1], [1, 1, 1]],
  'F\\L': [[1, 1, 1, 1], [1, 0, 1, 0], [1, 0, 0, 0]],
  'F\\R': [[1, 0, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]],
  'H\\L': [[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1]],
  'H\\R': [[0, 0, 0, 1], [0, 1, 0, 1], [1, 1, 1, 1]],
}


@pytest.mark.parametrize('stated', LYING)
@pytest.mark.parametrize('more', ['', 'A'])
def test_what_is_stored_on_its_side_is_turned_upright(stated, more):
  stored = np.array(LYING[stated], np.uint8)
  dataset = dicom(stored, bits=8, PixelSpacing=['0.2', '0.1'])
  dataset.PatientOrientation = [letter + more for letter in stated.split('\\')]
  radiograph = read(dataset)
  np.testing.assert_array_equal(radiograph.pixels, LETTER_F)
  assert radiograph.orientation == 'LF' and not radiograph.objection
  # Between columns 0.1 mm, between rows 0.2 mm, as they are stored.
  assert radiograph.spacing_mm == ((0.1, 0.2) if stated[0] in 'LR' else (0.2, 0.1))
  assert bool(radiograph.doubts) == (stated != 'L\\F')
  np.testing.assert_array_equal(radiograph.turn.stored(radiograph.pixels), stored)
  # The only 1 of the last row of the F, as a box, there and back.
  row, column = np.argwhere(radiograph.turn.stored(np.eye(1, 12, 9).reshape(4, 3)))[0]
  box = radiograph.turn.upright_box((column, row, column + 1, row + 1), (4, 3))
  assert box == (0, 3, 1, 4)
  assert radiograph.turn.stored_box(box, (4, 3)) == (column, row, column + 1, row + 1)


@pytest.mark.parametrize('stated', ['A\\F', 'L', 'L\\R', 'F\\H', 'LEFT', '\\F', 'X\\Y', 'L\\F\\H'])
def test_an_orientation_that_fits_no_frontal_view_leaves_the_sides_unknown(stated):
  radiograph = read(with_text(dicom(), PatientOrientation=stated))
  np.testing.assert_array_equal(radiograph.pixels, read(dicom()).pixels)
  assert radiograph.orientation == '' and 'Patient Orientation' in radiograph.doubts[0]


@pytest.mark.parametrize('stated', ['', '\\', 'l\\f'])
def test_an_orientation_that_is_absent_is_the_usual_one(stated):
  radiograph = read(with_text(dicom(), PatientOrientation=stated))
  assert radiograph.orientation == 'LF' and radiograph.doubts == ()


@pytest.mark.parametrize(
  'stated', ['', '0.143', '\\', '0.143 mm\\0.143 mm', '0\\0', '1\\2\\3', 'x', '0.1\\1e9']
)
def test_imager_pixel_spacing_where_pixel_spacing_is_missing_or_invalid(stated):
  assert read(with_text(dicom(), PixelSpacing=stated)).spacing_mm is None
  both = with_text(dicom(), PixelSpacing=stated, ImagerPixelSpacing='0.2\\0.1')
  assert read(both).spacing_mm == (0.1, 0.2)
  assert read(dicom()).spacing_mm is None
