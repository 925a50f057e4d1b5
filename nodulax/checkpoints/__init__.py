"""Checkpoints of runs, and the description of a trained network."""
