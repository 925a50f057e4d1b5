"""The whole way on two virtual hospitals, small enough for two CPU cores.

Question: none; it shows that everything works. Network 1 learns from the labels of a virtual NIH,
network 2 starts from it and learns from the masks of a virtual hospital; both are tested on both.
Data: simulated here, no download. Hardware: two CPU cores. Time: under five minutes.
Expected: AUCs about 0.5. A minute of training from random weights on two hundred images of 128
pixels is too little to find what these images hide.

  python -m nodulax.main --config=configs/demo.py --workdir=runs/demo
"""

from ml_collections import ConfigDict

from configs import default

IMAGE_SIZE = 256  # pixels of the simulated radiographs


def get_config():
  config = ConfigDict()
  config.name = 'demo'
  config.sources = {
    'nih': {
      'hospital': 'nih',
      'images': 300,
      'image_size': IMAGE_SIZE,
      'seed': 1,
      'masses_only': True,
      'builder': 'nih_chestxray14',
      'options': {},
    },
    'hospital': {
      'hospital': 'gmc',
      'images': 300,
      'image_size': IMAGE_SIZE,
      'seed': 1,
      'masses_only': True,
      'builder': 'gmc_nodule',
      'options': {'config': 'hospital'},
    },
  }
  config.order = ('nih_image', 'hospital_pixel')
  config.experiments = {
    'nih_image': experiment('nih_image', train='nih', head='image', start=''),
    'hospital_pixel': experiment(
      'hospital_pixel', train='hospital', head='pixel', start='nih_image'
    ),
  }
  return config


def experiment(name: str, *, train: str, head: str, start: str) -> ConfigDict:
  config = default.get_config()
  config.name = name
  config.data.train = train
  config.data.evaluate = ('nih', 'hospital')
  config.preprocessing.image_size = 128
  config.model.head = head
  config.model.size = 'tiny'
  config.model.batch_norm_momentum = 0.9  # a hundred steps are too few for 0.99
  config.init.checkpoint = start  # an experiment of this study, by name
  config.optimizer.learning_rate = 2e-3
  config.optimizer.drop_epochs = (9,)
  config.train.epochs = 12
  config.train.log_every = 5
  return config
