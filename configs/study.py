"""The whole study: four experiments in order, each scored on four test sets, then the report.

The fourth is trained a second time, with the paper's exact recipe (default.LITERAL).

Question: does labelling against CT, and labelling at pixel level, make a better nodule detector?
Data: four virtual hospitals of the paper's sizes, simulated and built into WORKDIR unless
others are named. Real ones: --config.sources.nih.raw=DOWNLOAD builds a download first,
--config.data.shards.nih=SHARDS uses finished shards; the same for aihub, gmc and vindr.
Start: --config.init.imagenet=keras for the first two experiments, the first one's model for the
other two.
Hardware: two V100s in the paper. Not yet run on the real data.
Time: training takes no less than 2.2 h on one V100, 1.3 h on one A100, in 16 bits. Predicted from
the compiled step and not measured; launch/README.md says how.
Expected (paper): AUC on GMC / VinBig 0.71 / 0.73, 0.88 / 0.78, not given, 0.91 / 0.86.

  python -m nodulax.main --config=configs/study.py --workdir=runs/study --dry_run
  python -m nodulax.main --config=configs/study.py --workdir=runs/study --config.init.imagenet=keras

Every option of configs/default.py is here too and applies to all experiments, except the few that
differ between them, which are in config.experiments.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import aihub_image, default, nih_aihub_image, nih_aihub_pixel, nih_image

EXPERIMENTS = [
  {**module.CHANGES} for module in (nih_image, aihub_image, nih_aihub_image, nih_aihub_pixel)
]
# The fourth again, with the paper's exact recipe.
LITERAL: dict[str, Any] = {
  'data': {'train': 'aihub'},
  'init': {'checkpoint': ''},
  **default.LITERAL,
  'name': 'nih_aihub_pixel_literal',
  'model': {'head': 'pixel', **default.LITERAL['model']},
}


def get_config() -> ConfigDict:
  config = default.get_config()
  config.name = 'study'
  config.data.evaluate = ('nih', 'aihub', 'gmc', 'vindr')
  config.order = tuple(changes['name'] for changes in (*EXPERIMENTS, LITERAL))
  config.experiments = {changes['name']: changes for changes in (*EXPERIMENTS, LITERAL)}
  for name in ('nih_aihub_image', 'nih_aihub_pixel', 'nih_aihub_pixel_literal'):
    config.experiments[name].init.checkpoint = 'nih_image'  # an experiment of this study, by name
  config.seeds = (0,)  # each trains all experiments; the first is shown in the report's tables
  config.sweeps = ConfigDict()  # by name, as in virtual_study.py: one option changed, seed fixed
  config.sources = {
    'nih': source('nih', 'nih_chestxray14', images=12_000),
    'aihub': source('aihub', 'aihub_nodule', images=6_354),
    'gmc': source('gmc', 'gmc_nodule', images=686),
    'vindr': source('vindr', 'vindr_cxr', images=600),
  }
  return config


def source(hospital: str, builder: str, *, images: int, image_size: int = 1024) -> dict:
  """Says where a source's shards come from when config.data.shards names none."""
  return {
    'builder': builder,
    'raw': '',  # folder of a download to build; '' simulates one
    'options': {},  # of the builder, such as {'iou': 0.5}
    'hospital': hospital,  # virtual hospital to simulate
    'images': images,  # to simulate
    'image_size': image_size,  # pixels along the longer side
    'seed': 1,
    'masses_only': False,  # True: every lesion is over 30 mm
  }
