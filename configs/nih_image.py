"""Experiment 1: what do noisy, text-mined, image-level labels teach?

Network 1, from ImageNet, trained on NIH ChestX-ray14 image-level labels.

Data: shards of nih_chestxray14 (and aihub_nodule, gmc_nodule, vindr_cxr to be scored on).
Hardware: two V100s in the paper. Not yet run on the real data.
Expected (the paper's): AUC 0.71 on GMC, 0.73 on VinBig.

  python -m nodulax.main --config=configs/nih_image.py --workdir=runs/nih_image \
    --config.data.shards.nih=DIR --config.data.shards.gmc=DIR --config.init.imagenet=FILE
"""

from configs import default

CHANGES = {'name': 'nih_image', 'data': {'train': 'nih'}}


def get_config():
  return default.changed(CHANGES)
