"""The paper's two questions, answered on four virtual hospitals whose truth is known.

Question: do labels referenced to CT beat text-mined ones on external sets, and does learning from
pixels beat learning from images? And what the paper could not ask: what do wrong labels cost, and
how many radiographs are enough, with everything else fixed?
Data: simulated here. Sizes are reduced so that two CPU cores are enough: 192 pixels instead of 512,
a small DenseNet-SE, 1,400 training radiographs from each source. At 192 pixels every lesion is
a mass (30 to 50 mm), which covers about as many pixels as an 11 to 19 mm nodule does at 512.
Everything else is the simulator's default: its ranges come from the literature, and the labels of
the virtual NIH are wrong at the rates that radiologists find in the real one (26 % of its normals
and 11 % of its nodules, see nodulax/phantom/hospitals/nih.py).
Start: random weights instead of the paper's ImageNet weights, which have no virtual substitute.
Hardware: two CPU cores. Time: an hour for the four models and three seeds, and an hour and a half
for the sweeps, which --config=configs/virtual_study.py:models leaves out.
Expected: no number; the results are in docs/results.md.

  python -m nodulax.main --config=configs/virtual_study.py --workdir=runs/virtual_study
"""

from ml_collections import ConfigDict

from configs import study

TRAINING_IMAGES = 1400


def get_config(part: str = '') -> ConfigDict:
  """Returns the whole study, or with `part` 'models' the study without its sweeps."""
  if part not in ('', 'models'):
    raise ValueError(f'configs/virtual_study.py has no part {part!r}, only models')
  config = study.get_config()
  config.name = 'virtual_study'
  for name, images in (('nih', 3000), ('aihub', 2100), ('gmc', 686), ('vindr', 500)):
    config.sources[name].images = images
    config.sources[name].image_size = 256
    config.sources[name].masses_only = True
  config.preprocessing.image_size = 192
  config.model.size = 'tiny'
  config.model.batch_norm_momentum = 0.95
  config.optimizer.learning_rate = 1e-3
  config.optimizer.drop_epochs = (8, 12)  # half and three quarters of all, as in the paper
  config.train.epochs = 16
  config.train.pictures = 4
  config.data.train_images = TRAINING_IMAGES  # from each source, so that sizes are equal
  config.seeds = (0, 1, 2)
  if part != 'models':
    config.sweeps = sweeps()
  return config


def sweeps() -> dict:
  return {
    'label_noise': {
      'experiments': ('aihub_image', 'nih_aihub_pixel'),
      'options': ('data.noise.wrong_normal', 'data.noise.wrong_nodule'),
      'values': (0.05, 0.1, 0.2, 0.3, 0.4),
      'unchanged': 0.0,
      'same_steps': False,
    },
    'training_images': {
      'experiments': ('aihub_image', 'nih_aihub_pixel'),
      'options': ('data.train_images',),
      'values': (175, 350, 700),
      'unchanged': TRAINING_IMAGES,
      'same_steps': True,  # fewer radiographs, each seen more often
    },
  }
