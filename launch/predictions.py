"""Predicts each device's images per second and memory from the compiler's analysis of a step.

  python launch/predictions.py

Prints the table of launch/README.md. A step can be no faster than its operations at the device's
peak, nor than its memory traffic at the device's bandwidth. Both limits come from data sheets, and
no program reaches them; nothing here was measured on these devices. launch/step.json holds what XLA
counted when it compiled the training step (pytest -m slow -s tests/training/test_tpu.py prints it;
state_gb is weights, optimizer and program). On a GPU XLA fuses differently, so the traffic
differs; with four images per chip the weights are a larger part of it than with sixteen.
"""

import dataclasses
import json
import pathlib

STEP = json.loads((pathlib.Path(__file__).parent / 'step.json').read_text())
RADIOGRAPHS = 7_336  # today's training split of NIH: 70 % of 2 x 5,240
EPOCHS = 50


@dataclasses.dataclass(frozen=True)
class Device:
  """An accelerator's data sheet.

  Attributes:
    precision: 16-bit format of its matrix units.
    teraflops: dense, in that format.
    bandwidth: of its memory, in GB/s.
    memory: in GB.
  """

  name: str
  precision: str
  teraflops: float
  bandwidth: float
  memory: float

  def by_operations(self) -> float:
    """Images a second that the operations allow."""
    return self.teraflops * 1e3 / STEP['gflop_per_image']

  def by_traffic(self) -> float:
    """Images a second that the memory traffic allows."""
    return self.bandwidth / STEP['gb_accessed_per_image']


DEVICES = (
  Device('V100 (SXM2, 16 GB)', 'float16', 125, 900, 16),
  Device('A100 (SXM4, 40 GB)', 'bfloat16', 312, 1_555, 40),
  Device('H100 (SXM5, 80 GB)', 'bfloat16', 989, 3_350, 80),
  Device('TPU v5e', 'bfloat16', 197, 819, 16),
)


def table() -> str:
  lines = [
    '| device | precision | images/s by operations | by memory traffic | prediction, at most '
    '| 50 epochs of NIH, at least | 16 images on one device need | of |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
  ]
  memory = 16 * STEP['temporary_gb_per_image'] + STEP['state_gb']
  for device in DEVICES:
    operations, traffic = device.by_operations(), device.by_traffic()
    prediction = min(operations, traffic)
    hours = RADIOGRAPHS * EPOCHS / prediction / 3600
    lines.append(
      f'| {device.name} | {device.precision} | {operations:,.0f} | {traffic:,.0f} '
      f'| {prediction:,.0f} | {hours:.1f} h | {memory:.1f} GB | {device.memory:.0f} GB |'
    )
  lines += [
    '',
    f"From XLA's counts for {STEP['of']}: {STEP['gflop_per_image']} GFLOP, "
    f'{STEP["gb_accessed_per_image"]} GB accessed and {STEP["temporary_gb_per_image"]} GB of '
    'temporary memory an image.',
  ]
  return '\n'.join(lines)


if __name__ == '__main__':
  print(table())
