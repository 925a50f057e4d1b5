"""Which files a prediction reads, as they lie in the folders of hospitals."""

import errno
import os
import pathlib
import shutil

import pydicom
import pytest

from nodulax.prediction.discovery import radiographs_in, read_list
from nodulax.radiograph.reading import RadiographError, read_radiograph
from tests.prediction.test_predict import images_in


def test_files_of_one_name_are_told_apart(tmp_path):
  for folder in ('a', 'b'):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / 'x.png').write_bytes(b'')
  named = radiographs_in([str(tmp_path / 'a' / 'x.png'), str(tmp_path / 'b' / 'x.png')])
  assert list(named) == ['x.png', 'x.png (2)']


def test_a_path_that_is_not_there_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match='nothing.dcm'):
    radiographs_in([str(tmp_path / 'nothing.dcm')])
  with pytest.raises(FileNotFoundError, match='no DICOM, PNG, JPEG, TIFF'):
    radiographs_in([str(tmp_path)])
  # Beside others it is one fault among the rest.
  (tmp_path / 'x.png').write_bytes(b'')
  (tmp_path / 'empty').mkdir()
  paths = [str(tmp_path / name) for name in ('nothing.dcm', 'x.png', 'empty', '*.jpg')]
  named = radiographs_in(paths)
  assert list(named) == ['nothing.dcm', 'x.png', 'empty', '*.jpg']
  for name in ('nothing.dcm', '*.jpg'):
    with pytest.raises(RadiographError, match='no such file'):
      read_radiograph(named[name])
  with pytest.raises(RadiographError, match='a folder without radiographs'):
    read_radiograph(named['empty'])


def test_a_folder_gives_every_radiograph_whatever_its_name_ends_with(hospital, tmp_path):
  images = images_in(hospital)
  png = next(path for path in images if path.suffix == '.png').read_bytes()
  dicom = next(path for path in images if path.suffix == '.dcm').read_bytes()
  named = {
    '1.2.840.113619.2.1': dicom, 'CR.1.2.3': dicom, 'IM0001': dicom, 'a.IMA': dicom,
    'b.dic': dicom, 'c.img': png, 'd.old': b'\xff\xd8\xff\xe0 of a JPEG', 'e.dcm': b'',
  }  # fmt: skip
  other = {'DICOM.txt': b'DICM', 'f': b'', 'g.npy': b'\x93NUMPY', '.hidden.png': png}
  for name, data in {**named, **other}.items():
    (tmp_path / name).write_bytes(data)
  os.mkfifo(tmp_path / 'pipe')  # would be waited for
  assert list(radiographs_in([str(tmp_path)])) == sorted(named)


def test_globs_and_lists_name_files_from_their_common_folder(tmp_path, monkeypatch):
  for name in ('a/one/x.png', 'a/two/x.png', 'b/y.dcm', 'b/y.txt'):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b'')
  assert list(radiographs_in([str(tmp_path / 'a/*/*.png')])) == ['one/x.png', 'two/x.png']
  everything = [str(tmp_path / '**')]
  assert list(radiographs_in(everything)) == ['a/one/x.png', 'a/two/x.png', 'b/y.dcm']
  assert list(radiographs_in(everything, numbered=True)) == ['000001', '000002', '000003']
  with pytest.raises(FileNotFoundError, match=r'\*\.jpg'):
    radiographs_in([str(tmp_path / '*.jpg')])
  listing = tmp_path / 'list.txt'
  listing.write_text(f'{tmp_path}/b/y.dcm\n\n{tmp_path}/a/../a/one/x.png\n{tmp_path}/a/gone.png\n')
  named = radiographs_in([], read_list(listing))
  assert list(named) == ['b/y.dcm', 'a/one/x.png', 'a/gone.png']
  listing.write_text('\n')
  with pytest.raises(ValueError, match='names no file'):
    read_list(listing)


def test_a_name_that_is_no_text_can_still_be_written(tmp_path):
  (tmp_path / 'caf\udce9.png').write_bytes(b'')
  (name,) = radiographs_in([], [str(tmp_path / 'caf\udce9.png')])
  assert name.encode() == b'caf\\udce9.png'


def test_a_list_with_a_byte_order_mark_and_folders(tmp_path):
  for name in ('a/x.png', 'b/y.png', 'b/c/z.png'):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b'')
  listing = tmp_path / 'list.txt'
  listing.write_bytes(f'\ufeff{tmp_path}/a/x.png\r\n{tmp_path}/b\r\n'.encode())
  named = radiographs_in([], read_list(listing))
  assert list(named) == ['a/x.png', 'b/c/z.png', 'b/y.png']


