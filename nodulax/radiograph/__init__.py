"""Everything that is done to a single radiograph: NumPy in, NumPy out."""
