"""DenseNet-121 as PyTorch's users write it: what network 1's speed is held against."""

import torch
import torch.nn.functional as F
from torch import nn


class DenseLayer(nn.Module):
  def __init__(self, channels: int):
    super().__init__()
    self.norm1 = nn.BatchNorm2d(channels)
    self.conv1 = nn.Conv2d(channels, 128, 1, bias=False)
    self.norm2 = nn.BatchNorm2d(128)
    self.conv2 = nn.Conv2d(128, 32, 3, padding=1, bias=False)

  def forward(self, x):
    new = self.conv1(F.relu(self.norm1(x)))
    return torch.cat([x, self.conv2(F.relu(self.norm2(new)))], 1)


def densenet121() -> nn.Module:
  channels = 64
  layers = [
    nn.Conv2d(1, channels, 7, 2, 3, bias=False),
    nn.BatchNorm2d(channels),
    nn.ReLU(),
    nn.MaxPool2d(3, 2, 1),
  ]
  for size in (6, 12, 24, 16):
    for _ in range(size):
      layers.append(DenseLayer(channels))
      channels += 32
    layers += [nn.BatchNorm2d(channels), nn.ReLU()]
    if size != 16:
      layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
      channels //= 2
  layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1)]
  return nn.Sequential(*layers)


class Torch:
  """One training step and one inference, channels last: its fastest layout on a CPU."""

  compile_s = None

  def __init__(self, batch: int, image_size: int):
    self._network = densenet121().to(memory_format=torch.channels_last)
    self._adam = torch.optim.Adam(self._network.parameters(), 1e-4)
    self._image = torch.rand(batch, 1, image_size, image_size).to(memory_format=torch.channels_last)
    self._label = torch.arange(batch, dtype=torch.float32)[:, None] % 2

  def load(self) -> None:
    pass

  def train(self) -> None:
    self._network.train()
    self._adam.zero_grad(set_to_none=True)
    F.binary_cross_entropy_with_logits(self._network(self._image), self._label).backward()
    self._adam.step()

  def infer(self) -> None:
    self._network.eval()
    with torch.inference_mode():
      self._network(self._image)
