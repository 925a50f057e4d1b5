"""Statistics on labels, scores, heat maps and findings, in float64 NumPy.

It can be used alone, with any model's output: it needs neither the networks nor JAX.
"""
