"""Simulated chest radiographs with known truth, and four virtual hospitals made of them."""

from .aihub import write_aihub
from .gmc import write_gmc
from .nih import write_nih
from .radiography import Simulated, simulate
from .vindr import write_vindr

__all__ = ['Simulated', 'simulate', 'write_aihub', 'write_gmc', 'write_nih', 'write_vindr']
