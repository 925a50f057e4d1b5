"""Predicts each device's images per second and memory from the compiler's analysis of a step.

  python launch/predictions.py

Prints the tables of launch/README.md. A step can be no faster than its operations at the device's
peak, nor than its memory traffic at the device's bandwidth. Both limits come from data sheets, and
no program reaches them; nothing here was measured on these devices. launch/step.json holds what XLA
counted when it compiled the training step (pytest -m slow -s tests/training/test_tpu.py prints it;
state_gb is weights, optimizer and program). On a GPU XLA fuses differently, so the traffic
differs; with four images per chip the weights are a larger part of it than with sixteen.

Several devices wait for each other twice in a step. Each batch norm takes its statistics over all
of them, forward and backward, which costs a delay each time; and the gradients, in float32, are
summed in a ring, to which each device sends 2 (n - 1) / n times their bytes while it does nothing
else. The second table shows what remains of n times the speed of one device.
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
    teraflops: peak of dense operations in that format.
    bandwidth: bandwidth of its memory, in GB/s.
    memory: its memory, in GB.
  """

  name: str
  precision: str
  teraflops: float
  bandwidth: float
  memory: float

  def by_operations(self) -> float:
    """Images per second that the operations allow."""
    return self.teraflops * 1e3 / STEP['gflop_per_image']

  def by_traffic(self) -> float:
    """Images per second that the memory traffic allows."""
    return self.bandwidth / STEP['gb_accessed_per_image']


@dataclasses.dataclass(frozen=True)
class Link:
  """A link between devices.

  Attributes:
    bandwidth: bandwidth of a device in one direction, in GB/s, from the data sheet.
    delay: delay of a sum of a few kilobytes over all devices, in microseconds; a typical figure.
  """

  name: str
  bandwidth: float
  delay: float

  def seconds_a_step(self, devices: int) -> float:
    """The seconds that devices wait for each other in a step."""
    gradient = 4 * STEP['parameters'] * 2 * (devices - 1) / devices
    statistics = 2 * STEP['batch_norms'] * self.delay * 1e-6
    return gradient / (self.bandwidth * 1e9) + statistics


DEVICES = (
  Device('V100 (SXM2, 16 GB)', 'float16', 125, 900, 16),
  Device('A100 (SXM4, 40 GB)', 'bfloat16', 312, 1_555, 40),
  Device('H100 (SXM5, 80 GB)', 'bfloat16', 989, 3_350, 80),
  Device('TPU v5e', 'bfloat16', 197, 819, 16),
)


ETHERNET = Link('100 Gbit/s between hosts', 12.5, 50)
# A device's name, and the link between several of them.
LINKS = (
  ('V100', Link('NVLink', 150, 15)),
  ('A100', Link('NVLink', 300, 15)),
  ('A100', ETHERNET),
  ('H100', Link('NVLink', 450, 15)),
  ('H100', ETHERNET),
  ('TPU v5e', Link('interconnect', 200, 5)),
)


def scaling_table() -> str:
  """How much of n times the speed of one device remains."""
  lines = [
    '| devices | linked by | 8 devices, 16 images on each | 8 devices, 2 images on each |',
    '| --- | --- | --- | --- |',
  ]
  for name, link in LINKS:
    device = next(device for device in DEVICES if device.name.startswith(name))
    speed = min(device.by_operations(), device.by_traffic())
    kept = [images / speed / (images / speed + link.seconds_a_step(8)) for images in (16, 2)]
    lines.append(f'| {name} | {link.name} | {kept[0]:.0%} | {kept[1]:.0%} |')
  megabytes = 4 * STEP['parameters'] / 1e6
  lines += [
    '',
    f'Of n times the speed of one device. From {megabytes:.0f} MB of gradients and '
    f'{STEP["batch_norms"]} batch norms, each synchronised forward and backward.',
  ]
  return '\n'.join(lines)


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
    'temporary memory per image.',
  ]
  return '\n'.join(lines)


if __name__ == '__main__':
  print(table(), scaling_table(), sep='\n\n')
