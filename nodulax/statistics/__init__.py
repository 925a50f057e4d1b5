"""The evidence: statistics on labels, scores, heat maps and findings, in float64 NumPy.

Of use on its own, with any model's output: it knows nothing of networks, and no JAX.
"""
