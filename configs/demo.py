"""The whole study on four virtual hospitals, small enough for two CPU cores.

Question: none; it shows that everything works. Everything is configs/study.py, shrunk.
Data: simulated here, no download; every lesion is a mass. Start: random weights.
Hardware: two CPU cores. Time: under ten minutes.
Expected: AUCs near 0.5. Half a minute of training from random weights on some two hundred images of
128 pixels is too little to find what these images hide; configs/virtual_study.py takes its time.

  python -m nodulax.main --config=configs/demo.py --workdir=runs/demo
"""

from ml_collections import ConfigDict

from configs import study


def get_config() -> ConfigDict:
  config = study.get_config()
  config.name = 'demo'
  for name, images in (('nih', 300), ('aihub', 260), ('gmc', 100), ('vindr', 100)):
    config.sources[name].images = images
    config.sources[name].image_size = 192
    config.sources[name].masses_only = True
  config.preprocessing.image_size = 128
  config.model.size = 'tiny'
  config.model.batch_norm_momentum = 0.9  # a hundred steps are too few for 0.99
  config.optimizer.learning_rate = 2e-3
  config.optimizer.drop_epochs = (8,)
  config.train.epochs = 10
  config.train.log_every = 5
  config.evaluation.overlays = 16
  return config
