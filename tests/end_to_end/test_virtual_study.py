"""The study of the virtual hospitals, shrunk: two seeds of the four models, then the report."""

import pytest

SOURCES = {'nih': 120, 'aihub': 48, 'gmc': 12, 'vindr': 12}
SMALL = [
  *(f'--config.sources.{name}.images={images}' for name, images in SOURCES.items()),
  *(f'--config.sources.{name}.image_size=96' for name in SOURCES),
  '--config.preprocessing.image_size=64',
  '--config.data.train_images=24',
  '--config.train.epochs=1',
  '--config.train.batch_size=8',
  '--config.seeds=(0, 1)',
]


@pytest.mark.slow
def test_the_virtual_study_trains_each_model_with_each_seed_and_reports(command, tmp_path):
  folder = tmp_path / 'virtual_study'
  printed = command(
    'nodulax.main',
    '--config=configs/virtual_study.py:models',
    f'--workdir={folder}',
    *SMALL,
    NODULAX_HASH_KEY=str(tmp_path / 'hash.key'),
  )
  for model in ('nih_image', 'aihub_image', 'nih_aihub_image', 'nih_aihub_pixel'):
    for name in (model, f'{model}_seed1'):
      assert (folder / name / 'evaluation' / 'gmc' / 'metrics.json').exists(), name
  assert 'Table 2' in printed
  assert '<html' in (folder / 'report' / 'index.html').read_text()
