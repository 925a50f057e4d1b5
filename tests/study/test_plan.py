"""Which networks a study trains, from what, and how it tells the report."""

import pathlib

import pytest

from configs import nih_aihub_pixel, study, virtual_study
from nodulax.study.plan import check, describe, runs, sources
from nodulax.training.options import check_options

FOLDER = pathlib.Path('work')
SHARDS = {'nih': 'a', 'aihub': 'b', 'gmc': 'c', 'vindr': 'd'}


@pytest.fixture
def config():
  return study.get_config()


def planned(config):
  return {run.name: run for run in runs(config, FOLDER, SHARDS)}


def test_the_four_experiments_in_order_and_the_fourth_to_the_letter(config):
  by_name = planned(config)
  literal = by_name.pop('nih_aihub_pixel_literal').config
  usual = by_name['nih_aihub_pixel'].config
  assert list(by_name) == ['nih_image', 'aihub_image', 'nih_aihub_image', 'nih_aihub_pixel']
  assert (literal.model.pooling, literal.loss.localization_weight) == ('max', 1.0)
  assert (usual.model.pooling, usual.loss.localization_weight) == ('logsumexp', 64.0)
  alone = nih_aihub_pixel.get_config('literal')
  assert alone.model == literal.model and alone.loss == literal.loss
  with pytest.raises(ValueError, match="no part 'x'"):
    nih_aihub_pixel.get_config('x')
  heads = [run.config.model.head for run in by_name.values()]
  assert heads == ['image', 'image', 'image', 'pixel']
  assert [run.config.data.train for run in by_name.values()] == ['nih', *['aihub'] * 3]
  starts = [run.config.init.checkpoint for run in by_name.values()]
  assert starts == ['', '', 'work/nih_image', 'work/nih_image']
  assert all(run.config.data.shards.gmc == 'c' for run in by_name.values())


def test_a_shared_knob_holds_for_all_and_an_experiments_own_for_it_alone(config):
  config.train.epochs = 3
  config.experiments.aihub_image.update({'optimizer': {'learning_rate': 0.5}})
  by_name = planned(config)
  assert {run.config.train.epochs for run in by_name.values()} == {3}
  rates = {name: run.config.optimizer.learning_rate for name, run in by_name.items()}
  assert rates.pop('aihub_image') == 0.5 and set(rates.values()) == {1e-4}
  assert 'sources' not in by_name['nih_image'].config


def test_every_seed_trains_all_and_starts_from_its_own_first_model(config):
  config.seeds = (0, 7)
  by_name = planned(config)
  assert len(by_name) == 10
  run = by_name['nih_aihub_pixel_seed7']
  assert run.config.seed == 7 and run.config.init.checkpoint == 'work/nih_image_seed7'


def test_a_study_that_starts_from_imagenet_can_be_trained(config):
  config.init.imagenet = 'keras'
  for run in planned(config).values():
    check_options(run.config)


def test_a_sweep_changes_one_option(config):
  config.data.train_images = 800
  config.train.epochs, config.optimizer.drop_epochs = 10, (8,)
  with config.unlocked():
    config.sweeps = {
      'label_noise': {
        'experiments': ('aihub_image',), 'values': (0.1, 0.2),
        'options': ('data.noise.wrong_normal', 'data.noise.wrong_nodule'),
        'unchanged': 0.0, 'same_steps': False,
      },
      'training_images': {
        'experiments': ('nih_aihub_pixel',), 'options': ('data.train_images',), 'values': (200,),
        'unchanged': 800, 'same_steps': True,
      },
    }  # fmt: skip
  by_name = planned(config)
  noisy = by_name['aihub_image_label_noise_0.2']
  assert noisy.config.data.noise.wrong_normal == noisy.config.data.noise.wrong_nodule == 0.2
  assert noisy.config.train.epochs == 10
  few = by_name['nih_aihub_pixel_training_images_200']
  assert few.config.data.train_images == 200 and few.config.init.checkpoint == 'work/nih_image'
  # 12 batches of 16 an epoch rather than 50: 42 epochs are 504 steps, 10 were 500.
  assert few.config.train.epochs == 42 and few.config.optimizer.drop_epochs == (33,)
  told = describe(list(by_name.values()), config)
  assert told['runs']['aihub_image_label_noise_0.2'] == {
    'model': 'aihub_image', 'seed': 0, 'sweep': 'label_noise', 'value': 0.2
  }  # fmt: skip
  assert told['runs']['aihub_image']['sweep'] is None
  assert told['sweeps']['training_images'] == {'options': ['data.train_images'], 'unchanged': 800}


