"""Your own hospital's radiographs: fine-tunes the bundled network.

Question: none; it trains a network for your images: network 2 of medium size at 448 pixels, on
labels and, where available, masks or boxes.
Data: shards of gmc_nodule, built with --config=hospital. Start: the bundled network.
Hardware: two CPU cores train on about four radiographs per second. Of 1,000, 700 are for training,
and ten epochs take about half an hour. --config=configs/hospital.py:large trains DenseNet-121 at
512 pixels on a GPU, from public weights (--config.init.imagenet=keras) if you have them.

  python -m nodulax.main --config=configs/hospital.py --workdir=runs/mine \
    --config.data.shards.hospital=SHARDS
"""

from ml_collections import ConfigDict

from configs import default


def get_config(part: str = '') -> ConfigDict:
  if part not in ('', 'large'):
    raise ValueError(f"there is no part {part!r}; 'large' is for a GPU")
  config = default.get_config()
  config.name = 'hospital'
  config.data.train = 'hospital'
  config.data.evaluate = ('hospital',)
  config.model.head = 'pixel'
  config.augmentation.gamma = 0.2
  config.augmentation.noise = 0.02
  if part == 'large':
    config.optimizer.learning_rate = 3e-4
    return config
  config.init.checkpoint = 'nodulax'
  config.model.size = 'mid'  # as the bundled network
  config.model.skip = True
  config.preprocessing.image_size = 448
  config.optimizer.learning_rate = 5e-4
  config.optimizer.drop_epochs = (6, 8)
  config.train.epochs = 10
  config.train.batch_size = 8
  return config
