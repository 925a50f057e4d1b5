"""DenseNet-121 in PyTorch as its users run it on a GPU: channels last, autocast, compiled.

    python tests/benchmarks/torch_on_gpu.py BATCH IMAGE_SIZE [--precision=bfloat16]

Prints one JSON line in the form of step.py; without PyTorch it says so.
"""

import argparse
import json
import time


def main() -> None:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('batch', type=int)
  parser.add_argument('image_size', type=int)
  parser.add_argument('--precision', default='bfloat16', choices=('bfloat16', 'float16', 'float32'))
  args = parser.parse_args()
  try:
    import torch
    from torch_peer import densenet121
  except ImportError:
    print(json.dumps({'peer': 'torch', 'left_out': 'PyTorch is not installed'}))
    return
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  network = densenet121().to(device, memory_format=torch.channels_last)
  adam = torch.optim.Adam(network.parameters(), 1e-4)
  compiled = torch.compile(network) if device == 'cuda' else network
  image = torch.rand(args.batch, 1, args.image_size, args.image_size, device=device)
  image = image.to(memory_format=torch.channels_last)
  label = (torch.arange(args.batch, dtype=torch.float32, device=device)[:, None]) % 2
  cast = torch.autocast(device, getattr(torch, args.precision), args.precision != 'float32')

  def train() -> None:
    network.train()
    adam.zero_grad(set_to_none=True)
    with cast:
      loss = torch.nn.functional.binary_cross_entropy_with_logits(compiled(image), label)
    loss.backward()
    adam.step()

  def infer() -> None:
    network.eval()
    with torch.inference_mode(), cast:
      compiled(image)

  def seconds(work, runs: int = 10) -> float:
    def wait() -> None:
      if device == 'cuda':
        torch.cuda.synchronize()

    work()
    wait()
    best = float('inf')
    for _ in range(runs):
      start = time.perf_counter()
      work()
      wait()
      best = min(best, time.perf_counter() - start)
    return best / args.batch

  row = {
    'peer': 'torch',
    'device': torch.cuda.get_device_name() if device == 'cuda' else 'cpu',
    'batch': args.batch,
    'image_size': args.image_size,
    'precision': args.precision,
    'train_s_per_image': round(seconds(train), 6),
    'infer_s_per_image': round(seconds(infer), 6),
  }
  if device == 'cuda':
    row['peak_device_gb'] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
  print(json.dumps(row))


if __name__ == '__main__':
  main()
