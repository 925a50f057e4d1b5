import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest
import tensorflow_datasets as tfds

from tfds_builders import commands, examples
from tfds_builders.base import RadiographBuilder
from tfds_builders.examples import divide
from tfds_builders.nih_chestxray14.nih_chestxray14_dataset_builder import Builder, Options

ROOT = pathlib.Path(__file__).parents[2]


def shards(outcome) -> dict[str, bytes]:
  return {path.name: path.read_bytes() for path in outcome.folder.glob('*.array_record*')}


def test_what_is_built(nih, build):
  outcome = build('nih_chestxray14', nih)
  assert outcome.status == 0, outcome.err
  assert outcome.folder == outcome.data_dir / 'nih_chestxray14' / 'default' / '1.0.0'
  assert sorted(path.name for path in outcome.folder.iterdir()) == [
    'NOTICE.txt',
    'cohort.json',
    'dataset_info.json',
    'features.json',
    'label.labels.txt',
    *(
      f'nih_chestxray14-{split}.array_record-00000-of-00001' for split in ('test', 'train', 'tune')
    ),
  ]
  assert 'not a medical device' in (outcome.folder / 'NOTICE.txt').read_text()
  info = tfds.builder_from_directory(outcome.folder).info
  assert {split: info.splits[split].num_examples for split in info.splits} == {
    'train': 14,
    'tune': 2,
    'test': 4,
  }
  assert info.features['label'].names == ['normal', 'nodule']
  assert 'ChestX-ray14' in info.description
  assert 'Wang' in info.citation


def test_equal_downloads_give_equal_shards_whatever_the_number_of_processes(
  nih, build, monkeypatch
):
  one = shards(build('nih_chestxray14', nih, '--processes=1'))
  shutil.rmtree(nih.parent / 'shards')
  monkeypatch.setattr('tfds_builders.processes._IMAGES_WORTH_A_PROCESS', 1)
  assert shards(build('nih_chestxray14', nih, '--processes=2')) == one


def test_another_seed_is_another_data_set(nih, build):
  first = build('nih_chestxray14', nih)
  second = build('nih_chestxray14', nih, '--seed=1')
  assert second.folder.parent.name == 'default-seed_1'
  assert first.folder.exists()
  assert {e['image_id'] for e in first.examples('test')} != {
    e['image_id'] for e in second.examples('test')
  }


def test_splits_do_not_depend_on_the_key(nih, build, tmp_path):
  first = build('nih_chestxray14', nih).all_examples()
  shutil.rmtree(tmp_path / 'shards')
  second = build('nih_chestxray14', nih, f'--hash_key={tmp_path / "other.key"}').all_examples()
  assert {k: e['split'] for k, e in first.items()} == {k: e['split'] for k, e in second.items()}
  assert all(first[key]['patient_id'] != second[key]['patient_id'] for key in first)


def test_what_was_built_before_is_left_alone(nih, build):
  first = build('nih_chestxray14', nih)
  times = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
  again = build('nih_chestxray14', nih)
  assert again.status == 0
  assert 'Built before' in again.out
  assert again.folder == first.folder
  assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == times


def test_a_key_beside_the_shards_is_refused_before_anything_is_read(nih, build):
  outcome = build('nih_chestxray14', nih, f'--hash_key={nih.parent}/shards/hash.key')
  assert outcome.status == 1
  assert 'must not be beside the shards' in outcome.err
  assert 'Looking at' not in outcome.err


def test_a_refused_build_leaves_no_data_set_of_that_name(nih, build):
  (nih / 'images' / '00000003_000.png').unlink()
  outcome = build('nih_chestxray14', nih)
  assert outcome.status == 1
  assert not (outcome.data_dir / 'nih_chestxray14' / 'default').exists()
  assert build('nih_chestxray14', nih, '--allow_missing').status == 0
  # TFDS's own note of the configurations is all that stands beside the data set.
  assert {path.name for path in outcome.data_dir.rglob('*') if path.is_dir()} == {
    'nih_chestxray14', '.config', 'default-allow_missing', '1.0.0',
  }  # fmt: skip


