"""Measures, frozen thresholds and the files of an evaluation."""
