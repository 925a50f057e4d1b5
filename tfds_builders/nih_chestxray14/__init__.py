"""Builder of the NIH ChestX-ray14 cohort."""
