"""Experiment 1: what do noisy, text-mined, image-level labels teach?

Network 1, from ImageNet, trained on NIH ChestX-ray14 image-level labels.

Data: shards of nih_chestxray14 (and aihub_nodule, gmc_nodule, vindr_cxr to be scored on).
Hardware: two V100s in the paper. Not yet run on the real data.
Time: no less than 0.8 h on one V100, 0.4 h on one A100, in 16 bits. Predicted from the compiled
step and not measured; launch/README.md says how.
Expected (paper): AUC 0.71 on GMC, 0.73 on VinBig.

  python -m nodulax.main --config=configs/nih_image.py --workdir=runs/nih_image \
    --config.data.shards.nih=DIR --config.data.shards.aihub=DIR --config.data.shards.gmc=DIR \
    --config.data.shards.vindr=DIR --config.init.imagenet=keras
"""

from ml_collections import ConfigDict

from configs import default

CHANGES = {'name': 'nih_image', 'data': {'train': 'nih'}}


def get_config(part: str = '') -> ConfigDict:
  return default.changed(CHANGES, part)
