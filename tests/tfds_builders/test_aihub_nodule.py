import json

import numpy as np
import pytest


def rewrite(path, **changes):
  annotation = json.loads(path.read_text())
  for key, value in changes.items():
    if value is None:
      del annotation[key]
    else:
      annotation[key] = value
  path.write_text(json.dumps(annotation))


def test_as_many_normal_images_as_nodules_in_three_splits(aihub, build):
  outcome = build('aihub_nodule', aihub)
  assert outcome.status == 0, outcome.err
  for split, of_each_label in {'train': 7, 'tune': 1, 'test': 2}.items():
    labels = [example['label'] for example in outcome.examples(split)]
    assert (labels.count(0), labels.count(1)) == (of_each_label, of_each_label)
  nodule = next(e for e in outcome.all_examples().values() if e['label'] == 1)
  np.testing.assert_array_equal(nodule['boxes'], [[10, 20, 30, 40]])
  np.testing.assert_allclose(nodule['pixel_spacing_mm'], [0.2, 0.3], rtol=1e-6)
  assert (nodule['sex'], nodule['age'], nodule['view']) == (b'female', 61, b'PA')
  assert len(nodule['image_id']) == len(nodule['patient_id']) == 16


def test_one_image_of_each_patient_and_nodules_need_a_box(aihub, run):
  rewrite(aihub / 'annotations' / '0001.json', patient_id='P0')
  rewrite(aihub / 'annotations' / '0015.json', patient_id='P2')
  rewrite(aihub / 'annotations' / '0003.json', boxes=[])
  numbers = json.loads(run('cohort', 'aihub_nodule', aihub, '--json').out)
  assert numbers['cohort'] == {
    'nodule': 8, 'normal': 8, 'patients': 16, 'nodule_patients': 8, 'located': 8,
  }  # fmt: skip
  assert numbers['excluded'] == {
    'another image of the patient': 2,
    'nodule without a box': 1,
    'normal, not drawn': 3,
  }


def test_annotations_that_name_things_differently(aihub, build, tmp_path):
  for path in (aihub / 'annotations').iterdir():
    old = json.loads(path.read_text())
    new = {
      'file': [{'name': old['image']}],
      'meta': {'patient': {'id': old['patient_id'], 'gender': old['sex']}},
      'class': 'Nodule' if old['label'] == 'nodule' else 'Normal',
      'boxes': old['boxes'],
    }
    path.write_text(json.dumps(new))
  refused = build('aihub_nodule', aihub)
  assert refused.status == 1
  assert 'annotation does not fit: 22' in refused.err
  assert '22 images (annotation 1 (annotations/0000.json), annotation 2 ' in refused.err
  assert "no 'image', no 'patient_id', no 'label'" in refused.err
  assert 'the keys file, meta.patient.id, meta.patient.gender, class, boxes' in refused.err
  mapping = tmp_path / 'mapping.json'
  fields = {
    'image': 'file.0.name',
    'patient_id': 'meta.patient.id',
    'sex': 'meta.patient.gender',
    'label': 'class',
  }
  labels = {'Nodule': 'nodule', 'Normal': 'normal'}
  mapping.write_text(json.dumps({'fields': fields, 'labels': labels}))
  outcome = build('aihub_nodule', aihub, f'--mapping={mapping}')
  assert outcome.status == 0, outcome.err
  assert {example['sex'] for example in outcome.all_examples().values()} == {b'female'}
  assert len(outcome.examples('train')) == 14


@pytest.mark.parametrize(
  ('mapping', 'says'),
  [
    ('{"fields": {"picture": "file"}}', 'the fields picture are not known'),
    ('{"names": {}}', 'the keys names are not known'),
    ('{"labels": {"Nodule": "mass"}}', 'the labels mass are not known'),
    ('{"fields": ["file"]}', 'not a JSON object'),
    ('{"labels": {"Nodule": ["nodule"]}}', "the labels ['nodule'] are not known"),
    ('{"fields": {"image": 3}}', 'each field must be a string'),
    ('[1]', 'not a JSON object'),
    ('{', 'not a JSON object'),
  ],
)
def test_mappings_that_mean_nothing_are_refused(aihub, run, tmp_path, mapping, says):
  path = tmp_path / 'mapping.json'
  path.write_text(mapping)
  outcome = run('cohort', 'aihub_nodule', aihub, f'--mapping={path}')
  assert outcome.status == 1
  assert f'--mapping: {says}' in outcome.err


@pytest.mark.parametrize(
  ('changes', 'kind', 'says'),
  [
    ({'patient_id': None}, 'annotation does not fit', "there is no 'patient_id'"),
    ({'label': 'tumour'}, 'label unknown', "'label' is none of"),
    ({'boxes': [[1, 2, 3]]}, 'boxes malformed', ''),
    ({'boxes': 7}, 'boxes malformed', ''),
    ({'boxes': [[10, 20, 100, 40]]}, 'box outside the image', ''),
    ({'age': 'old'}, 'age malformed', ''),
    ({'sex': 'W'}, 'sex malformed', ''),
    ({'pixel_spacing_mm': 'x'}, 'pixel_spacing_mm malformed', ''),
    ({'pixel_spacing_mm': [0.1, 0]}, 'pixel_spacing_mm malformed', ''),
    ({'pixel_spacing_mm': [-1, 1]}, 'pixel_spacing_mm malformed', ''),
    ({'image': '../../secret.png'}, 'image missing', ''),
    ({'image': 'absent.png'}, 'image missing', ''),
  ],
)
def test_annotations_that_do_not_fit_are_named(aihub, build, changes, kind, says):
  rewrite(aihub / 'annotations' / '0000.json', **changes)
  outcome = build('aihub_nodule', aihub)
  assert outcome.status == 1
  assert f'{kind}: 1\n  annotation 1 (annotations/0000.json): {says}' in outcome.err


def test_two_annotations_of_one_image_are_refused(aihub, build):
  rewrite(aihub / 'annotations' / '0012.json', image='0003.png')
  err = build('aihub_nodule', aihub).err
  assert '1 faults\nimage twice: 1\n  annotation 4 (annotations/0003.json): ' in err
  assert 'annotation 13 (annotations/0012.json) is for the same image' in err


@pytest.mark.parametrize('text', ['{"image": ', '"text"', '[' * 100_000])
def test_files_that_are_no_annotation_are_named(aihub, build, text):
  (aihub / 'annotations' / '0000.json').write_text(text)
  outcome = build('aihub_nodule', aihub)
  assert outcome.status == 1
  assert 'annotations/0000.json' in outcome.err


def test_a_folder_without_annotations_is_refused(tmp_path, run):
  outcome = run('cohort', 'aihub_nodule', tmp_path)
  assert outcome.status == 1
  assert 'annotations/: there are no JSON files' in outcome.err
