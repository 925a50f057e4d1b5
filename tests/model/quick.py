"""Compiling quickly, where nothing has to run fast."""

import importlib.metadata

OPTIONS: dict[str, bool | int] = {'xla_backend_optimization_level': 0}
if importlib.metadata.version('jax').startswith('0.10.'):  # JAX 0.12 does not know it
  OPTIONS['xla_cpu_use_fusion_emitters'] = False
FLAGS = ' '.join(f'--{name}={str(value).lower()}' for name, value in OPTIONS.items())
