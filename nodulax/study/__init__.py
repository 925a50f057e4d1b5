"""Studies: their plan, their runs, and estimates of their time and size."""
