"""Builds a network from plain values, as in a config or a checkpoint's description."""

from typing import Literal

from nodulax.errors import OptionError
from nodulax.model.densenet_se import SIZES, DenseNetSE
from nodulax.model.heads import Network


def build_network(
  *,
  head: Literal['image', 'pixel'],
  size: str,
  squeeze_excitation: bool,
  reduction: int,
  batch_norm_momentum: float,
  mean: float,
  std: float,
  precision: Literal['float32', 'bfloat16', 'float16'],
  recompute: bool,
  pooling: Literal['max', 'logsumexp'],
  skip: bool,
  cell_prior: float,
  axis_name: str | None = None,
) -> Network:
  """Builds network 1 (head 'image') or 2 (head 'pixel') on a DenseNet-SE of a named size.

  Args:
    head: what the network predicts.
    size: a key of `SIZES`.
    squeeze_excitation, reduction, batch_norm_momentum: see `DenseNetSE`.
    mean, std: mean and standard deviation of the training images' pixels in [0, 1].
    precision: number format of the activations.
    recompute: store less of the forward pass, and compute it again in the backward pass.
    pooling, skip, cell_prior: options of the pixel head; see `Network`.
    axis_name: the mapped axis over which batch norm takes its statistics in training.

  Raises:
    ValueError: there is no such size, or a number is out of range.
  """
  if size not in SIZES:
    raise OptionError(f'config.model.size is {size!r}; choose one of {", ".join(SIZES)}')
  for name, number, fits, allowed in (
    ('reduction', reduction, 1 <= reduction <= 1024, 'from 1 to 1024'),
    ('batch_norm_momentum', batch_norm_momentum, 0 <= batch_norm_momentum < 1, 'from 0 to below 1'),
    ('mean', mean, 0 <= mean <= 1, 'from 0 to 1'),
    ('std', std, 0 < std <= 1, 'above 0 and at most 1'),
    ('cell_prior', cell_prior, 0 < cell_prior < 1, 'between 0 and 1'),
  ):
    if not fits:
      raise OptionError(f'config.model.{name} is {number}; it must be {allowed}')
  if skip and head == 'image':
    raise OptionError('config.model.skip is for the pixel head; set config.model.head to pixel')
  backbone = DenseNetSE(
    **SIZES[size],
    squeeze_excitation=squeeze_excitation,
    reduction=reduction,
    momentum=batch_norm_momentum,
    dtype=precision,
    remat=recompute,
    axis_name=axis_name,
  )
  return Network(
    head=head,
    backbone=backbone,
    mean=mean,
    std=std,
    pooling=pooling,
    skip=skip,
    cell_prior=cell_prior,
  )
