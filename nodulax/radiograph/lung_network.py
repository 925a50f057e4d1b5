"""A small network that outlines the lung fields, written once for NumPy and for JAX.

An encoder of four 3 x 3 convolutions of stride 2 (128 x 128 to 8 x 8 pixels), two residual 3 x 3
convolutions there, and a decoder that three times convolves (3 x 3), doubles the size by repeating
pixels and adds the encoder's features of that size: a U-Net (Ronneberger et al., 2015) with sums in
place of concatenations. All have biases and ReLU; there is no normalisation. A 1 x 1 convolution
gives the logit. 93,829 parameters.
"""

from typing import Any

import numpy as np

INPUT_SIZE = 128
OUTPUT_SIZE = 64
INPUT_CHANNELS = 2
_WIDTHS = (12, 24, 36, 48)

Parameters = dict[str, Any]


def kernel_shapes() -> dict[str, tuple[int, int, int, int]]:
  """(height, width, channels in, channels out) of every convolution, by name, from the input on."""
  down = {
    f'down{level}': (3, 3, before, after)
    for level, (before, after) in enumerate(
      zip((INPUT_CHANNELS, *_WIDTHS[:-1]), _WIDTHS, strict=True)
    )
  }
  deepest = {f'deep{i}': (3, 3, _WIDTHS[-1], _WIDTHS[-1]) for i in range(2)}
  up = {
    f'up{level}': (3, 3, _WIDTHS[level + 1], _WIDTHS[level])
    for level in reversed(range(len(_WIDTHS) - 1))
  }
  return {**down, **deepest, **up, 'last': (1, 1, _WIDTHS[0], 1)}


def lung_logits(parameters: Parameters, image: Any, xp: Any = np) -> Any:
  """The logit for lung of each pixel.

  Args:
    parameters: for each name of `kernel_shapes`, name/kernel f32[h, w, in, out] and
      name/bias f32[out].
    image: f32[B, 128, 128, 2], from `lungs.network_input`.
    xp: numpy or jax.numpy, whichever made the arrays.

  Returns:
    f32[B, 64, 64].
  """

  def layer(name: str, x: Any, stride: int = 1) -> Any:
    return xp.maximum(_convolve(xp, x, parameters, name, stride), 0)

  x, skipped = image, []
  for level in range(len(_WIDTHS)):
    x = layer(f'down{level}', x, stride=2)
    skipped.append(x)
  for i in range(2):
    x = x + layer(f'deep{i}', x)
  for level in reversed(range(len(_WIDTHS) - 1)):
    x = layer(f'up{level}', x)
    x = xp.repeat(xp.repeat(x, 2, axis=1), 2, axis=2) + skipped[level]
  return _convolve(xp, x, parameters, 'last', 1)[..., 0]


def _convolve(xp: Any, x: Any, parameters: Parameters, name: str, stride: int) -> Any:
  """A convolution as one matrix product; zeros beyond the edges."""
  kernel, bias = parameters[f'{name}/kernel'], parameters[f'{name}/bias']
  size, _, channels, filters = kernel.shape
  reach = size // 2
  padded = xp.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
  height, width = x.shape[1], x.shape[2]
  shifted = [
    padded[:, row : row + height : stride, column : column + width : stride]
    for row in range(size)
    for column in range(size)
  ]
  patches = xp.concatenate(shifted, axis=-1)
  return patches @ kernel.reshape(size * size * channels, filters) + bias
