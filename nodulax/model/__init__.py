"""The networks and the weights that they start from."""

from nodulax.model.densenet_se import SIZES, DenseNetSE
from nodulax.model.heads import Network, Outputs

__all__ = ['SIZES', 'DenseNetSE', 'Network', 'Outputs']
