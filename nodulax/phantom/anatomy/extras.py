"""Everything other than nodules that a radiograph may show, by name."""

from collections.abc import Callable, Mapping

import numpy as np

from nodulax.phantom.anatomy import devices, findings, look_alikes, surface
from nodulax.phantom.anatomy.scene import Scene

_Adder = Callable[[Scene, np.random.Generator], None]

LOOK_ALIKES: Mapping[str, _Adder] = {
  'nipple_shadows': surface.add_nipple_shadows,
  'vessel_end_on': look_alikes.add_vessel_end_on,
  'healed_rib': look_alikes.add_healed_rib,
  'granuloma': look_alikes.add_granuloma,
  'pleural_plaque': look_alikes.add_pleural_plaque,
}
# Named as ChestX-ray14 names them.
FINDINGS: Mapping[str, _Adder] = {
  'Infiltration': findings.add_infiltration,
  'Effusion': findings.add_effusion,
  'Atelectasis': findings.add_atelectasis,
  'Pleural_Thickening': findings.add_pleural_thickening,
  'Fibrosis': findings.add_fibrosis,
}
DEVICES: Mapping[str, _Adder] = {
  'skin_fold': surface.add_skin_fold,
  'lead_wires': devices.add_lead_wires,
  'central_line': devices.add_central_line,
  'pacemaker': devices.add_pacemaker,
  'sternal_wires': devices.add_sternal_wires,
  'marker': devices.add_marker,
}
# These are the same at every exposure of a patient.
LASTING = frozenset({*LOOK_ALIKES, 'pacemaker', 'sternal_wires'})
# Each has its own number, which seeds its random draws.
EXTRAS: Mapping[str, tuple[int, _Adder]] = {
  name: (number, add)
  for number, (name, add) in enumerate({**LOOK_ALIKES, **FINDINGS, **DEVICES}.items())
}
