"""Experiment 3: does starting from the noisy set help on the clean one?

Network 1, from the first experiment's model, trained on AI-HUB image-level labels.

Data: shards of aihub_nodule (and the other three sources to be scored on), and runs/nih_image.
Hardware: two V100s in the paper. Not yet run on the real data.
Time: no less than 0.5 h on one V100, 0.3 h on one A100, in 16 bits. Predicted from the compiled
step and not measured; launch/README.md says how. The first experiment runs before it.
Expected: the paper gives no number.

  python -m nodulax.main --config=configs/nih_aihub_image.py --workdir=runs/nih_aihub_image \
    --config.data.shards.nih=DIR --config.data.shards.aihub=DIR --config.data.shards.gmc=DIR \
    --config.data.shards.vindr=DIR
"""

from ml_collections import ConfigDict

from configs import default

CHANGES = {
  'name': 'nih_aihub_image',
  'data': {'train': 'aihub'},
  'init': {'checkpoint': 'runs/nih_image'},
}


def get_config(part: str = '') -> ConfigDict:
  return default.changed(CHANGES, part)
