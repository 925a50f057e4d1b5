"""Which recipe teaches network 2 to locate? Compares the paper's with parts of the default.

Question: which pooling and which weight of the pixel-wise loss should be the default? Four networks
from random weights, including network 1 for comparison, learn from masks of the virtual AI-HUB and
are scored on the virtual GMC and VinBig. Three seeds.
Data: simulated here, no download; every lesion is a mass. Start: random weights.
Hardware: two CPU cores. Time: about half an hour.

  python -m nodulax.main --config=configs/recipes.py --workdir=runs/recipes
"""

from typing import Any

from ml_collections import ConfigDict

from configs import default, study

RECIPES: dict[str, dict[str, Any]] = {
  'image': {'model': {'head': 'image'}},
  'literal': {
    'model': {'head': 'pixel', **default.LITERAL['model']},
    'loss': default.LITERAL['loss'],
  },
  'weighted_max': {'model': {'head': 'pixel', 'pooling': 'max'}},
  'weighted_logsumexp': {'model': {'head': 'pixel', 'pooling': 'logsumexp'}},
}


def get_config() -> ConfigDict:
  config = study.get_config()
  config.name = 'recipes'
  with config.unlocked():
    config.experiments = {
      name: {'name': name, 'data': {'train': 'aihub'}, **changes}
      for name, changes in RECIPES.items()
    }
  config.order = tuple(RECIPES)
  config.seeds = (0, 1, 2)
  config.data.evaluate = ('gmc', 'vindr')
  for name, images in (('aihub', 1_500), ('gmc', 400), ('vindr', 400)):
    config.sources[name].images = images
    config.sources[name].image_size = 192
    config.sources[name].masses_only = True
  config.preprocessing.image_size = 128
  config.model.size = 'tiny'
  config.model.batch_norm_momentum = 0.95
  config.optimizer.learning_rate = 1e-3
  config.optimizer.drop_epochs = (6, 9)
  config.train.epochs = 12
  config.train.pictures = 4
  config.evaluation.overlays = 8
  return config
