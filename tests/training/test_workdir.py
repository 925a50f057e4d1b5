import pytest
from ml_collections import ConfigDict

from configs import default, demo
from nodulax.training import workdir


def begin(folder, config):
  workdir.claim(folder, config)
  (folder / 'checkpoints' / 'latest' / '10').mkdir(parents=True)


def test_a_start_that_failed_holds_nobody_to_its_config(tmp_path):
  workdir.claim(tmp_path, default.get_config())
  config = default.get_config()
  config.data.shards.nih = 'as the error said'
  workdir.claim(tmp_path, config)
  assert 'as the error said' in (tmp_path / 'config.json').read_text()


def test_a_workdir_is_claimed_once_and_known_again(tmp_path):
  config = default.get_config()
  folder = workdir.claim(tmp_path / 'run', config)
  assert workdir.claim(folder, config) == folder
  assert 'Not a medical device' in (folder / 'NOTICE.txt').read_text()


@pytest.mark.parametrize(
  ('option', 'value'), [('optimizer.learning_rate', 1.0), ('data.shards.nih', 'x'), ('seed', 1)]
)
def test_a_knob_that_changes_the_result_is_refused_by_name(tmp_path, option, value):
  begin(tmp_path, default.get_config())
  config = default.get_config()
  config.update_from_flattened_dict({option: value})
  with pytest.raises(workdir.WorkdirError, match=f'{option}: .* there, {value!r} now'):
    workdir.claim(tmp_path, config)


@pytest.mark.parametrize(
  ('option', 'value'),
  [('data.shards.gmc', 'x'), ('train.log_every', 7), ('evaluation.overlays', 1), ('name', 'n')],
)
def test_a_knob_that_does_not_is_free(tmp_path, option, value):
  begin(tmp_path, default.get_config())
  config = default.get_config()
  config.update_from_flattened_dict({option: value})
  workdir.claim(tmp_path, config)


def test_a_study_is_held_to_its_knobs_and_its_experiments(tmp_path):
  workdir.claim(tmp_path, demo.get_config())
  (tmp_path / 'raw').mkdir()
  config = demo.get_config()
  config.train.log_every = 50
  config.seeds = (0, 1)  # another seed is more of the same study
  config.data.shards.nih = 'elsewhere'  # its runs look at it
  workdir.claim(tmp_path, config)
  config.experiments.nih_aihub_pixel.model.head = 'image'
  with pytest.raises(workdir.WorkdirError, match='experiments.nih_aihub_pixel.model.head'):
    workdir.claim(tmp_path, config)
  config = demo.get_config()
  config.train.epochs = 50
  with pytest.raises(workdir.WorkdirError, match='train.epochs'):
    workdir.claim(tmp_path, config)


def test_logs_are_cut_back_to_what_a_checkpoint_knew(tmp_path):
  from etils import epath

  folder = epath.Path(tmp_path)
  (folder / 'metrics.jsonl').write_text('first\n')
  (folder / 'events.out.tfevents.1').write_text('one')
  sizes = workdir.log_sizes(folder)
  (folder / 'metrics.jsonl').write_text('first\nsecond\n')
  (folder / 'events.out.tfevents.1').write_text('one and more')
  (folder / 'events.out.tfevents.2').write_text('two')
  (folder / 'config.json').write_text('stays')
  workdir.cut_back_logs(folder, sizes)
  left = {path.name: path.read_text() for path in folder.iterdir()}
  assert left == {
    'metrics.jsonl': 'first\n',
    'events.out.tfevents.1': 'one',
    'config.json': 'stays',
  }


def test_a_config_is_compared_by_value(tmp_path):
  config = default.get_config()
  workdir.claim(tmp_path, config)
  workdir.claim(tmp_path, ConfigDict(config.to_dict()))


def test_a_run_and_what_lies_beside_it_may_move_together(tmp_path, monkeypatch):
  def config(study):
    one = default.get_config()
    one.data.shards.nih = f'{study}/shards/nih'
    one.init.checkpoint = f'{study}/first'
    return one

  begin(tmp_path / 'here' / 'run', config(tmp_path / 'here'))
  (tmp_path / 'here').rename(tmp_path / 'there')
  workdir.claim(tmp_path / 'there' / 'run', config(tmp_path / 'there'))
  monkeypatch.chdir(tmp_path)
  workdir.claim('there/run', config('there'))
  with pytest.raises(workdir.WorkdirError, match=r"init.checkpoint: '\.\./first' there"):
    workdir.claim('there/run', config(tmp_path / 'elsewhere'))


def test_an_address_in_object_storage_stays_as_it_is(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  config = default.get_config()
  config.init.imagenet = 'gs://weights/densenet121.h5'
  workdir.claim('run', config)
  assert 'gs://weights/densenet121.h5' in (tmp_path / 'run' / 'config.json').read_text()