def test_what_trains_is_prepared_though_nothing_is_scored_on_it(config):
  assert set(sources(config)) == {'nih', 'aihub', 'gmc', 'vindr'}
  config.data.evaluate = ('gmc',)
  assert set(sources(config)) == {'nih', 'aihub', 'gmc'}


def test_a_sweep_over_an_unknown_experiment_is_an_error(config):
  config.order = ('nih_image', 'mine')
  with pytest.raises(ValueError, match="no 'mine'"):
    planned(config)


def test_the_virtual_study_trains_all_on_equal_numbers_and_sweeps_two_options():
  by_name = planned(virtual_study.get_config())
  assert len(by_name) == 31
  plain = [run for run in by_name.values() if run.sweep is None]
  assert len(plain) == 15 and {run.seed for run in plain} == {0, 1, 2}
  assert {run.config.data.train_images for run in plain} == {virtual_study.TRAINING_IMAGES}
  assert {run.config.data.noise.wrong_nodule for run in plain} == {0.0}
  # Every run takes 87 * 16 steps, to the nearest whole epoch.
  for run in by_name.values():
    epoch = run.config.data.train_images // run.config.train.batch_size
    assert abs(epoch * run.config.train.epochs - 1392) <= epoch / 2
    drops = [drop / run.config.train.epochs for drop in run.config.optimizer.drop_epochs]
    assert drops == pytest.approx([1 / 2, 3 / 4], abs=0.01)
  assert list(planned(virtual_study.get_config('models'))) == [run.name for run in plain]
  with pytest.raises(ValueError, match='only models'):
    virtual_study.get_config('sweeps')


def test_the_studies_that_come_along_pass_their_own_check(config):
  check(config)
  check(virtual_study.get_config(''))


@pytest.mark.parametrize(
  ('option', 'value', 'says'),
  [
    ('seeds', (), 'seeds=.. must be one or more whole numbers'),
    ('seeds', (0, 0), 'seeds=.0, 0. must be one or more whole numbers, each once'),
    ('seeds', (-1,), 'nih_image: --config.seed=-1 must be from 0'),
    ('experiments.nih_image.init', {'checkpoint': 'nope'}, 'nope: no checkpoint here'),
    ('order', ('x',), "order=.'x',. must name at least one of aihub_image"),
    ('data.evaluate', ('gmc', 'x'), "evaluate names the source 'x', which is none of aihub, gmc"),
    ('sources.gmc.images', 0, 'sources.gmc.images=0 must be a whole number of at least 1'),
    ('sources.gmc.builder', 'x', 'builder=x must be one of nih_chestxray14'),
    ('sources.gmc.hospital', 'x', 'hospital=x must be one of nih, aihub'),
    ('sources.gmc.raw', '/nowhere', 'raw=/nowhere: there is no such folder'),
    ('sweeps.label_noise.options', ('data.noise.x',), 'must be an option of configs/default.py'),
    ('sweeps.label_noise.options', ('data.train',), 'that is a'),
    ('sweeps.label_noise.values', (), 'values=.. must be one or more numbers'),
    (
      'sweeps.label_noise.values',
      (0.1, 2.0),
      'label_noise_2: config.data.noise.wrong_normal is 2.0',
    ),
    ('sweeps.label_noise.experiments', ('x',), "config.experiments has no 'x'"),
    ('augmentation.flip', 2.0, 'nih_image: --config.augmentation.flip=2.0 must be from 0 to 1'),
  ],
)
def test_options_of_a_study_are_checked_before_any_work(option, value, says):
  config = virtual_study.get_config('')
  *path, last = option.split('.')
  part = config
  for name in path:
    part = part[name]
  with config.unlocked():
    part[last] = value
  with pytest.raises(ValueError, match=says):
    check(config)