def nothing_looks_complete(data_dir: pathlib.Path) -> bool:
  return not list(data_dir.rglob('dataset_info.json')) and not list(data_dir.rglob('1.0.0'))


def test_an_interrupted_build_leaves_nothing_and_can_be_run_again(nih, build, monkeypatch):
  def interrupt(entries):
    yield from ()
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(examples, 'examples', interrupt)
    outcome = build('nih_chestxray14', nih)
  assert outcome.status == 130
  assert nothing_looks_complete(outcome.data_dir)
  assert not list(outcome.data_dir.rglob('*.array_record*'))
  assert build('nih_chestxray14', nih).status == 0


def test_a_full_disk_is_told_and_leaves_nothing(nih, build, monkeypatch):
  class Full:
    def __init__(self, path, options):
      del path, options

    def write(self, record):
      raise RuntimeError('write() failed: No space left on device')

  monkeypatch.setattr(examples.array_record_module, 'ArrayRecordWriter', Full)
  outcome = build('nih_chestxray14', nih)
  assert outcome.status == 1
  assert 'No space left on device' in outcome.err
  assert nothing_looks_complete(outcome.data_dir)


@pytest.mark.parametrize(
  ('meddled', 'says'),
  [
    ('images/0.png', 'manifest.csv line 2: the file changed'),
    ('masks/0.png', 'the mask of manifest.csv line 2: the file changed'),
  ],
)
def test_a_file_that_changes_meanwhile_is_told(hospital, build, monkeypatch, meddled, says):
  plan = RadiographBuilder._plan

  def meddle(*arguments):
    path = hospital / meddled
    data = bytearray(path.read_bytes())
    data[-20] ^= 1  # of the same size
    path.write_bytes(data)
    return plan(*arguments)

  monkeypatch.setattr(RadiographBuilder, '_plan', meddle)
  outcome = build('gmc_nodule', hospital)
  assert outcome.status == 1
  assert f': {says}' in outcome.err
  assert nothing_looks_complete(outcome.data_dir)


@pytest.mark.skipif(os.name != 'posix', reason='other systems end processes otherwise')
def test_a_killed_build_looks_incomplete_and_the_next_starts_clean(nih, build, tmp_path):
  image = nih / 'images' / '00000001_000.png'
  content = image.read_bytes()
  image.unlink()
  os.mkfifo(image)  # a read of it waits for ever
  data_dir = tmp_path / 'shards'
  process = subprocess.Popen(
    [sys.executable, '-m', 'tfds_builders', 'build', 'nih_chestxray14']
    + [f'--manual_dir={nih}', f'--data_dir={data_dir}'],
    cwd=ROOT,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  leftovers = []
  while not leftovers and process.poll() is None:
    time.sleep(0.05)
    leftovers = list(data_dir.glob('nih_chestxray14/default/incomplete.*'))
  process.send_signal(signal.SIGKILL)
  process.wait()
  assert leftovers
  assert nothing_looks_complete(data_dir)
  image.unlink()
  image.write_bytes(content)
  outcome = build('nih_chestxray14', nih)
  assert outcome.status == 0, outcome.err
  assert not leftovers[0].exists()


def test_tfds_takes_the_options_as_json(nih, tmp_path):
  """As `tfds build --config='{"name": "mine", "seed": 5}'` does."""
  builder = Builder(data_dir=tmp_path / 'shards', config=Options(**{'name': 'mine', 'seed': 5}))
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=nih), file_format='array_record'
  )
  assert pathlib.Path(builder.data_dir).parent.name == 'mine'
  assert builder.info.splits['test'].num_examples == 4


def test_tfds_refuses_other_content_under_a_registered_name(tmp_path):
  with pytest.raises(ValueError, match='Change the name'):
    Builder(data_dir=tmp_path, config=Options(name='default', seed=5))