def test_a_folder_is_read_through_links_once_and_its_dead_ends_are_told(tmp_path):
  folder, elsewhere = tmp_path / 'folder', tmp_path / 'elsewhere'
  for where in (folder, elsewhere):
    where.mkdir()
  (elsewhere / 'x.png').write_bytes(b'')
  (folder / 'linked').symlink_to(elsewhere)
  (elsewhere / 'back').symlink_to(folder)
  (folder / 'gone.png').symlink_to(tmp_path / 'nothing')
  named = radiographs_in([str(folder)])
  assert list(named) == ['gone.png', 'linked/x.png']
  with pytest.raises(RadiographError, match='no such file'):
    read_radiograph(named['gone.png'])


def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path, monkeypatch):
  (tmp_path / 'x.png').write_bytes(b'')
  (tmp_path / 'closed').mkdir()
  scan = os.scandir

  def refuse(path):
    if pathlib.Path(path).name == 'closed':
      raise PermissionError(errno.EACCES, 'Permission denied', str(path))
    return scan(path)

  monkeypatch.setattr(os, 'scandir', refuse)
  named = radiographs_in([str(tmp_path)])
  assert list(named) == ['closed', 'x.png']


def test_masks_and_objects_without_an_image_are_no_radiographs(hospital, tmp_path, caplog):
  masks = {path.relative_to(hospital).as_posix() for path in hospital.glob('masks/*')}
  assert masks
  images = {path.relative_to(hospital).as_posix() for path in images_in(hospital)}
  assert set(radiographs_in([str(hospital)])) == images
  assert 'masks that manifest.csv names' in caplog.text
  disc = tmp_path / 'disc'
  disc.mkdir()
  dicom = next(path for path in images_in(hospital) if path.suffix == '.dcm')
  shutil.copy(dicom, disc / 'image')
  for name, uid in {
    'DICOMDIR': '1.2.840.10008.1.3.10',
    'report.dcm': '1.2.840.10008.5.1.4.1.1.88.33',
    'state.dcm': '1.2.840.10008.5.1.4.1.1.11.1',
    'segmentation.dcm': '1.2.840.10008.5.1.4.1.1.66.4',
    'registration': '1.2.840.10008.5.1.4.1.1.66.1',
    'waveform.dcm': '1.2.840.10008.5.1.4.1.1.9.1.1',
    'structures.dcm': '1.2.840.10008.5.1.4.1.1.481.3',
    'protocol.dcm': '1.2.840.10008.5.1.4.38.1',
  }.items():
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = uid, '1.2.3'
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.save_as(disc / name, enforce_file_format=name != 'state.dcm')
  # Implicit, and without meta information.
  implicit = pydicom.Dataset()
  implicit.SOPClassUID = '1.2.840.10008.5.1.4.1.1.88.11'
  implicit.save_as(disc / 'old.dcm', implicit_vr=True, little_endian=True)
  assert list(radiographs_in([str(disc)])) == ['image']


@pytest.mark.parametrize('separator', [',', ';'])
def test_masks_are_known_as_the_builder_knows_them(tmp_path, separator):
  (tmp_path / 'masks').mkdir()
  for name in ('a.png', 'b.png', 'masks/a.png', 'masks/b.png'):
    (tmp_path / name).write_bytes(b'')
  rows = [('image', 'mask'), ('a.png', 'masks\\a.PNG'), ('b.png', 'masks/../masks/b.png')]
  (tmp_path / 'manifest.csv').write_text('\n'.join(separator.join(row) for row in rows))
  assert list(radiographs_in([str(tmp_path)])) == ['a.png', 'b.png']
  assert list(radiographs_in([str(tmp_path / '**' / '*.png')])) == ['a.png', 'b.png']
  # A column that names the radiographs themselves takes none of them away.
  (tmp_path / 'manifest.csv').write_text('image,mask\na.png,a.png\nb.png,b.png\n')
  assert len(radiographs_in([str(tmp_path)])) == 4


def test_the_output_of_a_prediction_that_was_killed_is_not_read(tmp_path):
  (tmp_path / 'x.png').write_bytes(b'')
  (tmp_path / 'out' / 'overlays').mkdir(parents=True)
  for name in ('out/journal.jsonl', 'out/NOTICE.txt', 'out/overlays/x.png'):
    (tmp_path / name).write_bytes(b'')
  assert list(radiographs_in([str(tmp_path)])) == ['x.png']
  assert list(radiographs_in([str(tmp_path / '**/*.png')])) == ['x.png']


def test_a_path_that_is_too_long_stops_nothing(tmp_path):
  (tmp_path / 'x.png').write_bytes(b'')
  long = 'a' * 300 + '.png'
  named = radiographs_in([str(tmp_path / 'x.png'), long], [long])
  assert list(named) == ['x.png', long, f'{long} (2)']
  with pytest.raises(RadiographError, match='File name too long'):
    read_radiograph(named[long])


def test_hidden_folders_are_skipped_and_counted(tmp_path, caplog):
  for name in ('x.png', '.thumbnails/x.png'):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b'')
  assert list(radiographs_in([str(tmp_path)])) == ['x.png']
  assert 'skipped 1 hidden folders' in caplog.text
