"""Adds lung nodules of known truth to real normal radiographs.

background = prepare_background(pixels, spacing_mm, name)
nodules = CTNodules(folder)
opacity = nodules.opacity(nodules.choose(rng, 12.0), rng, 12.0, background.spacing_mm)
implanted = implant(background, [opacity], rng)
"""

from nodulax.phantom.implant.backgrounds import Background, prepare_background
from nodulax.phantom.implant.errors import ImplantError
from nodulax.phantom.implant.nodules import CTNodules, Opacity, draw_opacity, simulated_opacity
from nodulax.phantom.implant.place import Implanted, Lesion, implant

__all__ = [
  'Background',
  'CTNodules',
  'ImplantError',
  'Implanted',
  'Lesion',
  'Opacity',
  'draw_opacity',
  'implant',
  'prepare_background',
  'simulated_opacity',
]
