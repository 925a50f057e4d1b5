"""Experiment 4: what do pixel-level labels add?

Network 2, from the first experiment's model, trained on AI-HUB pixel-level masks.

Data: shards of aihub_nodule (and the other three sources to be scored on), and runs/nih_image.
Hardware: two V100s in the paper. Not yet run on the real data.
Time: no less than 0.5 h on one V100, 0.3 h on one A100, in 16 bits. Predicted from the compiled
step and not measured; launch/README.md says how. The first experiment comes before it.
Expected (paper): AUC 0.91 on GMC, 0.86 on VinBig; Dice above 0.60.

  python -m nodulax.main --config=configs/nih_aihub_pixel.py --workdir=runs/nih_aihub_pixel \
    --config.data.shards.nih=DIR --config.data.shards.aihub=DIR --config.data.shards.gmc=DIR \
    --config.data.shards.vindr=DIR

--config=configs/nih_aihub_pixel.py:literal is the paper's exact recipe.
"""

from ml_collections import ConfigDict

from configs import default

CHANGES = {
  'name': 'nih_aihub_pixel',
  'data': {'train': 'aihub'},
  'model': {'head': 'pixel'},
  'init': {'checkpoint': 'runs/nih_image'},
}


def get_config(part: str = '') -> ConfigDict:
  return default.changed(CHANGES, part)
