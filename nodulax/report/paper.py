"""The numbers of Kim et al., and the names and order of models and sets in the report.

Kim JY, Ryu WS, Kim D, Kim EY. Better performance of deep learning pulmonary nodule detection using
chest radiography with reference to computed tomography: data quality is matter. The text gives
these numbers; its tables are not published with it.
"""

MODELS = {
  'nih_image': 'Model 1',
  'aihub_image': 'Model 2',
  'nih_aihub_image': 'Model 3',
  'nih_aihub_pixel': 'Model 4',
  'nih_aihub_pixel_literal': 'Model 5',
}
# What each of them is.
TRAINED_ON = {
  'nih_image': 'NIH, image labels',
  'aihub_image': 'AI-HUB, image labels',
  'nih_aihub_image': 'NIH then AI-HUB, image labels',
  'nih_aihub_pixel': 'NIH then AI-HUB, pixel labels',
  'nih_aihub_pixel_literal': "Model 4's data, the paper's recipe taken literally",
}
TEST_SETS = {'nih': 'NIH', 'aihub': 'AI-HUB', 'gmc': 'GMC', 'vindr': 'VinBig'}

# Sets that the paper does not have.
OTHER_SETS = {'hospital': 'Hospital', 'jsrt': 'JSRT'}

# Suffix of a set that has the true labels of the set without it.
TRUE = '_true'

AUC = {
  ('nih_image', 'gmc'): 0.71,
  ('nih_image', 'vindr'): 0.73,
  ('aihub_image', 'gmc'): 0.88,
  ('aihub_image', 'vindr'): 0.78,
  ('nih_aihub_pixel', 'gmc'): 0.91,
  ('nih_aihub_pixel', 'vindr'): 0.86,
}
# The range is given over the first three models; "all validation datasets" for the fourth.
DICE = {
  **{(model, 'gmc'): '0.36 to 0.58' for model in tuple(MODELS)[:3]},
  **{('nih_aihub_pixel', test_set): 'above 0.60' for test_set in TEST_SETS},
}
P_VALUE = {
  ('nih_image', 'aihub_image', 'gmc'): '<0.001',
  ('nih_image', 'aihub_image', 'vindr'): '<0.001',
  ('aihub_image', 'nih_aihub_image', 'vindr'): '<0.001',
}

# The paper's questions; the answer is yes if the first model is better than the second.
QUESTIONS = {
  ('aihub_image', 'nih_image'): 'Do labels referenced to CT beat labels mined from reports?',
  ('nih_aihub_pixel', 'nih_aihub_image'): 'Do pixel-level labels beat image-level ones?',
}
LEARNED_FROM = ('nih', 'aihub')


def is_external(test_set: str) -> bool:
  """Whether none of the paper's models learned from the set's source."""
  return test_set.removesuffix(TRUE) not in LEARNED_FROM


def model_name(model: str) -> str:
  """Returns a model's display name."""
  return MODELS.get(model, model.replace('_', ' '))


def full_name(model: str) -> str:
  """Returns a model's name with what it is, for legends."""
  return ': '.join(filter(None, (model_name(model), TRAINED_ON.get(model, ''))))


def set_name(test_set: str) -> str:
  """Returns a set's display name."""
  base = test_set.removesuffix(TRUE)
  name = (TEST_SETS | OTHER_SETS).get(base, base.replace('_', ' '))
  return name if base == test_set else f'{name}, true labels'


def model_order(model: str) -> tuple[int, str]:
  """Sorts the paper's models first, in its order."""
  return (_place(model, MODELS), model)


def set_order(test_set: str) -> tuple[int, str]:
  """Sorts the paper's sets first, in its order; a set's true labels come right after it."""
  return (_place(test_set.removesuffix(TRUE), TEST_SETS), test_set)


def _place(name: str, names: dict[str, str]) -> int:
  return list(names).index(name) if name in names else len(names)
