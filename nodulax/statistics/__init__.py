"""Statistics on labels, scores, heat maps and findings, in float64 NumPy.

They work on any model's output and need neither the networks nor JAX.
"""
