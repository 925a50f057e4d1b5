"""Simulated chest radiographs whose truth is known, and four virtual hospitals built from them."""

from nodulax.phantom.hospitals.aihub import write_aihub
from nodulax.phantom.hospitals.gmc import write_gmc
from nodulax.phantom.hospitals.nih import write_nih
from nodulax.phantom.hospitals.vindr import write_vindr
from nodulax.phantom.imaging.radiography import Simulated, simulate

__all__ = ['Simulated', 'simulate', 'write_aihub', 'write_gmc', 'write_nih', 'write_vindr']
