"""Every option of an experiment, with its unit. The other configs list only what they change.

Any of them can be changed on the command line: --config.optimizer.learning_rate=3e-4
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

# The paper's exact recipe for network 2: the image's logit is the map's maximum, the mean
# pixel-wise loss counts once, and every cell starts undecided. docs/results.md says why it is not
# the default. Network 1 has none of these options.
LITERAL: dict[str, dict[str, Any]] = {
  'model': {'pooling': 'max', 'cell_prior': 0.5},
  'loss': {'localization_weight': 1.0},
}


def changed(changes: Mapping[str, Any], part: str = '') -> ConfigDict:
  """Returns the config of an experiment: the default with `changes`, nested like it.

  Args:
    changes: values that differ from those of `get_config`.
    part: what follows the colon of --config=FILE:PART: 'literal' or nothing.

  Raises:
    ValueError: there is no such part.
  """
  if part not in ('', 'literal'):
    raise ValueError(f"there is no part {part!r}; 'literal' is the paper's exact recipe")
  config = get_config()
  config.update(changes)
  if part:
    config.update(LITERAL)
  return config


def get_config() -> ConfigDict:
  config = ConfigDict()
  config.name = 'default'
  config.seed = 0  # for initialisation, shuffling and augmentation

  # The shards of each source: the folder that `python -m tfds_builders build` printed.
  config.data = ConfigDict()
  sources = ('nih', 'aihub', 'gmc', 'vindr', 'node21', 'hospital')
  config.data.shards = ConfigDict(dict.fromkeys(sources, ''))
  config.data.train = 'nih'  # source of the splits train and tune
  config.data.evaluate = ('nih', 'aihub', 'gmc', 'vindr', 'hospital')  # their split test is scored
  # CSV file of a re-reading, whose answers replace the labels of train and tune.
  config.data.labels = ''
  config.data.train_images = 0  # of the split train, half with a nodule; 0 takes all
  config.data.fold = (0, 1)  # (i, k): leaves out part i, from 0, of k parts of the patients
  config.data.cache_dir = ''  # folder for preprocessed images; '' keeps them in memory
  # Errors put into the truth of train and tune; nodulax/input/degraded.py explains each.
  config.data.noise = ConfigDict()
  config.data.noise.wrong_normal = 0.0  # share of the normals that are labelled nodule
  config.data.noise.wrong_nodule = 0.0  # share of the nodules that are labelled normal
  config.data.noise.by_conspicuity = False  # True: inconspicuous nodules more often
  config.data.noise.missed_second = 0.0  # share of those with several nodules that keep only one
  config.data.noise.jitter = 0.0  # standard deviation of outlines' shifts, in nodule sizes
  config.data.noise.enlarged = 0.0  # growth of outlines on each side, in nodule sizes
  config.data.worker_processes = 0  # for augmentation; 0 uses threads

  config.preprocessing = ConfigDict()
  config.preprocessing.image_size = 512  # pixels; a multiple of 32
  config.preprocessing.lung_margin = 0.1  # of the lung box's width and height, on each side
  config.preprocessing.window = (0.5, 99.5)  # percentiles that become black and white
  config.preprocessing.clahe_clip_limit = 2.0
  config.preprocessing.clahe_tiles = 8  # along each side

  config.augmentation = ConfigDict()
  config.augmentation.flip = 0.5  # probability
  config.augmentation.shift = 0.05  # up to this fraction of the side
  config.augmentation.scale = 0.1  # up to this relative change
  config.augmentation.rotation = 10.0  # up to these degrees
  config.augmentation.shear = 5.0  # up to these degrees
  config.augmentation.gamma = 0.0  # standard deviation of the log exponent of the tone curve
  config.augmentation.sharpness = 0.0  # largest weight of unsharp masking; half of it for blurring
  config.augmentation.noise = 0.0  # largest standard deviation, as a share of the range of greys

  config.model = ConfigDict()
  config.model.head = 'image'  # 'image': network 1; 'pixel': network 2
  config.model.size = '121'  # DenseNet-121, -169, -201, or 'tiny', 'small', 'mid'
  config.model.squeeze_excitation = True
  config.model.reduction = 16  # of squeeze-and-excitation
  config.model.batch_norm_momentum = 0.99  # of the running statistics; Keras's default
  config.model.mean = 0.449  # of the pixels in [0, 1]: ImageNet's, averaged over colours
  config.model.std = 0.226
  config.model.precision = 'float32'  # of activations; or 'bfloat16', or 'float16' for the V100
  config.model.recompute = False  # True: less memory, more time
  # For the pixel head only.
  config.model.pooling = 'logsumexp'  # from map to image logit; or 'max', as in the paper
  config.model.skip = False  # True: the head also sees the third block's features
  config.model.cell_prior = 0.018  # initial probability of every cell of the map

  config.loss = ConfigDict()
  config.loss.localization_weight = 64.0  # of the mean pixel-wise loss; 1 in the paper
  # For wrong labels: generalized, symmetric or forward; nodulax/training/losses.py explains each.
  config.loss.classification = 'cross_entropy'
  config.loss.generalized_q = 0.7
  config.loss.symmetric_weights = (0.1, 1.0)
  config.loss.wrong_normal = 0.0  # of forward: share of the normals labelled nodule
  config.loss.wrong_nodule = 0.0  # of forward: share of the nodules labelled normal
  config.loss.smoothing = 0.0  # of the labels
  config.loss.early_learning = 0.0  # weight of early-learning regularisation; 3 in its paper
  config.loss.early_learning_momentum = 0.7

  # Weights to start from; random if all are empty. checkpoint takes precedence over chest,
  # chest over imagenet, so a study's first networks start from imagenet and the others from those.
  config.init = ConfigDict()
  config.init.imagenet = ''  # public DenseNet weights: 'keras', 'torchvision', or a file of them
  # Of chest radiographs: 'torchxrayvision', or a file that launch/convert_torchxrayvision.py wrote.
  # They need model.size 121, model.mean 0.5 and model.std 2**-11, as they were trained.
  config.init.chest = ''
  config.init.checkpoint = ''  # workdir of another run

  config.optimizer = ConfigDict()
  config.optimizer.learning_rate = 1e-4
  config.optimizer.drop_epochs = (25, 37)  # the rate is multiplied at the start of these epochs
  config.optimizer.drop_factor = 0.1

  # With float16 the loss is multiplied by a factor that adapts to the gradients.
  config.loss_scale = ConfigDict()
  config.loss_scale.initial = 2.0**15
  config.loss_scale.grow_after = 2000  # steps without overflow before it doubles

  config.train = ConfigDict()
  config.train.epochs = 50
  config.train.batch_size = 16  # radiographs over all devices
  # Parts into which each device's share of a batch is split to save memory; 0: as few as fit.
  config.train.accumulate = 1
  config.train.devices = 0  # accelerators of each host; 0 takes all
  config.train.synchronised_batch_norm = True  # statistics over all devices
  config.train.log_every = 20  # steps between two points in TensorBoard
  config.train.checkpoint_minutes = 10.0  # between checkpoints within an epoch
  config.train.pictures = 8  # tune radiographs with heat maps in TensorBoard

  config.evaluation = ConfigDict()
  config.evaluation.batch_size = 16
  config.evaluation.overlays = 64  # radiographs drawn with heat map and truth for each set
  return config
