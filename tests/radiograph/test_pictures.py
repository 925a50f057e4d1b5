import cv2
import numpy as np

from nodulax.radiograph import pictures


def test_a_cold_heat_map_leaves_the_radiograph_as_it_is():
  image = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
  picture = pictures.overlay(image, np.zeros((4, 4)))
  np.testing.assert_array_equal(picture, np.repeat(image[..., None], 3, axis=-1))


def test_heat_colours_its_own_corner():
  heat = np.zeros((4, 4))
  heat[0, 3] = 1
  picture = pictures.overlay(np.full((40, 40), 100, np.uint8), heat).astype(int)
  coloured = np.abs(picture - 100).sum(axis=-1) > 0
  assert coloured[2, 37]
  assert not coloured[20:, :].any() and not coloured[:, :20].any()


def test_the_truth_is_outlined_and_not_filled():
  mask = np.zeros((40, 40), bool)
  mask[10:20, 10:20] = True
  picture = pictures.overlay(np.zeros((40, 40), np.uint8), None, mask)
  assert tuple(picture[10, 10]) == pictures.TRUTH_COLOUR
  assert tuple(picture[15, 15]) == (0, 0, 0)


def test_a_contact_sheet_fills_its_last_row_with_black():
  tiles = [np.full((2, 3, 3), value, np.uint8) for value in (10, 20, 30)]
  sheet = pictures.contact_sheet(tiles, columns=2)
  assert sheet.shape == (4, 6, 3)
  assert sheet[0, 5, 0] == 20 and sheet[3, 0, 0] == 30 and sheet[3, 5, 0] == 0


def test_png_keeps_red_red():
  data = pictures.png(np.full((2, 2, 3), (255, 0, 0), np.uint8))
  blue_green_red = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
  assert tuple(blue_green_red[0, 0]) == (0, 0, 255)
