"""Experiment 2: what do labels referenced to CT teach?

Network 1, from ImageNet, trained on AI-HUB image-level labels.

Data: shards of aihub_nodule (and the other three sources to be scored on).
Hardware: two V100s in the paper. Not yet run on the real data.
Time: no less than 0.5 h on one V100, 0.3 h on one A100, in 16 bits. Predicted from the compiled
step and not measured; launch/README.md says how.
Expected (paper): AUC 0.88 on GMC, 0.78 on VinBig.

  python -m nodulax.main --config=configs/aihub_image.py --workdir=runs/aihub_image \
    --config.data.shards.nih=DIR --config.data.shards.aihub=DIR --config.data.shards.gmc=DIR \
    --config.data.shards.vindr=DIR --config.init.imagenet=keras
"""

from ml_collections import ConfigDict

from configs import default

CHANGES = {'name': 'aihub_image', 'data': {'train': 'aihub'}}


def get_config(part: str = '') -> ConfigDict:
  return default.changed(CHANGES, part)