def test_a_split_is_divided_by_size_in_an_order_of_no_meaning():
  class Entry:
    def __init__(self, number):
      self.image_id = f'{number:03d}'
      self.stored_bytes = 10 * 2**20

  entries = [Entry(number) for number in range(20)]
  files = divide(entries)
  # 200 MiB in files of at most 64 MiB.
  assert [len(file) for file in files] == [5, 5, 5, 5]
  order = [entry.image_id for file in files for entry in file]
  assert sorted(order) == [entry.image_id for entry in entries] != order
  assert order == [entry.image_id for file in divide(entries[::-1]) for entry in file]


@pytest.mark.parametrize(
  'arguments',
  [
    [],
    ['cohort'],
    ['cohort', 'nih'],
    ['cohort', 'nih_chestxray14', '--manual_dir=/absent'],
    ['cohort', 'nih_chestxray14', '--manual_dir=/', '--sed=1'],
    ['build', 'nih_chestxray14', '--manual_dir=/'],
    ['cohort', 'nih_chestxray14', '--manual_dir=/', '--split=offical'],
  ],
)
def test_commands_that_mean_nothing_are_refused(arguments, capsys):
  with pytest.raises(SystemExit) as ended:
    commands.main(arguments)
  assert ended.value.code == 2
  assert 'usage: python -m tfds_builders' in capsys.readouterr().err


@pytest.mark.parametrize(
  ('command', 'option', 'says'),
  [
    ('build', '--hash_key=FOLDER', 'Is a directory; give --hash_key'),
    ('build', '--hash_key=FILE/key', 'Not a directory; give --hash_key'),
    ('build', '--data_dir=FILE/x', '--data_dir: Not a directory: '),
    ('validate', '--output=FILE/x', '--output: Not a directory: '),
    ('validate', '--output=FILE', '--output: File exists: '),
  ],
)
def test_places_that_cannot_be_are_refused_by_their_option(nih, run, command, option, says):
  given = option.replace('FOLDER', str(nih)).replace('FILE', str(nih / 'BBox_List_2017.csv'))
  outcome = run(command, 'nih_chestxray14', nih, given)
  assert outcome.status == 1
  (line,) = (line for line in outcome.err.splitlines() if line.startswith('nih_chestxray14: '))
  assert says in line
  assert 'Looking at' not in outcome.err


@pytest.mark.parametrize('source', commands.SOURCES)
def test_help_says_what_to_put_where(source, capsys):
  with pytest.raises(SystemExit) as ended:
    commands.main(['build', source, '--help'])
  assert ended.value.code == 0
  out = capsys.readouterr().out
  assert 'one folder' in out.lower()
  for field in ('--seed', '--exclude', '--allow_missing', '--allow_faulty', '--hash_key'):
    assert field in out
  assert 'not a medical device' in out
  examples = [line.split() for line in out.splitlines() if line.startswith('  python -m')]
  assert len(examples) == 2
  for _, _, _, command, of_source, *options in examples:
    assert (command, of_source) == ('build', source)
    # Every option of the examples is one that the help explains.
    assert all(f'  {option.split("=")[0]}' in out for option in options)


@pytest.mark.parametrize('source', commands.SOURCES)
def test_each_builder_is_a_complete_tfds_folder(source):
  folder = ROOT / 'tfds_builders' / source
  for name in ('README.md', 'CITATIONS.bib', 'TAGS.txt', '__init__.py'):
    assert (folder / name).is_file()
  builder = commands.builder_of(source)
  assert builder.name == source
  tags = builder.get_metadata().tags
  assert tags
  assert set(tags) <= set(tfds.core.dataset_metadata.valid_tags())


@pytest.mark.parametrize(
  ('source', 'option'),
  [
    ('nih_chestxray14', '--seed=-1'),
    ('gmc_nodule', '--processes=-2'),
    ('vindr_cxr', '--iou=0'),
    ('vindr_cxr', '--iou=1.5'),
    ('vindr_cxr', '--normals=-1'),
  ],
)
def test_numbers_out_of_range_are_refused(source, option, run, tmp_path):
  outcome = run('cohort', source, tmp_path, option)
  assert outcome.status == 1
  assert option.split('=')[0] in outcome.err
  assert 'must' in outcome.err
