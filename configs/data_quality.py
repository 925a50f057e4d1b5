"""What is a re-reading worth? Networks trained with some wrong labels put right.

Question: of the radiographs of a training set whose labels are wrong, which should be read again,
and how many, for the AUC on external sets? A quarter of the normals and a tenth of the nodules of
the virtual AI-HUB, whose truth is known, are labelled wrong, as radiologists find text-mined labels
(nodulax/phantom/hospitals/nih.py); networks fitted without a third of the patients each rank its
labels; then a network is trained for each way of choosing and each budget, and scored on the
virtual GMC and VinBig. Three seeds.
Data: simulated here, no download; every lesion is a mass. Start: random weights.
Hardware: two CPU cores. Time: about two hours.

  nodulax labels budget --config=configs/data_quality.py --workdir=runs/data_quality
"""

from ml_collections import ConfigDict

from configs import default, study


def get_config() -> ConfigDict:
  config = default.get_config()
  config.name = 'data_quality'
  config.data.train = 'aihub'
  config.data.evaluate = ('gmc', 'vindr')
  config.sources = ConfigDict(
    {
      'aihub': study.source('aihub', 'aihub_nodule', images=1_500, image_size=192),
      'gmc': study.source('gmc', 'gmc_nodule', images=400, image_size=192),
      'vindr': study.source('vindr', 'vindr_cxr', images=400, image_size=192),
    }
  )
  for source in config.sources.values():
    source.masses_only = True
  config.preprocessing.image_size = 128
  config.model.head = 'pixel'
  config.model.size = 'tiny'
  config.model.batch_norm_momentum = 0.95
  config.optimizer.learning_rate = 1e-3
  config.optimizer.drop_epochs = (6, 9)
  config.train.epochs = 12
  config.train.pictures = 0
  config.evaluation.overlays = 0

  config.budget = ConfigDict()
  config.budget.wrong_normal = 0.26  # share of the normals that are labelled nodule
  config.budget.wrong_nodule = 0.11  # share of the nodules that are labelled normal
  config.budget.folds = 3  # parts of the patients, for predictions by networks that never saw them
  config.budget.orders = ('random', 'loss', 'wrong', 'oracle')
  config.budget.counts = (100, 200, 400)  # radiographs that are read again
  config.budget.seeds = (0, 1, 2)
  return config
