"""Whole jobs as one would write them without nodulax: what `whole_jobs.py` holds it against.

    python tests/benchmarks/peer_jobs.py predict --output=DIR --pixels=512 IMAGE...
    python tests/benchmarks/peer_jobs.py epoch --pixels=512 --batch=16 --tune=N IMAGE...
    python tests/benchmarks/peer_jobs.py shards --output=DIR IMAGE...

The first two need torch, the second albumentations, the third webdataset.
"""

import argparse
import csv
import json
import os
import pathlib

import cv2
import numpy as np

MEAN, STD = 0.449, 0.226


def grey(path: str) -> np.ndarray:
  return cv2.imread(path, cv2.IMREAD_GRAYSCALE)


def predict(images: list[str], output: pathlib.Path, pixels: int) -> None:
  """Probabilities in a table and an overlay for each radiograph, by DenseNet-121 in PyTorch.

  A DataLoader's processes read ahead, and the class activation map is the network's own.
  """
  import torch
  from torch_peer import densenet121

  class Views(torch.utils.data.Dataset):
    def __len__(self) -> int:
      return len(images)

    def __getitem__(self, index: int) -> tuple[int, torch.Tensor]:
      view = cv2.resize(grey(images[index]), (pixels, pixels), interpolation=cv2.INTER_AREA)
      view = cv2.createCLAHE(2.0, (8, 8)).apply(view)
      return index, torch.from_numpy((view / np.float32(255) - MEAN) / STD)[None]

  network = densenet121()[:-3]  # what follows is pooling and the image's logit
  network.append(torch.nn.Conv2d(1024, 1, 1))
  network.eval().to(memory_format=torch.channels_last)
  output.mkdir(parents=True, exist_ok=True)
  rows = []
  with torch.inference_mode():
    for numbers, views in torch.utils.data.DataLoader(
      Views(), batch_size=8, num_workers=min(2, os.cpu_count() or 1)
    ):
      maps = network(views.to(memory_format=torch.channels_last))[:, 0]
      for number, logits in zip(numbers.tolist(), maps, strict=True):
        name = pathlib.Path(images[number]).name
        rows.append((name, float(torch.sigmoid(logits.mean()))))
        image = grey(images[number])
        heat = cv2.resize(torch.sigmoid(logits).numpy(), image.shape[::-1])
        colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
        picture = cv2.addWeighted(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), 0.7, colours, 0.3, 0)
        cv2.imwrite(str(output / name), picture)
  with (output / 'findings.csv').open('w', newline='') as file:
    csv.writer(file).writerows([('image', 'probability'), *rows])


def epoch(images: list[str], pixels: int, batch: int, tune: int) -> None:
  """One epoch of DenseNet-121 from PNG files, then a look at the last `tune` of them."""
  import albumentations
  import torch
  from torch_peer import densenet121

  look = [
    albumentations.Resize(pixels, pixels, interpolation=cv2.INTER_AREA),
    albumentations.CLAHE((2.0, 2.0), (8, 8), p=1),
  ]
  augment = [
    albumentations.HorizontalFlip(p=0.5),
    albumentations.Affine(
      translate_percent=(-0.05, 0.05), scale=(0.9, 1.1), rotate=(-10, 10), shear=(-5, 5), p=1
    ),
  ]

  class Views(torch.utils.data.Dataset):
    def __init__(self, paths: list[str], transforms: list):
      self._paths, self._transform = paths, albumentations.Compose(transforms)

    def __len__(self) -> int:
      return len(self._paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
      view = self._transform(image=grey(self._paths[index]))['image']
      image = torch.from_numpy((view / np.float32(255) - MEAN) / STD)[None]
      return image, torch.tensor([float(index % 2)])

  network = densenet121().to(memory_format=torch.channels_last)
  adam = torch.optim.Adam(network.parameters(), 1e-4)
  loss = torch.nn.BCEWithLogitsLoss()
  learn, watch = images[: len(images) - tune], images[len(images) - tune :]
  for views, labels in torch.utils.data.DataLoader(
    Views(learn, [*look, *augment]), batch, shuffle=True, drop_last=True, num_workers=2
  ):
    adam.zero_grad()
    loss(network(views.to(memory_format=torch.channels_last)), labels).backward()
    adam.step()
  network.eval()
  with torch.inference_mode():
    for views, _ in torch.utils.data.DataLoader(Views(watch, look), batch, num_workers=2):
      torch.sigmoid(network(views.to(memory_format=torch.channels_last)))


def shards(images: list[str], output: pathlib.Path) -> None:
  """The files as they are, with a label each, in the tars of WebDataset."""
  import webdataset

  output.mkdir(parents=True, exist_ok=True)
  with webdataset.ShardWriter(str(output / 'train-%04d.tar'), verbose=0) as writer:
    for number, path in enumerate(images):
      sample = {'png': pathlib.Path(path).read_bytes(), 'json': json.dumps({'label': number % 2})}
      writer.write({'__key__': f'{number:06d}', **sample})


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument('job', choices=('predict', 'epoch', 'shards'))
  parser.add_argument('--output', type=pathlib.Path)
  parser.add_argument('--pixels', type=int, default=512)
  parser.add_argument('--batch', type=int, default=16)
  parser.add_argument('--tune', type=int, default=0)
  parser.add_argument('images', nargs='+')
  given = parser.parse_args()
  if given.job == 'predict':
    predict(given.images, given.output, given.pixels)
  elif given.job == 'epoch':
    epoch(given.images, given.pixels, given.batch, given.tune)
  else:
    shards(given.images, given.output)


if __name__ == '__main__':
  main()
