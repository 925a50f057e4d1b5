"""The whole study on four virtual hospitals, small enough for two CPU cores.

Question: none; the demo shows that everything works. All four models start from the bundled
network, not from the weights of the study, so that a few minutes of training find something. For
the same reason its rows do not answer the paper's questions.
Data: simulated here, no download; every lesion is a mass. Start: the bundled network.
Hardware: two CPU cores. Time: under ten minutes.

  python -m nodulax.main --config=configs/demo.py --workdir=runs/demo
"""

from ml_collections import ConfigDict

from configs import study


def get_config() -> ConfigDict:
  config = study.get_config()
  config.name = 'demo'
  config.order = config.order[:4]  # without the paper's exact recipe
  # More of those whose labels are often wrong.
  for name, images in (('nih', 480), ('aihub', 240), ('gmc', 100), ('vindr', 100)):
    config.sources[name].images = images
    config.sources[name].image_size = 384
    config.sources[name].masses_only = True
  config.preprocessing.image_size = 256
  config.model.size = 'mid'  # as the bundled network
  for experiment in config.experiments.values():
    experiment.init = {'checkpoint': 'nodulax'}
  config.experiments.nih_aihub_pixel.model.skip = True  # as the bundled network
  config.optimizer.learning_rate = 1e-3
  config.optimizer.drop_epochs = (3,)
  config.train.epochs = 4
  config.train.batch_size = 8
  config.train.log_every = 5
  config.evaluation.overlays = 16
  return config
