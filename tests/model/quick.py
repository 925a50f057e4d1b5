"""Compiling quickly, where nothing has to run fast."""

import jax

_OLDER: dict[str, bool | int] = {'xla_cpu_use_fusion_emitters': False}  # JAX 0.12 does not know it


def _known(options: dict[str, bool | int]) -> bool:
  try:
    jax.jit(lambda x: x, compiler_options=options)(0.0)
  except jax.errors.JaxRuntimeError:
    return False
  return True


OPTIONS = {'xla_backend_optimization_level': 0, **(_OLDER if _known(_OLDER) else {})}
