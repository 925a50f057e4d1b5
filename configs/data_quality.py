"""What do wrong labels cost, which loss copes with them best, and what is re-reading worth?

Questions: (budget) if some labels of a training set are wrong, which radiographs should be read
again, and how many, for the best AUC on external sets? A quarter of the normals and a tenth of the
nodules of the virtual AI-HUB, whose truth is known, get wrong labels, the rates that radiologists
find in text-mined labels (nodulax/phantom/hospitals/nih.py); networks trained without a third of
the patients rank its labels; then a network is trained for each way of choosing and each budget.
(losses) Which loss copes best? (noise) What does each kind of wrong label or outline cost? All
networks are scored on the virtual GMC and VinBig. Three seeds.
Data: simulated here, no download; every lesion is a mass. Start: random weights.
Hardware: two CPU cores. Time: about two hours, for 150 networks of half a minute to a minute each.

  nodulax labels study --config=configs/data_quality.py --workdir=runs/data_quality
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
      'aihub': study.source('aihub', 'aihub_nodule', images=1_000, image_size=192),
      'gmc': study.source('gmc', 'gmc_nodule', images=300, image_size=192),
      'vindr': study.source('vindr', 'vindr_cxr', images=300, image_size=192),
    }
  )
  for source in config.sources.values():
    source.masses_only = True
  config.preprocessing.image_size = 96
  config.model.head = 'pixel'
  config.model.size = 'tiny'
  config.model.batch_norm_momentum = 0.95
  config.optimizer.learning_rate = 2e-3
  config.optimizer.drop_epochs = (6, 9)
  config.train.epochs = 10
  config.train.batch_size = 8
  config.train.pictures = 0
  config.evaluation.overlays = 0

  config.seeds = (0, 1, 2)
  config.parts = ('budget', 'losses', 'noise')

  config.budget = ConfigDict()
  config.budget.wrong_normal = 0.26  # share of the normals that are labelled nodule
  config.budget.wrong_nodule = 0.11  # share of the nodules that are labelled normal
  config.budget.folds = 3  # parts of the patients, for predictions by networks that never saw them
  config.budget.orders = ('random', 'loss', 'wrong', 'gain', 'oracle')
  config.budget.counts = (100, 200)  # radiographs to read again

  config.losses = ConfigDict()
  config.losses.rates = (0.1, 0.2, 0.3)  # share of wrong labels in each class
  # The options of config.loss to change; forward correction gets the true rates.
  config.losses.compared = ConfigDict(
    {
      'cross_entropy': {},
      'generalized': {'classification': 'generalized'},
      'symmetric': {'classification': 'symmetric'},
      'forward': {'classification': 'forward'},
      'smoothing': {'smoothing': 0.2},
      'early_learning': {'early_learning': 3.0},
    }
  )

  # The options of config.data.noise that each kind sets, and their values. missed_second is not
  # among them: no patient of the virtual AI-HUB has more than one mass.
  config.noise = ConfigDict(
    {
      name: {'options': options, 'amounts': amounts, 'by_conspicuity': by_conspicuity}
      for name, options, by_conspicuity, amounts in (
        ('labels wrong', ('wrong_normal', 'wrong_nodule'), False, (0.1, 0.2, 0.3)),
        ('normals called nodule', ('wrong_normal',), False, (0.1, 0.2, 0.3)),
        ('nodules missed', ('wrong_nodule',), False, (0.1, 0.2, 0.3)),
        ('inconspicuous missed', ('wrong_nodule',), True, (0.1, 0.2, 0.3)),
        ('outlines shifted', ('jitter',), False, (0.25, 0.5, 1.0)),
        ('outlines enlarged', ('enlarged',), False, (0.25, 0.5, 1.0)),
      )
    }
  )
  return config
