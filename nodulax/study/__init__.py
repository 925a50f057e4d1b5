"""Studies: their plan, their runs and what they would take."""
