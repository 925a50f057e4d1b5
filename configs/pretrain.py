"""Trains the network bundled with nodulax on nodules inserted into real normal radiographs.

Data: normal frontal radiographs (folders, or manifests in the hospital layout) and, optionally,
nodules from CT as Hounsfield volumes. Start: random weights. Hardware: two CPU cores.

  python -m nodulax.pretrain --config=configs/pretrain.py --workdir=runs/pretrain \
    --config.data.backgrounds="('DIR',)" --config.data.nodules=DIR
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
  base = default.get_config()
  config = ConfigDict()
  config.name = 'nodulax'
  config.seed = 0

  config.data = ConfigDict()
  config.data.backgrounds = ()  # folders or manifests of normal radiographs
  config.data.nodules = ''  # folder with luna_nodules.npz and luna_nodules.csv; '': only simulated
  config.data.seen = ''  # builder of the public set that they are from, such as 'nih_chestxray14'
  config.data.tune_images = 100  # about this many radiographs to tune on, split by patient
  config.data.tune_views = 200  # views drawn from them once, half with one nodule
  config.data.worker_processes = 1  # for drawing views; 0 uses a thread

  config.preprocessing = base.preprocessing
  config.preprocessing.image_size = 448  # a nodule of 15 mm fills a cell of the map

  config.augmentation = ConfigDict()  # of the whole radiograph
  config.augmentation.flip = 0.5
  config.augmentation.shift = 0.03
  config.augmentation.scale = 0.12
  config.augmentation.rotation = 8.0
  config.augmentation.shear = 4.0

  config.lesions = ConfigDict()  # see pretraining.views.Lesions
  config.lesions.diameter_mm = (24.0, 17.0)
  config.lesions.spread = 0.38
  config.lesions.smallest_mm = 5.0
  config.lesions.largest_mm = 50.0
  config.lesions.contrast = (3.0, 1.6)
  config.lesions.contrast_spread = 0.4
  config.lesions.ct_share = 0.5

  config.look = ConfigDict()  # see pretraining.views.Look
  config.look.small_share = 0.4
  config.look.small_pixels = (224, 288)
  config.look.gamma = 0.25
  config.look.sharpness = 0.3
  config.look.noise = 0.004
  config.look.latitude = (0.35, 1.15)
  config.look.box_jitter = 0.05

  config.model = base.model
  config.model.head = 'pixel'
  config.model.size = 'mid'
  config.model.skip = True

  config.init = ConfigDict()
  config.init.checkpoint = ''  # run to start from, 'nodulax' for the bundled network; '': random

  config.loss = ConfigDict()
  config.loss.cell_weight = 0.25  # of the pixel loss, summed over the map; the image's loss has 1

  config.optimizer = ConfigDict()
  config.optimizer.learning_rate = 2e-3
  config.optimizer.weight_decay = 1e-3
  config.optimizer.clip = 5.0  # greatest global norm of a gradient
  config.optimizer.warmup_steps = 200

  config.plan = ConfigDict()  # see pretraining.batches.Plan
  config.plan.steps = 24000
  config.plan.whole_share = 0.2
  config.plan.crop_size = 160
  config.plan.batch_size = 24
  config.plan.whole_batch_size = 3
  config.plan.mined_share = 0.5

  config.train = ConfigDict()
  config.train.average = 0.999  # decay of the weights' moving average
  config.train.pool = 256  # mined crops to keep
  config.train.mine_every = 400  # steps
  config.train.mine_views = 48
  config.train.tune_every = 1000  # steps
  config.train.save_every = 500  # steps
  config.train.log_every = 20  # steps
  return config
